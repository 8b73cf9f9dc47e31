import { Duration } from "aws-cdk-lib";
import type { Table } from "aws-cdk-lib/aws-dynamodb";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import type { Queue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { EVENT_FILTERS } from "#core/contracts/stream.ts";
import { hearStream } from "./stream-reader.ts";

export interface PublishedEventsProps {
  readonly publish: IFunction;
  readonly table: Table;
  readonly key: IKey | undefined;
}

/** The stream keeps a day; an EventBridge that is away for hours loses no event. Older ones nobody waits for any more. */
const RECORD_AGE = Duration.hours(6);

/** Nobody decides by an event: a second's changes are told in one call, ten events in one request. */
const GATHERED_FOR = Duration.seconds(1);

/** What calls publish: the ledger's stream, as far as events tell of it (docs/adr/0058). */
export class PublishedEvents extends Construct {
  readonly failed: Queue;

  constructor(scope: Construct, id: string, { publish, table, key }: PublishedEventsProps) {
    super(scope, id);
    this.failed = hearStream(this, {
      ...{ reader: publish, table, key, filters: EVENT_FILTERS },
      ...{ recordAge: RECORD_AGE, retryAttempts: 50, batchingWindow: GATHERED_FOR },
    });
  }
}
