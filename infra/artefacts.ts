import { Duration, RemovalPolicy, Validations } from "aws-cdk-lib";
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from "aws-cdk-lib/aws-s3";
import { Construct } from "constructs";

export interface ArtefactsProps {
  /** On the embedded AWS the bucket goes with the stack. */
  readonly local: boolean;
}

/** Artefacts are kept for a year, longer than the ledger's rows (60 days): dbt's own files explain an old run. */
const KEPT_FOR = Duration.days(365);

/** The artefact bucket: plans, sets, SQL, run results, summaries, all below `runs/<project>/<runId>/`. */
export class Artefacts extends Construct {
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string, props: ArtefactsProps) {
    super(scope, id);
    this.bucket = new Bucket(this, "Bucket", {
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      lifecycleRules: [{ expiration: KEPT_FOR, abortIncompleteMultipartUploadAfter: Duration.days(7) }],
      removalPolicy: props.local ? RemovalPolicy.DESTROY : RemovalPolicy.RETAIN,
    });
    Validations.of(this.bucket).acknowledge({
      id: "AwsSolutions-S1",
      reason: "Written and read by this stack alone; access logs would cost a second bucket that nobody reads.",
    });
  }
}
