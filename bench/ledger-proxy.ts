import { CallProxy, type CrossedCall } from "./call-proxy.ts";
import { itemBytes } from "./item-bytes.ts";

/** One row that a call wrote, or tried to. A transaction counts once for each of its rows. */
export interface CountedWrite {
  /** Who called: the first segment of the path that it was given as its endpoint. */
  readonly caller: string;
  readonly action: string;
  readonly partition: string;
  readonly sortKey: string;
  /** Of the request's body; a transaction's are shared equally. */
  readonly bytes: number;
  /** DynamoDB answered with an error: a failed condition is billed as a write. */
  readonly refused: boolean;
  readonly transaction: boolean;
  readonly tookMs: number;
}

export interface CountedRead {
  readonly caller: string;
  readonly action: string;
  /** Rows that came back. */
  readonly rows: number;
  /** Of these rows, as DynamoDB counts them. */
  readonly bytes: number;
  /** As DynamoDB bills a consistent read: a Query all its rows together, a BatchGetItem each row alone. */
  readonly units: number;
}

export interface LedgerTraffic {
  readonly writes: readonly CountedWrite[];
  readonly reads: readonly CountedRead[];
}

/** Stands before DynamoDB, and counts the rows that cross. */
export class LedgerProxy {
  readonly #proxy: CallProxy;
  #writes: CountedWrite[] = [];
  /** Kept as they came, and read when nothing is measured any more. */
  #reads: CrossedCall[] = [];

  constructor(target: string) {
    this.#proxy = new CallProxy(target, (call) => this.#note(call));
  }

  /** @returns the endpoint for a caller of this name */
  listen(): Promise<(caller: string) => string> {
    return this.#proxy.listen();
  }

  /** What was counted since the last call. */
  take(): LedgerTraffic {
    const traffic = { writes: this.#writes, reads: this.#reads.map(countedRead) };
    this.#writes = [];
    this.#reads = [];
    return traffic;
  }

  close(): Promise<void> {
    return this.#proxy.close();
  }

  #note(call: CrossedCall): void {
    const { caller, action, body, status, tookMs } = call;
    if (READING.has(action)) return void this.#reads.push(call);
    const refused = status !== 200;
    const input = JSON.parse(body.toString("utf8") || "{}") as Record<string, unknown>;
    const written = rowsWritten(action, input);
    for (const { pk, sk } of written)
      this.#writes.push({
        caller,
        action,
        partition: pk,
        sortKey: sk,
        bytes: body.length / written.length,
        refused,
        transaction: action === "TransactWriteItems",
        tookMs,
      });
  }
}

const READING: ReadonlySet<string> = new Set(["GetItem", "Query", "BatchGetItem"]);
const READ_UNIT_BYTES = 4096;

function countedRead({ caller, action, body, answered }: CrossedCall): CountedRead {
  const answer = JSON.parse(answered.toString("utf8") || "{}") as Answer;
  const items = [
    ...(answer.Item === undefined ? [] : [answer.Item]),
    ...(answer.Items ?? []),
    ...Object.values(answer.Responses ?? {}).flat(),
  ];
  const sizes = items.map(itemBytes);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const together = Math.max(1, Math.ceil(bytes / READ_UNIT_BYTES));
  const absent = keysAsked(action, body) - items.length;
  const alone = absent + sizes.reduce((sum, size) => sum + Math.ceil(size / READ_UNIT_BYTES), 0);
  return { caller, action, rows: items.length, bytes, units: action === "BatchGetItem" ? alone : together };
}

type Item = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface Answer {
  readonly Item?: Item;
  readonly Items?: readonly Item[];
  readonly Responses?: Readonly<Record<string, readonly Item[]>>;
}

function keysAsked(action: string, body: Buffer): number {
  if (action !== "BatchGetItem") return 0;
  const { RequestItems } = JSON.parse(body.toString("utf8")) as { RequestItems: Record<string, { Keys: unknown[] }> };
  return Object.values(RequestItems).reduce((total, { Keys }) => total + Keys.length, 0);
}

interface WrittenRow {
  readonly pk: string;
  readonly sk: string;
}

function rowsWritten(action: string, input: Record<string, unknown>): WrittenRow[] {
  if (action === "TransactWriteItems") {
    const parts = input.TransactItems as Record<string, Record<string, unknown>>[];
    return parts.flatMap((part) => Object.values(part)).map((part) => keyOf(part.Key ?? part.Item));
  }
  if (action === "PutItem") return [keyOf(input.Item)];
  if (action === "BatchWriteItem") {
    const requests = Object.values(input.RequestItems as Record<string, { PutRequest: { Item: unknown } }[]>);
    return requests.flat().map(({ PutRequest }) => keyOf(PutRequest.Item));
  }
  if (action === "UpdateItem" || action === "DeleteItem") return [keyOf(input.Key)];
  throw new Error(`The benchmark does not know how DynamoDB bills ${action}.`);
}

function keyOf(row: unknown): WrittenRow {
  const { pk, sk } = row as Record<"pk" | "sk", { S?: string } | undefined>;
  return { pk: pk?.S ?? "", sk: sk?.S ?? "" };
}
