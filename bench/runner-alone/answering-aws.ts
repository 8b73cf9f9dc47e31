import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** As long as DynamoDB takes in its own region, in milliseconds. */
const ANSWER_MS = 4;

/** A ledger and a bucket that take everything at once and cost the machine next to nothing. */
export interface AnsweringAws {
  readonly url: string;
  /** Calls by name, since the last look. */
  takeCalls(): Record<string, number>;
  close(): Promise<void>;
}

export const TASK_ARN = "arn:aws:ecs:us-east-1:000000000000:task/stepwatch/alone";

type Item = Record<string, { S?: string }>;
interface Call {
  readonly Item?: Item;
  readonly Key?: Item;
  readonly TransactItems?: { Put?: { Item: Item } }[];
}

const keyOf = ({ pk, sk }: Item) => `${pk?.S} ${sk?.S}`;

export async function startAnsweringAws(): Promise<AnsweringAws> {
  const items = new Map<string, Item>();
  let calls: Record<string, number> = {};
  const answerTo = (target: string, call: Call): object => {
    if (target === "PutItem" && call.Item) items.set(keyOf(call.Item), call.Item);
    for (const { Put } of call.TransactItems ?? []) if (Put) items.set(keyOf(Put.Item), Put.Item);
    if (target === "GetItem" && call.Key) return { Item: items.get(keyOf(call.Key)) };
    if (target === "Query") return { Items: [], Count: 0 };
    return target === "BatchWriteItem" ? { UnprocessedItems: {} } : {};
  };
  const server = createServer(async (request, response) => {
    const body = await textOf(request);
    const target = String(request.headers["x-amz-target"] ?? "").split(".")[1];
    const name = target ?? `${request.method} ${request.url?.startsWith("/metadata") ? "metadata" : "S3"}`;
    calls[name] = (calls[name] ?? 0) + 1;
    await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
    if (target !== undefined) response.end(JSON.stringify(answerTo(target, JSON.parse(body) as Call)));
    else if (request.url?.startsWith("/metadata")) response.end(JSON.stringify({ TaskARN: TASK_ARN }));
    else if (request.method === "PUT") response.end();
    else response.writeHead(404).end("<Error><Code>NoSuchKey</Code></Error>");
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    takeCalls() {
      const taken = calls;
      calls = {};
      return taken;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}
