import type { DynamoTable } from "#clients/dynamo/table.ts";
import { ledgerOn } from "#clients/dynamo-ledger.ts";
import type { Ledger } from "#clients/ledger.ts";
import { isWrittenOnce } from "#core/names.ts";
import { MemoryTable, type TableStore } from "../../bench/scale/memory-table.ts";
import type { IamRequest } from "./iam-evaluator.ts";
import type { ClientsOf } from "./simulated-aws.ts";

/** Asks whether a call may be made; throws if not. */
export type Ask = (request: IamRequest) => void;

const PLACE = "us-east-1:123456789012";

/** Where calls go, as the policies of a synthesised stack name it. */
export interface Places {
  readonly table: string;
  readonly bucket: string;
  readonly cluster: string;
}

export const placesOf = (resources: object): Places => {
  const idOf = (pattern: RegExp) => Object.keys(resources).find((id) => pattern.test(id))!;
  return {
    table: `arn:aws:dynamodb:${PLACE}:table/${idOf(/^LedgerTable/)}`,
    bucket: `arn:aws:s3:::${idOf(/^ArtefactsBucket[0-9A-F]{8}$/).toLowerCase()}`,
    cluster: `arn:aws:ecs:${PLACE}:cluster/stepwatch`,
  };
};

/** A row's or a batch's call of DynamoDB. */
export const rowCall = ({ table }: Places, action: string, ...partitions: readonly string[]): IamRequest => ({
  action: `dynamodb:${action}`,
  resource: table,
  context: partitions.length === 0 ? {} : { "dynamodb:LeadingKeys": partitions },
});

/** A call of S3 about one object; `once`: with the header of a write that replaces nothing. */
export const objectCall = ({ bucket }: Places, action: string, key: string, once = false): IamRequest => ({
  action: `s3:${action}`,
  resource: `${bucket}/${key}`,
  context: once ? { "s3:if-none-match": "*" } : {},
});

/** The ledger of one caller over a table that all share, in memory: each request asks first, as IAM is asked. */
export function guardedLedger(store: TableStore, places: Places, ask: Ask): Ledger {
  const table = new MemoryTable(store, "");
  const asking = (action: string, ...partitions: string[]) => ask(rowCall(places, action, ...partitions));
  const guard: Partial<Record<keyof DynamoTable, (...given: never[]) => void>> = {
    get: ({ pk }: { pk: string }) => asking("GetItem", pk),
    query: (pk: string) => asking("Query", pk),
    getMany: (keys: { pk: string }[]) => keys.length > 0 && asking("BatchGetItem", ...keys.map(({ pk }) => pk)),
    insert: ({ pk }: { pk: string }) => asking("PutItem", pk),
    update: ({ pk }: { pk: string }) => asking("UpdateItem", pk),
    putMany: (rows: { pk: string }[]) => asking("BatchWriteItem", ...rows.map(({ pk }) => pk)),
    delete: ({ pk }: { pk: string }) => asking("DeleteItem", pk),
    transact: (parts: ({ insert: { pk: string } } | { update: { pk: string } })[]) => {
      for (const part of parts)
        if ("insert" in part) asking("PutItem", part.insert.pk);
        else asking("UpdateItem", part.update.pk);
    },
  };
  return ledgerOn(guarded(table, guard));
}

/** Asks before each call of a client's method; one that nobody says how to ask about is refused. */
function guarded<T extends object>(target: T, asks: Partial<Record<string, (...given: never[]) => unknown>>): T {
  return new Proxy(target, {
    get: (from, name) => {
      const value = Reflect.get(from, name, from) as unknown;
      if (typeof value !== "function") return value;
      return async (...given: unknown[]) => {
        const asksFirst = asks[String(name)];
        if (asksFirst === undefined) throw new Error(`Nobody says which permission ${String(name)} needs.`);
        asksFirst(...(given as never[]));
        return await Reflect.apply(value, from, given);
      };
    },
  });
}

/** Clients for the callers of a simulated AWS, each with the role that the template gives it. */
export function clientsOf(store: TableStore, places: Places, askOf: (caller: string) => Ask): ClientsOf {
  return (caller, service, shared) => {
    const ask = askOf(caller);
    if (service === "ledger") return guardedLedger(store, places, ask) as typeof shared;
    return guarded(shared, asksOf(service, caller, places, ask));
  };
}

function asksOf(service: string, caller: string, places: Places, ask: Ask) {
  const put = (key: string) => ask(objectCall(places, "PutObject", key, isWrittenOnce(key)));
  const get = (key: string) => ask(objectCall(places, "GetObject", key));
  if (service === "artefacts")
    return { putJson: put, putText: put, putFile: put, getJson: get, getText: get, getFile: get };
  if (service === "tasks") return tasksAsk(places, ask);
  if (service === "events")
    return {
      publish: () =>
        ask({
          action: "events:PutEvents",
          resource: `arn:aws:events:${PLACE}:event-bus/default`,
          context: { "events:source": "stepwatch" },
        }),
    };
  // Nobody knows of a token whose it is: wake answers those of both.
  const machines = { "watch-node": ["stepwatch-consumer"], wake: ["stepwatch-run", "stepwatch-consumer"] }[caller];
  const states = (action: string, kind: string, name: string) =>
    ask({ action: `states:${action}`, resource: `arn:aws:states:${PLACE}:${kind}:${name}`, context: {} });
  const answers = (action: string) => {
    for (const machine of machines ?? ["stepwatch-run"]) states(action, "stateMachine", machine);
  };
  const named = (arn: string) => arn.split(":").slice(6).join(":");
  return {
    start: (machineArn: string) => states("StartExecution", "stateMachine", named(machineArn)),
    describe: (arn: string) => states("DescribeExecution", "execution", named(arn)),
    redrive: (arn: string) => states("RedriveExecution", "execution", named(arn)),
    succeed: () => answers("SendTaskSuccess"),
    fail: () => answers("SendTaskFailure"),
  };
}

function tasksAsk({ cluster }: Places, ask: Ask) {
  const ofTask = (action: string, task: string) =>
    ask({ action: `ecs:${action}`, resource: `arn:aws:ecs:${PLACE}:task/stepwatch/${task}`, context: {} });
  return {
    launch: ({ tags }: { tags: Record<string, string> }) => {
      const family = `stepwatch-shop-${tags["stepwatch:kind"] === "producer" ? "producer" : "queue"}`;
      const resource = `arn:aws:ecs:${PLACE}:task-definition/${family}:3`;
      ask({ action: "ecs:RunTask", resource, context: { "ecs:cluster": cluster } });
      ask({
        action: "ecs:TagResource",
        resource: `arn:aws:ecs:${PLACE}:task/stepwatch/0a1b`,
        context: { "ecs:CreateAction": "RunTask" },
      });
      for (const role of ["ProjectshopTaskRole", "ProjectshopExecutionRole"])
        ask({
          action: "iam:PassRole",
          resource: `arn:aws:iam::123456789012:role/stepwatch/stepwatch/${role}`,
          context: { "iam:PassedToService": "ecs-tasks.amazonaws.com" },
        });
    },
    describe: () => ofTask("DescribeTasks", "0a1b"),
    stop: () => {
      ofTask("DescribeTasks", "0a1b");
      ofTask("StopTask", "0a1b");
    },
  };
}
