import { Duration, Validations } from "aws-cdk-lib";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";

/** SQS' longest: a schedule that starts nothing over a holiday is still told afterwards. */
const KEPT_FOR = Duration.days(14);

/**
 * Where EventBridge Scheduler puts a start that did not come about within its hour of attempts, with the reason in the
 * message's attributes. One queue for all schedules; it costs nothing while it is empty.
 */
export class DeadLetters extends Construct {
  readonly queue: Queue;

  constructor(scope: Construct, id: string, { key }: { readonly key: IKey | undefined }) {
    super(scope, id);
    this.queue = new Queue(this, "Queue", {
      ...(key === undefined
        ? { encryption: QueueEncryption.SQS_MANAGED }
        : { encryption: QueueEncryption.KMS, encryptionMasterKey: key }),
      enforceSSL: true,
      retentionPeriod: KEPT_FOR,
    });
    Validations.of(this.queue).acknowledge({ id: "AwsSolutions-SQS3", reason: "It is a dead-letter queue itself." });
  }
}
