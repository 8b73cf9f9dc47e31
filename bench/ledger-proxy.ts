import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";

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
  /** Rows that the call asked for or got. */
  readonly rows: number;
  readonly bytes: number;
}

export interface LedgerTraffic {
  readonly writes: readonly CountedWrite[];
  readonly reads: readonly CountedRead[];
}

/** Idle connections are given up before the emulator does it (5 s): a call on one that it has just closed is lost. */
const IDLE_MS = 2000;

/**
 * Stands before DynamoDB and counts what crosses: the only count that does not take the callers' own word. It forwards
 * every byte as it is and keeps its connections, so that a call takes some tenths of a millisecond more.
 */
export class LedgerProxy {
  readonly #target: URL;
  readonly #agent = new Agent({ keepAlive: true, timeout: IDLE_MS });
  readonly #server = createServer((request, response) => {
    // The caller sees a connection that broke, and calls again as it would without us.
    this.#forward(request, response).catch(() => response.destroy());
  });
  #writes: CountedWrite[] = [];
  #reads: CountedRead[] = [];

  constructor(target: string) {
    this.#target = new URL(target);
  }

  /** @returns the endpoint for a caller of this name */
  async listen(): Promise<(caller: string) => string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    return (caller) => `http://127.0.0.1:${port}/${caller}`;
  }

  /** What was counted since the last call. */
  take(): LedgerTraffic {
    const traffic = { writes: this.#writes, reads: this.#reads };
    this.#writes = [];
    this.#reads = [];
    return traffic;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #forward(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const startedAtMs = performance.now();
    const [, caller = "", ...rest] = (incoming.url ?? "/").split("/");
    const body = await buffer(incoming);
    const answer = await this.#send(incoming, `/${rest.join("/")}`, body);
    const answered = await buffer(answer);
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers).end(answered);
    const action = String(incoming.headers["x-amz-target"] ?? "").split(".")[1] ?? "";
    const tookMs = performance.now() - startedAtMs;
    const refused = answer.statusCode !== 200;
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
    if (written.length === 0)
      this.#reads.push({ caller, action, rows: rowsRead(action, input), bytes: answered.length });
  }

  #send(incoming: IncomingMessage, path: string, body: Buffer): Promise<IncomingMessage> {
    const { hostname, port } = this.#target;
    const { method, headers } = incoming;
    return new Promise((resolve, reject) => {
      httpRequest({ hostname, port, path, method, headers, agent: this.#agent }, resolve)
        .once("error", reject)
        .end(body);
    });
  }
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
  return action === "UpdateItem" || action === "DeleteItem" ? [keyOf(input.Key)] : [];
}

function keyOf(row: unknown): WrittenRow {
  const { pk, sk } = row as Record<"pk" | "sk", { S?: string } | undefined>;
  return { pk: pk?.S ?? "", sk: sk?.S ?? "" };
}

function rowsRead(action: string, input: Record<string, unknown>): number {
  if (action !== "BatchGetItem") return 1;
  const tables = Object.values(input.RequestItems as Record<string, { Keys: unknown[] }>);
  return tables.reduce((total, { Keys }) => total + Keys.length, 0);
}
