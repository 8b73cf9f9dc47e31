import { type AttributeValue, type DynamoDBClient, QueryCommand, ScanCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { LedgerUnavailable } from "#core/errors.ts";
import { type Emulator, ledgerTable, startEmulator } from "../support/emulator.ts";
import { buildEnd, runRow, taskRow, taskStop } from "../support/ledger-rows.ts";
import { wireText } from "../support/scripted-http.ts";
import { ledgerContract } from "./ledger-contract.ts";

const TABLE = "ledger";
const DAY_SECONDS = 86_400;

interface SeenCall {
  readonly name: string;
  readonly body: Record<string, unknown>;
  readonly bytes: number;
}

let emulator: Emulator;
let client: DynamoDBClient;
let calls: SeenCall[] = [];
/** Called after each attempt has taken effect; what it throws is what the SDK sees of that attempt. */
let afterEffect: (name: string, attempt: number) => void = () => {};

beforeAll(async () => {
  emulator = await startEmulator();
  client = await ledgerTable(emulator, TABLE);
  watchWire(client);
});
afterAll(() => emulator?.stop());
beforeEach(() => {
  calls = [];
  afterEffect = () => {};
});

/** Notes each call as it goes over the wire, attempt by attempt. */
function watchWire(watched: DynamoDBClient): void {
  watched.middlewareStack.add(
    (next, context) => {
      let attempt = 0;
      return async (argument) => {
        const body = wireText((argument.request as { body: Uint8Array }).body);
        calls.push({ name: String(context.commandName), body: JSON.parse(body), bytes: body.length });
        const answer = await next(argument);
        attempt += 1;
        afterEffect(String(context.commandName), attempt);
        return answer;
      };
    },
    { step: "deserialize", priority: "low", name: "watchWire" },
  );
}

const lostAnswer = () => Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
const open = async () => dynamoLedger({ table: TABLE, client });

ledgerContract("DynamoDB ledger", open);

describe("on the wire", () => {
  const key = { project: "wire", runId: "run" };
  const write = (uniqueId: string, status: string): VertexWrite => ({ uniqueId, status, evidence: true });

  it("F12: every read is consistent", async () => {
    const ledger = await open();
    await ledger.createRun(runRow(key));
    calls = [];
    await ledger.readRun(key);
    await ledger.readTasks(key);
    await ledger.readTask(key, 1);
    await ledger.readVertices(key);
    await ledger.readSomeVertices(key, ["a"]);
    await ledger.readLock(key.project, "default");
    await ledger.listRuns(key.project, 5);
    await ledger.joinQueue(key.project, "default", { runId: "a", atMs: 1, executionArn: "a" });
    const reads = calls.filter(({ name }) => /^(Get|Query|BatchGet)/.test(name));
    expect(reads.map(({ name }) => name)).toEqual([
      ...["GetItemCommand", "QueryCommand", "GetItemCommand", "GetItemCommand"],
      ...["QueryCommand", "GetItemCommand", "QueryCommand", "BatchGetItemCommand", "BatchGetItemCommand"],
      ...["GetItemCommand", "QueryCommand", "QueryCommand", "QueryCommand"],
    ]);
    for (const { name, body } of reads) {
      const tables = (body.RequestItems ?? { [TABLE]: body }) as Record<string, { ConsistentRead?: boolean }>;
      expect(tables[TABLE]?.ConsistentRead, name).toBe(true);
    }
  });

  it("E3: n vertices take n writes a status, of the same size each", async () => {
    const traffic = async (count: number) => {
      const run = { project: "linear", runId: `n${count}` };
      const ledger = await open();
      await ledger.createRun(runRow(run));
      calls = [];
      for (const status of ["started", "success"])
        for (let n = 0; n < count; n += 1) await ledger.writeVertex(run, 1, write(`model.shop.m${100 + n}`, status));
      return { writes: calls.length, bytes: calls.reduce((sum, call) => sum + call.bytes, 0) };
    };
    const few = await traffic(10);
    const many = await traffic(40);
    expect(few.writes).toBe(2 * 10);
    expect(many.writes).toBe(2 * 40);
    expect(many.bytes / 40).toBeLessThanOrEqual((few.bytes / 10) * 1.01);
    expect(few.bytes / few.writes).toBeLessThan(1_000);
  });

  it("E5: every row of a run expires with it, whoever made the row", async () => {
    const run = { project: "expiring", runId: "run", round: 1 };
    const ledger = await open();
    await ledger.createRun(runRow(run));
    const fresh = await open();
    await fresh.createTask(run, 0, taskRow(1));
    await fresh.writeVertex(run, 1, write("model.shop.written", "started"));
    await fresh.claimVertex(run, 2, { uniqueId: "model.shop.claimed", from: null });
    await fresh.setFinal(run, 1, { uniqueId: "model.shop.final", final: "dead", finalReason: "r" });
    await fresh.markConsumerStarted(run, "model.shop.written", "node", 5);
    await fresh.markStopped(run, 1, taskStop);
    await fresh.createTask(run, 1, taskRow(2));
    await fresh.markClaimed(run, 2);
    await (await open()).passFence(run, 2, { taskArn: "arn", startedAtMs: 1 });
    const rows = [...(await partition("RUN#expiring#run")), ...(await partition("BUILD#expiring#run"))];
    const expected = runRow(run).deadlineAtMs / 1000 + 60 * DAY_SECONDS;
    expect(rows.map((row) => Number(row.expiresAt?.N))).toEqual(Array(9).fill(expected));
  });

  it("reads every page of a large partition", async () => {
    const run = { project: "large", runId: "run" };
    const ledger = await open();
    await ledger.createRun(runRow(run));
    const message = "x".repeat(300_000);
    const ids = ["a", "b", "c", "d", "e", "f"];
    for (const uniqueId of ids) await ledger.writeVertex(run, 1, { ...write(uniqueId, "error"), message });
    calls = [];
    expect((await ledger.readVertices(run)).map((row) => row.uniqueId)).toEqual(ids);
    expect(calls.length).toBeGreaterThan(1);
    expect((await ledger.readSomeVertices(run, ids)).map((row) => row.uniqueId).sort()).toEqual(ids);
  });
});

describe("F11: when DynamoDB's answers are lost", () => {
  const key = { project: "lossy", runId: "run", round: 1 };
  const uniqueId = "model.shop.orders";

  it("F11: a write that took effect and is repeated by the SDK succeeds, once", async () => {
    const ledger = await open();
    await ledger.createRun(runRow(key));
    afterEffect = (name, attempt) => {
      if (attempt === 1 && /^(Put|Update|Delete|Transact)/.test(name)) throw lostAnswer();
    };
    await everyWriteOnce(ledger);
    const attempts = calls.filter(({ name }) => name === "UpdateItemCommand").length;
    expect(attempts, "each write went out twice at least").toBeGreaterThanOrEqual(2 * 12);
    expect(await ledger.readRun(key)).toMatchObject({ version: 1, lastTask: 1, state: "green" });
    expect(await ledger.readTask(key, 1)).toMatchObject({ state: "over", launchFailures: 1, fencedBy: "arn" });
    const [row] = await ledger.readVertices(key);
    expect(row).toMatchObject({ ownerTask: 2, epoch: 1, tryTasks: [1, 2], lostTasks: [1], status: "success" });
    expect(await ledger.readLock(key.project, "default")).toBeNull();
  });

  async function everyWriteOnce(ledger: Ledger): Promise<void> {
    const lock = { project: key.project, lockKey: "default", runId: "gone", executionArn: "e", takenAtMs: 1 };
    expect(await ledger.takeLock(lock)).toBeNull();
    expect(await ledger.replaceLock({ ...lock, runId: "run" }, { runId: "gone" })).toBe(true);
    expect(await ledger.setPlan(key, { planKey: "p", plannedVertices: 1, plannedNodes: 1 })).toBe(true);
    expect(await ledger.createTask(key, 0, taskRow(1))).toBe(true);
    await ledger.markClaimed(key, 1);
    const failure = { reason: "none", nextLaunchAtMs: 1, launchFailures: 1, clientToken: "t" };
    await ledger.markLaunchFailed(key, 1, failure);
    await ledger.markLaunched(key, 1, { taskArn: "arn", launchedAtMs: 1 });
    expect(await ledger.passFence(key, 1, { taskArn: "arn", startedAtMs: 1 })).toBe(true);
    await ledger.writeVertex(key, 1, { uniqueId, status: "started", evidence: true });
    expect(await ledger.heartbeat(key, 1, { taskArn: "arn", atMs: 1, sequence: 1 })).toEqual({ fenced: true });
    expect(await ledger.endTask(key, 1, "arn", buildEnd(), 1)).toBe(true);
    expect(await ledger.markStopped(key, 1, taskStop)).toBe(false);
    expect(await ledger.claimVertex(key, 2, { uniqueId, from: 1, lostTask: 1 })).toBe(true);
    await ledger.writeVertex(key, 2, { uniqueId, status: "success", evidence: true });
    const end = { state: "green", verdict: "Good.", summaryKey: "s", endedAtMs: 1 } as const;
    expect(await ledger.endRun(key, end)).toBe(true);
    await ledger.releaseLock(key.project, "default", "run");
  }

  it("F11: a service that stays away is LedgerUnavailable, whatever was called", async () => {
    const ledger = await open();
    await ledger.createRun(runRow({ ...key, runId: "away" }));
    const run = { ...key, runId: "away" };
    afterEffect = () => {
      throw Object.assign(new Error("Rate exceeded"), { name: "ThrottlingException" });
    };
    const calling = [
      () => ledger.readRun(run),
      () => ledger.readVertices(run),
      () => ledger.readSomeVertices(run, [uniqueId]),
      () => ledger.markClaimed(run, 1),
      () => ledger.createTask(run, 0, taskRow(1)),
      () => ledger.releaseLock(run.project, "default", "run"),
    ];
    await Promise.all(calling.map((call) => expect(call()).rejects.toThrow(LedgerUnavailable)));
  });

  it("what does not pass by itself comes out as it is", async () => {
    const ledger = dynamoLedger({ table: "no-such-table", client });
    await expect(ledger.readRun(key)).rejects.toMatchObject({ name: "ResourceNotFoundException" });
  });
});

it("D9: keys of lock, queue and run index of one project never meet", async () => {
  const ledger = await open();
  const lock = { project: "keys", lockKey: "RUN#1", runId: "r", executionArn: "e", takenAtMs: 1 };
  await ledger.takeLock(lock);
  await ledger.joinQueue("keys", "RUN#1", { runId: "r", atMs: 1, executionArn: "e" });
  await ledger.putRunIndex({ project: "keys", runId: "r", executionArn: "e", startedAtMs: 1, state: "running" }, 1);
  expect(await partition("PROJECT#keys")).toHaveLength(3);
  const { Items = [] } = await client.send(new ScanCommand({ TableName: TABLE }));
  const names = Items.map((row) => `${row.pk?.S}/${row.sk?.S}`);
  expect(new Set(names).size).toBe(names.length);
});

async function partition(pk: string): Promise<Record<string, AttributeValue>[]> {
  const command = new QueryCommand({
    TableName: TABLE,
    KeyConditionExpression: "pk = :pk",
    ExpressionAttributeValues: { ":pk": { S: pk } },
  });
  return (await client.send(command)).Items ?? [];
}
