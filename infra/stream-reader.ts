import { type Duration, Stack } from "aws-cdk-lib";
import type { Table } from "aws-cdk-lib/aws-dynamodb";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { EventSourceMapping, type IFunction, StartingPosition } from "aws-cdk-lib/aws-lambda";
import type { Queue } from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";
import { DeadLetters } from "./dead-letters.ts";

export interface StreamReader {
  readonly reader: IFunction;
  readonly table: Table;
  /** Encrypts what could not be told; unset: a key of SQS. */
  readonly key: IKey | undefined;
  readonly filters: readonly object[];
  /** Older records are not told any more. */
  readonly recordAge: Duration;
  readonly retryAttempts: number;
  /** How long records are gathered for one call. */
  readonly batchingWindow: Duration;
}

/** Has a function called with what changes in the ledger; the answer is the queue of what it could not be called with. */
export function hearStream(scope: Construct, props: StreamReader): Queue {
  const { reader, table, key, filters, recordAge, retryAttempts, batchingWindow } = props;
  const failed = new DeadLetters(scope, "Failed", { key }).queue;
  table.grantStreamRead(reader);
  // Not by CDK's own grants, which allow more of queue and key than sending takes.
  const send = { sid: "TellFailure", actions: ["sqs:SendMessage"], resources: [failed.queueArn] };
  reader.addToRolePolicy(new PolicyStatement(send));
  if (key) reader.addToRolePolicy(new PolicyStatement(encryptsThere(scope, key)));
  new EventSourceMapping(scope, "Stream", {
    target: reader,
    eventSourceArn: table.tableStreamArn!,
    startingPosition: StartingPosition.LATEST,
    batchSize: 100,
    ...(batchingWindow.toSeconds() > 0 && { maxBatchingWindow: batchingWindow }),
    // A bad record is found by halving its batch, and goes to the queue alone.
    bisectBatchOnError: true,
    retryAttempts,
    maxRecordAge: recordAge,
    onFailure: { bind: () => ({ destination: failed.queueArn }) },
    filters: filters.map((pattern) => ({ pattern: JSON.stringify(pattern) })),
  });
  return failed;
}

/** Sending to a queue that a key of one's own encrypts. */
export const encryptsThere = (scope: Construct, key: IKey) => ({
  sid: "UseKeyOfQueue",
  actions: ["kms:GenerateDataKey", "kms:Decrypt"],
  resources: [key.keyArn],
  conditions: { StringEquals: { "kms:ViaService": `sqs.${Stack.of(scope).region}.amazonaws.com` } },
});
