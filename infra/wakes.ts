import { Duration } from "aws-cdk-lib";
import type { Table } from "aws-cdk-lib/aws-dynamodb";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import type { Queue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { STREAM_FILTERS } from "#core/contracts/stream.ts";
import { hearStream } from "./stream-reader.ts";

export interface WakesProps {
  readonly wake: IFunction;
  readonly table: Table;
  /** Encrypts what could not be told; unset: a key of SQS. */
  readonly key: IKey | undefined;
}

/**
 * How old a record may be: later the runs' own look, once a minute, has made up for it. A shard that is behind by more
 * (a function that is throttled) jumps to what is new instead of telling old things first.
 */
const RECORD_AGE = Duration.minutes(1);

/** What calls wake: the ledger's stream, as far as somebody waits for what changed. */
export class Wakes extends Construct {
  /** Records that wake could not be called with: nothing is lost with them but time. */
  readonly failed: Queue;

  constructor(scope: Construct, id: string, { wake, table, key }: WakesProps) {
    super(scope, id);
    this.failed = hearStream(this, {
      ...{ reader: wake, table, key, filters: STREAM_FILTERS },
      ...{ recordAge: RECORD_AGE, retryAttempts: 5, batchingWindow: Duration.seconds(0) },
    });
  }
}
