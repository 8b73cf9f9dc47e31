import { Duration, Stack, Validations } from "aws-cdk-lib";
import { AnyPrincipal, Effect, PolicyStatement } from "aws-cdk-lib/aws-iam";
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from "aws-cdk-lib/aws-s3";
import { Construct } from "constructs";
import type { DataSettings } from "./data-settings.ts";
import { deployedNames } from "./deployed-names.ts";
import { containerObjects, rolesBelow } from "./permissions.ts";

export interface ArtefactsProps {
  readonly data: DataSettings;
  readonly stackName: string;
}

/** Artefacts are kept for a year, longer than the ledger's rows (60 days): dbt's own files explain an old run. */
const KEPT_FOR = Duration.days(365);

/** The artefact bucket: plans, sets, SQL, run results, summaries, all below `runs/<project>/<runId>/`. */
export class Artefacts extends Construct {
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string, props: ArtefactsProps) {
    super(scope, id);
    this.bucket = new Bucket(this, "Bucket", {
      ...(props.data.key === undefined
        ? { encryption: BucketEncryption.S3_MANAGED }
        : { encryption: BucketEncryption.KMS, encryptionKey: props.data.key, bucketKeyEnabled: true }),
      enforceSSL: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      // What lies beside the runs (latest/, latest-green/) stays until a newer run replaces it.
      lifecycleRules: [
        { expiration: KEPT_FOR, prefix: "runs/" },
        { expiration: KEPT_FOR, prefix: "commits/" },
        { abortIncompleteMultipartUploadAfter: Duration.days(7) },
      ],
      removalPolicy: props.data.removalPolicy,
      // CloudFormation deletes no bucket that holds anything: a function of CDK's empties it.
      autoDeleteObjects: props.data.emptiesBucket,
    });
    this.bucket.addToResourcePolicy(writtenOnce(this.bucket));
    for (const statement of containersApart(this.bucket, props.stackName)) this.bucket.addToResourcePolicy(statement);
    Validations.of(this.bucket).acknowledge({
      id: "AwsSolutions-S1",
      reason: "Written and read by this stack alone; access logs would cost a second bucket that nobody reads.",
    });
  }
}

/** What containers write is written once: no later run, and nobody else, replaces what a run was judged by (D22). */
const writtenOnce = (bucket: Bucket): PolicyStatement =>
  new PolicyStatement({
    sid: "WrittenOnce",
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: ["s3:PutObject"],
    resources: containerObjects("*").map((key) => bucket.arnForObjects(key)),
    conditions: { Null: { "s3:if-none-match": "true" } },
  });

/** Our tasks' roles put nothing but that, and remove nothing, whatever they are given of S3 for dbt's adapter. */
function containersApart(bucket: Bucket, stackName: string): PolicyStatement[] {
  const roles = `${rolesBelow(Stack.of(bucket), deployedNames.taskRolePath(stackName))}*`;
  const ofTasks = {
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    conditions: { ArnLike: { "aws:PrincipalArn": roles } },
  };
  return [
    new PolicyStatement({
      ...ofTasks,
      sid: "TasksReadAndPut",
      notActions: ["s3:GetObject", "s3:ListBucket", "s3:PutObject"],
      resources: [bucket.bucketArn, bucket.arnForObjects("*")],
    }),
    new PolicyStatement({
      ...ofTasks,
      sid: "TasksPutTheirOwn",
      actions: ["s3:PutObject"],
      notResources: containerObjects("*").map((key) => bucket.arnForObjects(key)),
    }),
  ];
}
