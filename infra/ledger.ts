import { AttributeType, BillingMode, StreamViewType, Table, TableEncryption } from "aws-cdk-lib/aws-dynamodb";
import { Construct } from "constructs";
import type { DataSettings } from "./data-settings.ts";

export interface LedgerProps {
  readonly data: DataSettings;
}

/**
 * The ledger: one table for runs, tasks, vertices, locks and queues. On demand, so that nothing is billed between runs;
 * rows expire by `expiresAt`; its stream tells what changed.
 */
export class Ledger extends Construct {
  readonly table: Table;

  constructor(scope: Construct, id: string, props: LedgerProps) {
    super(scope, id);
    this.table = new Table(this, "Table", {
      partitionKey: { name: "pk", type: AttributeType.STRING },
      sortKey: { name: "sk", type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      timeToLiveAttribute: "expiresAt",
      stream: StreamViewType.NEW_AND_OLD_IMAGES,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      ...(props.data.key === undefined
        ? {}
        : { encryption: TableEncryption.CUSTOMER_MANAGED, encryptionKey: props.data.key }),
      deletionProtection: props.data.deletionProtection,
      removalPolicy: props.data.removalPolicy,
    });
  }
}
