import { marshall } from "@aws-sdk/util-dynamodb";
import type { DynamoDBRecord } from "aws-lambda";
import { expect, test } from "vitest";
import { eventChangesOf } from "#clients/dynamo/event-stream.ts";
import { keys } from "#core/names.ts";
import { runRow } from "../support/ledger-rows.ts";

type Item = Record<string, unknown>;

const record = (key: { pk: string; sk: string }, now: Item | null, was: Item | null = null): DynamoDBRecord => ({
  dynamodb: {
    ApproximateCreationDateTime: 1_700_000_000,
    Keys: marshall(key) as never,
    ...(now && { NewImage: marshall({ ...key, ...now }, { removeUndefinedValues: true }) as never }),
    ...(was && { OldImage: marshall({ ...key, ...was }, { removeUndefinedValues: true }) as never }),
  },
});
const kindsOf = (...given: Parameters<typeof record>) => eventChangesOf(record(...given)).map(({ kind }) => kind);

const word = { pk: keys.buildPartition("shop", "run-1"), sk: keys.word(2, "model.shop.orders") };
const decided = { pk: keys.runPartition("shop", "run-1"), sk: keys.vertex("model.shop.orders") };
const runKey = { pk: keys.runPartition("shop", "run-1"), sk: keys.run };
const row = runRow({ project: "shop", runId: "run-1" });
const run = { ...row, input: JSON.stringify(row.input), settings: JSON.stringify(row.settings) };

test("H4: a word that is not good is told once, with its task; what is good, skipped or on its way is not", () => {
  expect(eventChangesOf(record(word, { status: "error" }, { status: "started" }))).toEqual([
    {
      project: "shop",
      runId: "run-1",
      atMs: 1_700_000_000_000,
      kind: "vertex failed",
      uniqueId: "model.shop.orders",
      task: 2,
    },
  ]);
  expect(kindsOf(word, { status: "a word of the future" })).toEqual(["vertex failed"]);
  expect(kindsOf(word, { status: "cancelled" })).toEqual(["vertex failed"]);
  for (const status of ["success", "pass", "warn", "skipped", "started"]) expect(kindsOf(word, { status })).toEqual([]);
  expect(kindsOf(word, { status: "error", message: "more" }, { status: "error" })).toEqual([]);
});

test("H3: a consumer's end is told once in a round; other marks on its row are not", () => {
  expect(kindsOf(decided, { outcome: "green", outcomeRound: 1 })).toEqual(["node ended"]);
  expect(kindsOf(decided, { testsOutcome: "red", testsOutcomeRound: 1 })).toEqual(["node ended"]);
  expect(kindsOf(decided, { outcome: "green", outcomeRound: 2 }, { outcome: "red", outcomeRound: 1 })).toEqual([
    "node ended",
  ]);
  const before = { outcome: "green", outcomeRound: 1 };
  expect(kindsOf(decided, { ...before, toldAs: { as: "recovered", round: 1, task: 1 } }, before)).toEqual([]);
});

test("H4: a run begins with its row and with each round, and ends with its verdict", () => {
  expect(kindsOf(runKey, run)).toEqual(["run started"]);
  expect(kindsOf(runKey, { ...run, turns: 3 }, { ...run, turns: 2 })).toEqual([]);
  const red = { ...run, state: "red", verdict: "No.", endedAtMs: 9 };
  expect(kindsOf(runKey, red, run)).toEqual(["run ended"]);
  expect(kindsOf(runKey, { ...red, eventsSentAtMs: 10 }, red)).toEqual([]);
  expect(kindsOf(runKey, { ...run, round: 2 }, red)).toEqual(["run started"]);
  expect(eventChangesOf(record(runKey, red, run))[0]).toMatchObject({ run: { input: row.input, verdict: "No." } });
});

test("rows that expire, and those of other partitions, are no events", () => {
  expect(kindsOf(decided, null, { outcome: "green" })).toEqual([]);
  expect(kindsOf({ pk: "PROJECT#shop", sk: "RUN#1#run-1" }, { state: "red" })).toEqual([]);
});
