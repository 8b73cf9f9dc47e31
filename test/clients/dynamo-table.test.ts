import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { expect, it, vi } from "vitest";
import { equals } from "#clients/dynamo/expressions.ts";
import { DynamoTable } from "#clients/dynamo/table.ts";
import { LedgerUnavailable, TooMuchTold } from "#core/errors.ts";
import { refusal, type ScriptedAnswer, scriptedHttp } from "../support/scripted-http.ts";

const key = (sk: string) => ({ pk: "RUN#shop#r", sk });
const wireKey = (sk: string) => ({ pk: { S: "RUN#shop#r" }, sk: { S: sk } });
const unprocessed = (...sks: string[]) => ({ ledger: { Keys: sks.map(wireKey) } });

function tableOn(...answers: (ScriptedAnswer | Error)[]) {
  const http = scriptedHttp(answers);
  return { table: new DynamoTable("ledger", new DynamoDBClient(http.settings)), seen: http.seen };
}

it("F11: keys that a batch left unread are asked for again, and only they", async () => {
  const { table, seen } = tableOn(
    { body: { Responses: { ledger: [wireKey("a")] }, UnprocessedKeys: unprocessed("b", "c") } },
    { body: { Responses: { ledger: [wireKey("b")] }, UnprocessedKeys: unprocessed("c") } },
    { body: { Responses: { ledger: [wireKey("c")] } } },
  );
  expect(await table.getMany(["a", "b", "c"].map(key))).toEqual(["a", "b", "c"].map(key));
  const asked = seen.map(({ body }) => (body.RequestItems as { ledger: unknown }).ledger);
  expect(asked.slice(1)).toEqual([
    { Keys: ["b", "c"].map(wireKey), ConsistentRead: true },
    { Keys: [wireKey("c")], ConsistentRead: true },
  ]);
});

it("F11: a batch that is never read in full is LedgerUnavailable, not a shorter answer", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  try {
    const { table, seen } = tableOn(...Array(7).fill({ body: { Responses: {}, UnprocessedKeys: unprocessed("a") } }));
    const reading = expect(table.getMany([key("a")])).rejects.toThrow(LedgerUnavailable);
    await vi.runAllTimersAsync();
    await reading;
    expect(seen).toHaveLength(7);
  } finally {
    vi.useRealTimers();
  }
});

it("D22: more pages than a run's builds come to are not read", async () => {
  const page = { body: { Items: [wireKey("a")], LastEvaluatedKey: wireKey("a") } };
  const { table, seen } = tableOn(page, page, page);
  await expect(table.query("RUN#shop#r", "TASK#", { mostPages: 2 })).rejects.toThrow(TooMuchTold);
  expect(seen).toHaveLength(2);
  const whole = tableOn(page, { body: { Items: [wireKey("b")] } });
  expect(await whole.table.query("RUN#shop#r", "TASK#", { mostPages: 2 })).toHaveLength(2);
});

it.each<[string, string[], "refused" | "unavailable" | "as it is"]>([
  ["a failed condition", ["ConditionalCheckFailed", "None"], "refused"],
  ["a failed condition beside a conflict", ["TransactionConflict", "ConditionalCheckFailed"], "refused"],
  ["another writer", ["TransactionConflict", "None"], "unavailable"],
  ["throttling", ["None", "ThrottlingError"], "unavailable"],
  ["a row that is too large", ["ValidationError", "None"], "as it is"],
])("F11: a transaction cancelled by %s", async (_, codes, outcome) => {
  const { table } = tableOn(
    refusal("TransactionCanceledException", "cancelled", { CancellationReasons: codes.map((Code) => ({ Code })) }),
  );
  const done = table.transact([{ update: key("RUN"), change: { set: { version: 1 }, when: equals("version", 0) } }]);
  if (outcome === "refused") expect(await done).toBe(false);
  else await expect(done).rejects.toMatchObject({ name: NAMES[outcome] });
});

const NAMES = { unavailable: "LedgerUnavailable", "as it is": "TransactionCanceledException" };

it("renders a change on its own attributes, with every name behind a placeholder", async () => {
  const { table, seen } = tableOn({ body: {} });
  await table.update(key("TASK#1"), {
    set: { state: "over", message: undefined },
    setOnce: { ownerTask: 1 },
    add: { tryTasks: new Set([1]), epoch: 1 },
    takeOut: { lostTasks: new Set([2]) },
    remove: ["final"],
    when: equals("state", "running"),
  });
  expect(seen[0]?.body).toEqual({
    TableName: "ledger",
    Key: wireKey("TASK#1"),
    UpdateExpression:
      "SET #state = :v0, #ownerTask = if_not_exists(#ownerTask, :v1) ADD #tryTasks :v2, #epoch :v3 DELETE #lostTasks :v4 REMOVE #final",
    ConditionExpression: "#state = :v5",
    ExpressionAttributeNames: {
      "#state": "state",
      "#ownerTask": "ownerTask",
      "#tryTasks": "tryTasks",
      "#epoch": "epoch",
      "#lostTasks": "lostTasks",
      "#final": "final",
    },
    ExpressionAttributeValues: {
      ":v0": { S: "over" },
      ":v1": { N: "1" },
      ":v2": { NS: ["1"] },
      ":v3": { N: "1" },
      ":v4": { NS: ["2"] },
      ":v5": { S: "running" },
    },
    ReturnValuesOnConditionCheckFailure: "ALL_OLD",
  });
});

it("E1: rows that a batch did not take are named, and a batch that is throttled as a whole is LedgerUnavailable", async () => {
  const put = (sk: string) => ({ PutRequest: { Item: { ...wireKey(sk), status: { S: "pass" } } } });
  const { table, seen } = tableOn(
    { body: { UnprocessedItems: { ledger: [put("b")] } } },
    ...Array(5).fill(refusal("ProvisionedThroughputExceededException", "slow down")),
  );
  const rows = ["a", "b"].map((sk) => ({ ...key(sk), status: "pass" }));
  expect((await table.putMany(rows)).map(({ sk }) => sk)).toEqual(["b"]);
  expect(seen[0]?.body.RequestItems).toEqual({ ledger: ["a", "b"].map(put) });
  await expect(table.putMany(rows)).rejects.toThrow(LedgerUnavailable);
});
