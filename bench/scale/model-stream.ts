import type { DynamoDBRecord } from "aws-lambda";
import { toAttributes } from "#clients/dynamo/expressions.ts";
import { changeOf } from "#clients/dynamo/stream.ts";
import type { LedgerChange } from "#core/run/watching/ledger-change.ts";
import type { RowChanged } from "./memory-table.ts";
import type { TimeLine } from "./time-line.ts";

/** From a write to the call of the function behind the stream, which looks four times a second. Milliseconds. */
const BEHIND_MS = 250;
const BATCH = 100;

type Row = Readonly<Record<string, unknown>>;

/** What passes the stream's filters (core/contracts/stream.ts): a call is billed for it, whatever it means. */
function passes(pk: string, before: Row, after: Row): boolean {
  const isNew = (name: string) => after[name] !== undefined && before[name] === undefined;
  if (pk.startsWith("BUILD#")) return after.status !== undefined || isNew("end") || isNew("toldPlanKey");
  return pk.startsWith("RUN#") && (isNew("final") || after.state !== undefined);
}

/** The table's stream under a virtual clock: one shard, whose batches are handed on one after the other. */
export class ModelStream {
  readonly #time: TimeLine;
  readonly #call: (changes: LedgerChange[], done: () => void) => unknown;
  #records: RowChanged[] = [];
  #isBusy = false;

  constructor(time: TimeLine, call: (changes: LedgerChange[], done: () => void) => unknown) {
    this.#time = time;
    this.#call = call;
  }

  tell(changed: RowChanged): void {
    const { before, after } = changed;
    if (after === null || !passes(String(after.pk), before ?? {}, after)) return;
    this.#records.push(changed);
    if (!this.#isBusy) this.#time.in(BEHIND_MS, () => this.#hand());
    this.#isBusy = true;
  }

  #hand(): unknown {
    const batch = this.#records.splice(0, BATCH);
    const changes = batch.flatMap((one) => changeOf(recordOf(one)) ?? []);
    return this.#call(changes, () => {
      this.#isBusy = this.#records.length > 0;
      if (this.#isBusy) this.#time.in(0, () => this.#hand());
    });
  }
}

function recordOf({ before, after }: RowChanged): DynamoDBRecord {
  const image = (row: Row) => toAttributes(row) as NonNullable<DynamoDBRecord["dynamodb"]>["NewImage"] & {};
  const { pk, sk } = after!;
  return {
    dynamodb: {
      Keys: { pk: { S: String(pk) }, sk: { S: String(sk) } },
      NewImage: image(after!),
      ...(before === null ? {} : { OldImage: image(before) }),
    },
  };
}
