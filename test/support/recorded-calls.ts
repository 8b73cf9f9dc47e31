import { Agent, createServer, request as httpRequest, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";

/** A call of an SDK in IAM's words. */
export interface RecordedCall {
  /** `dynamodb:GetItem`. */
  readonly action: string;
  /** Null: the call names none that IAM would judge by (a task token, say). */
  readonly resource: string | null;
  /** Values of condition keys that our policies use. */
  readonly context: Readonly<Record<string, readonly string[]>>;
}

/** Stands before an emulator and notes every call that crosses, by action, resource and condition keys. */
export class RecordingProxy {
  #calls: RecordedCall[] = [];
  readonly #target: URL;
  readonly #agent = new Agent({ keepAlive: true, timeout: 2_000 });
  readonly #server = createServer((incoming, outgoing) => {
    this.#forward(incoming)
      .then(({ answer, body }) => outgoing.writeHead(answer.statusCode ?? 502, answer.headers).end(body))
      .catch(() => outgoing.destroy());
  });

  constructor(target: string) {
    this.#target = new URL(target);
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  /** Calls since the last time that this was asked. */
  take(): RecordedCall[] {
    const calls = this.#calls;
    this.#calls = [];
    return calls;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #forward(incoming: IncomingMessage): Promise<{ answer: IncomingMessage; body: Buffer }> {
    const body = await buffer(incoming);
    this.#calls.push(...inWordsOfIam(incoming, body.toString()));
    const { hostname, port } = this.#target;
    const { method, headers, url: path } = incoming;
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      httpRequest({ hostname, port, path, method, headers, agent: this.#agent }, resolve)
        .once("error", reject)
        .end(body);
    });
    return { answer, body: await buffer(answer) };
  }
}

type Json = Record<string, never>;

/** @throws on a call that it does not know: what nobody understands must not count as allowed */
function inWordsOfIam({ headers, method, url = "/" }: IncomingMessage, body: string): RecordedCall[] {
  const [, , region = "", service = ""] =
    /Credential=([^,]+)/.exec(String(headers.authorization))?.[1]?.split("/") ?? [];
  const arn = (name: string, resource: string) => `arn:aws:${name}:${region}:000000000000:${resource}`;
  const call = (action: string, resource: string | null, context: RecordedCall["context"] = {}): RecordedCall => ({
    action: `${service}:${action}`,
    resource,
    context,
  });
  const operation = String(headers["x-amz-target"] ?? "").split(".")[1] ?? "";
  if (service === "s3") return [s3Call(method ?? "", url, call)];
  if (service === "cloudformation") {
    const form = new URLSearchParams(body);
    return [call(form.get("Action") ?? "", arn(service, `stack/${form.get("StackName")}/0`))];
  }
  const input = JSON.parse(body) as Json;
  if (service === "dynamodb") return dynamodbCalls(operation, input, (table) => arn(service, `table/${table}`), call);
  if (service === "states") {
    const { stateMachineArn, executionArn } = input as { stateMachineArn?: string; executionArn?: string };
    return [call(operation, stateMachineArn ?? executionArn ?? null)];
  }
  if (service === "logs") {
    const { logGroupName, logStreamName } = input as Record<string, string>;
    return [call(operation, arn(service, `log-group:${logGroupName}:log-stream:${logStreamName}`))];
  }
  if (service === "ecs") return ecsCalls(operation, input, (name) => arn(service, name), call);
  if (service === "events") {
    const entries = input.Entries as unknown as { Source: string }[];
    return entries.map(({ Source }) =>
      call(operation, arn(service, "event-bus/default"), { "events:source": [Source] }),
    );
  }
  throw new Error(`A call of ${service} ${operation} is not known here.`);
}

type Make = (action: string, resource: string | null, context?: RecordedCall["context"]) => RecordedCall;

function s3Call(method: string, url: string, call: Make): RecordedCall {
  const { pathname, searchParams } = new URL(url, "http://s3");
  const path = decodeURIComponent(pathname).slice(1);
  const isList = method === "GET" && searchParams.has("list-type");
  if (isList) return call("ListBucket", `arn:aws:s3:::${path.replace(/\/$/, "")}`);
  const action = { GET: "GetObject", HEAD: "GetObject", PUT: "PutObject" }[method];
  if (action === undefined) throw new Error(`${method} of S3 is not known here.`);
  return call(action, `arn:aws:s3:::${path}`);
}

function dynamodbCalls(operation: string, input: Json, arnOf: (table: string) => string, call: Make): RecordedCall[] {
  const keysOf = (partitions: readonly string[]) => ({ "dynamodb:LeadingKeys": partitions });
  const { TableName, Key, Item, ExpressionAttributeValues, RequestItems } = input as unknown as {
    TableName: string;
    Key?: Keyed;
    Item?: Keyed;
    ExpressionAttributeValues?: Record<string, { S?: string }>;
    RequestItems?: Record<string, { Keys: Keyed[] }>;
  };
  if (operation === "BatchGetItem")
    return Object.entries(RequestItems!).map(([table, { Keys }]) =>
      call(operation, arnOf(table), keysOf(Keys.map(({ pk }) => pk.S))),
    );
  // The ledger's one kind of query: the partition is its first value.
  const partition = (Key ?? Item)?.pk.S ?? Object.values(ExpressionAttributeValues ?? {})[0]?.S;
  if (partition === undefined) throw new Error(`${operation} of DynamoDB is not known here.`);
  return [call(operation, arnOf(TableName), keysOf([partition]))];
}

/** With the calls that ECS makes in the caller's name: roles are passed, tags are put on. */
function ecsCalls(operation: string, input: Json, arnOf: (name: string) => string, call: Make): RecordedCall[] {
  if (operation === "DescribeTaskDefinition") return [call(operation, null)];
  if (operation !== "RegisterTaskDefinition") throw new Error(`${operation} of ECS is not known here.`);
  const { family, taskRoleArn, executionRoleArn, tags } = input as unknown as {
    family: string;
    taskRoleArn?: string;
    executionRoleArn?: string;
    tags?: unknown[];
  };
  const revision = arnOf(`task-definition/${family}:1`);
  const passed = [taskRoleArn, executionRoleArn].flatMap((role) => role ?? []);
  return [
    call(operation, revision),
    ...(tags ? [call("TagResource", revision, { "ecs:CreateAction": [operation] })] : []),
    ...passed.map((role) => ({
      action: "iam:PassRole",
      resource: role,
      context: { "iam:PassedToService": ["ecs-tasks.amazonaws.com"] },
    })),
  ];
}

interface Keyed {
  readonly pk: { readonly S: string };
}
