import { marshall } from "@aws-sdk/util-dynamodb";
import type { DynamoDBRecord } from "aws-lambda";
import { beforeEach, describe, expect, it, test } from "vitest";
import { changeOf } from "#clients/dynamo/stream.ts";
import type { Ledger } from "#clients/ledger.ts";
import { CLOSELY, WOKEN } from "#core/contracts/payloads.ts";
import { policySchema } from "#core/contracts/settings.ts";
import { STREAM_FILTERS } from "#core/contracts/stream.ts";
import { InputError, LedgerUnavailable } from "#core/errors.ts";
import { keys } from "#core/names.ts";
import type { LedgerChange } from "#core/run/watching/ledger-change.ts";
import { type WakeDeps, wake } from "../../functions/wake/wake.ts";
import { watchNode } from "../../functions/watch-node/watch-node.ts";
import { FakeExecutions } from "../support/fake-clients.ts";
import { buildEnd, runRow, taskRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { dataTest, planOf, vertex } from "../support/run-builders.ts";

const run = { project: "shop", runId: "run-1" };
const key = { ...run, round: 1 };
const plan = planOf([vertex("a"), vertex("b", ["a"]), dataTest("test.a", ["a"]), dataTest("test.ab", ["a", "b"])]);
const machine = "arn:aws:states:us-east-1:000000000000:stateMachine:consumer";

let ledger: Ledger;
let executions: FakeExecutions;
const deps = (changes: Partial<WakeDeps> = {}): WakeDeps => ({
  ledger,
  executions,
  readPlan: async () => plan,
  consumerMachineArn: machine,
  nowMs: () => runRow(key).startedAtMs + 60_000,
  ...changes,
});

beforeEach(async () => {
  ledger = memoryLedger();
  executions = new FakeExecutions();
  await ledger.createRun(runRow(key));
  await ledger.createTask(key, 0, taskRow(1));
  await ledger.markClaimed(key, 1);
  await ledger.passFence(key, 1, { taskArn: "arn:1", startedAtMs: 1 });
  await ledger.setPlan(key, { planKey: "plan", plannedVertices: 4, plannedNodes: 2 });
  await ledger.keepRunWait(key, { token: "run token", averageSeconds: 7 });
});

const say = (uniqueId: string, status: string) =>
  ledger.writeVertex(key, 1, {
    uniqueId,
    status,
    evidence: status !== "skipped",
    startedAtMs: 1,
    ...(status === "started" ? {} : { endedAtMs: 2 }),
  });
const told = (uniqueId: string, status: string): LedgerChange => ({
  ...run,
  kind: "vertex",
  uniqueId,
  is: status === "started" ? "started" : "ended",
  status,
});
/** dbt says it, and its record reaches wake. */
const heard = async (uniqueId: string, status: string) => {
  await say(uniqueId, status);
  await wake([told(uniqueId, status)], deps());
};
const consumer = (uniqueId: string) => ({ contract: 1 as const, ...key, uniqueId, part: "node" as const });
/** A turn of a consumer that waits for an hour, unless it is told. */
const waits = (uniqueId: string, token = `token of ${uniqueId}`) =>
  watchNode(
    token,
    consumer(uniqueId),
    { ledger, executions, readPlan: async () => plan, nowMs: () => 9 },
    0,
    "patiently",
  );
/** What a turn works with that notes its token a moment late: this happens before. */
const notingAfter = (happens: () => Promise<unknown>) => ({
  ledger: {
    ...ledger,
    keepConsumerWait: async (...given: Parameters<Ledger["keepConsumerWait"]>) => {
      await happens();
      await ledger.keepConsumerWait(...given);
    },
  },
  executions,
  readPlan: async () => plan,
  nowMs: () => 9,
});
const answers = () => executions.answered.map(({ taskToken, output, error }) => [taskToken, output ?? error]);

describe("wake: consumers", () => {
  it("F1: starts the consumer of a node that dbt has just reached, once", async () => {
    await heard("a", "started");
    await wake([told("a", "started")], deps());
    expect(executions.started.map(({ input }) => input)).toEqual([consumer("a")]);
  });

  it("starts none for a skip, for a test, or in a run that has ended", async () => {
    await heard("b", "skipped");
    await heard("test.a", "started");
    await say("a", "success");
    await ledger.endRun(key, { state: "stopped", verdict: "no", summaryKey: null, endedAtMs: 5 });
    await wake([told("a", "success")], deps());
    expect(executions.started).toEqual([]);
  });

  it("F1 F17: a consumer takes one turn, whatever it waits for, and is answered when its last test has ended", async () => {
    await heard("a", "started");
    expect(await waits("a")).toBe("waiting");
    for (const [id, status] of [
      ["a", "success"],
      ["test.a", "pass"],
      ["b", "started"],
      ["b", "success"],
    ] as const) {
      await heard(id, status);
      expect(answers().filter(([token]) => token === "token of a")).toEqual([]);
    }
    await heard("test.ab", "warn");
    expect(answers()).toEqual([["token of a", expect.objectContaining({ uniqueId: "a", outcome: "green" })]]);
    expect((await ledger.readSomeVertices(key, ["a"]))[0]?.outcome).toBe("green");
  });

  it("F12: whichever comes second wakes: a word that lands before the token is noted is not missed", async () => {
    await say("a", "success");
    await say("test.a", "pass");
    await say("test.ab", "started");
    const turn = notingAfter(() => heard("test.ab", "pass"));
    expect(await watchNode("late token", consumer("a"), turn, 0, "patiently")).toBe("green");
    expect(answers()).toEqual([["late token", expect.objectContaining({ outcome: "green" })]]);
  });

  it("F12 F14: nor does a redriven consumer miss the end of its run that comes in between", async () => {
    await say("a", "error");
    await ledger.setFinal(key, 1, { uniqueId: "a", final: "dead", finalReason: "no tries are left" });
    await ledger.markRedrivenConsumer(key, "a", "node", { redrives: 1, round: 1 });
    const turn = notingAfter(() =>
      ledger.endRun(key, { state: "stopped", verdict: "enough", summaryKey: null, endedAtMs: 5 }),
    );
    expect(await watchNode("late token", consumer("a"), turn, 1, "patiently")).toBe("red");
    expect(answers()).toEqual([["late token", expect.objectContaining({ name: "NodeFailed" })]]);
  });

  it("F17: what has only begun is no word on a consumer: neither tasks nor rows around it are read, and none is answered", async () => {
    await say("a", "started");
    await waits("a");
    for (const id of ["a", "test.a"]) await say(id, "success");
    await say("test.ab", "pass");
    await say("b", "started");
    const reads: string[][] = [];
    const blind: Ledger = {
      ...ledger,
      readTasks: () => Promise.reject(new Error("read")),
      readSomeVertices: (of, ids) => {
        reads.push([...ids]);
        return ledger.readSomeVertices(of, ids);
      },
    };
    await wake([told("b", "started")], deps({ ledger: blind }));
    await wake([told("test.ab", "started")], deps({ ledger: blind }));
    expect(reads).toEqual([["b"], ["test.ab", "a", "b"]]);
    expect(answers()).toEqual([]);
    expect(executions.started.map(({ input }) => (input as { uniqueId: string }).uniqueId)).toEqual(["b", "a"]);
  });

  it("F5 F3: a failure alone says nothing; the decision maker's last word does", async () => {
    await heard("a", "started");
    await waits("a");
    await heard("a", "error");
    expect(answers()).toEqual([]);
    await ledger.setFinal(key, 1, { uniqueId: "a", final: "dead", finalReason: "no tries are left" });
    await wake([{ ...run, kind: "vertex", uniqueId: "a", is: "closed" }], deps());
    expect(answers()).toEqual([["token of a", expect.objectContaining({ name: "NodeFailed" })]]);
  });

  it("a record that comes twice, and one for a token that is over, change nothing", async () => {
    await heard("a", "started");
    await waits("a");
    executions.close("token of a");
    await say("test.a", "pass");
    await say("test.ab", "pass");
    await heard("a", "success");
    await wake([told("a", "success")], deps());
    expect(answers()).toEqual([]);
    // Its next turn finds what is noted.
    expect(await waits("a", "next token")).toBe("green");
  });

  it("F12: a later turn that noted its token while an older one was answered is told too", async () => {
    await heard("a", "started");
    await waits("a", "older token");
    executions.close("older token");
    for (const test of ["test.a", "test.ab"]) await say(test, "pass");
    await say("a", "success");
    const slow = {
      ...ledger,
      setOutcome: async (...given: Parameters<Ledger["setOutcome"]>) => {
        await ledger.keepConsumerWait(key, "a", "node", { token: "later token", round: 1, redrives: 0, atMs: 9 });
        await ledger.setOutcome(...given);
      },
    };
    await wake([told("a", "success")], deps({ ledger: slow }));
    expect(answers()).toEqual([["later token", expect.objectContaining({ outcome: "green" })]]);
  });

  it("what can not be sent is not noted: a repeated record tells it", async () => {
    await heard("a", "started");
    await waits("a");
    await say("test.a", "pass");
    await say("test.ab", "pass");
    await say("a", "success");
    executions.failNext("succeed");
    await expect(wake([told("a", "success")], deps())).rejects.toThrow();
    expect((await ledger.readSomeVertices(key, ["a"]))[0]?.outcome).toBeUndefined();
    await wake([told("a", "success")], deps());
    expect(answers()).toHaveLength(1);
  });

  it("nodes that were reached before the plan was known are found with it", async () => {
    await say("a", "started");
    await wake([told("a", "started")], deps({ readPlan: async () => null }));
    expect(executions.started).toEqual([]);
    await wake([{ ...run, kind: "planned" }], deps());
    expect(executions.started).toHaveLength(1);
  });

  it("F14: a redriven consumer whose round was not opened looks itself what became of it", async () => {
    await heard("a", "started");
    await ledger.keepConsumerWait(key, "a", "node", { token: "patient", round: 2, redrives: 1, atMs: 9 });
    await heard("a", "success");
    expect(answers()).toEqual([]);
    await ledger.endRun(key, { state: "red", verdict: "no", summaryKey: null, endedAtMs: 5 });
    await wake([told("a", "success")], deps());
    expect(answers()).toEqual([["patient", expect.objectContaining({ name: CLOSELY })]]);
  });
});

describe("wake: the run", () => {
  const woken = () => executions.answered.filter(({ taskToken }) => taskToken.endsWith("run token"));

  it("F13: is woken by a task's end, a plan that is told, a stop and a person's mark, not by statuses, the plan once it is accepted, or a last word", async () => {
    await heard("a", "started");
    await heard("a", "error");
    await wake(
      [
        { ...run, kind: "planned" },
        { ...run, kind: "vertex", uniqueId: "a", is: "closed" },
      ],
      deps(),
    );
    expect(woken()).toEqual([]);
    await wake([{ ...run, kind: "task over" }], deps());
    await ledger.keepRunWait(key, { token: "next run token", averageSeconds: 7 });
    await wake([{ ...run, kind: "stop" }], deps());
    await ledger.keepRunWait(key, { token: "third run token", averageSeconds: 7 });
    await wake([{ ...run, kind: "plan told" }], deps());
    await ledger.keepRunWait(key, { token: "fourth run token", averageSeconds: 7 });
    await wake([{ ...run, kind: "marked" }], deps());
    expect(woken().map(({ error }) => error)).toEqual([
      expect.objectContaining({ name: WOKEN }),
      expect.objectContaining({ name: WOKEN }),
      expect.objectContaining({ name: WOKEN }),
      expect.objectContaining({ name: WOKEN }),
    ]);
  });

  it("G19: with recovery: early a new failure wakes it too", async () => {
    const early = { ...key, runId: "early" };
    const policy = policySchema.parse({ recovery: "early" });
    await ledger.createRun({ ...runRow(early), settings: { ...runRow(early).settings, policy } });
    await ledger.keepRunWait(early, { token: "early token", averageSeconds: 7 });
    const change = { ...early, kind: "vertex", uniqueId: "a", is: "ended" } as const;
    await wake([{ ...change, status: "success" }], deps());
    expect(executions.answered).toEqual([]);
    await wake([{ ...change, status: "error" }], deps());
    expect(executions.answered).toHaveLength(1);
  });

  it("is not woken when it is ready, has ended, polls, is unknown, or has no turn to spare in its history", async () => {
    const over: LedgerChange = { ...run, kind: "task over" };
    const seenAs = (changes: object) =>
      deps({ ledger: { ...ledger, readRun: async (of) => ({ ...(await ledger.readRun(of))!, ...changes }) } });
    for (const changes of [{ readyAtMs: 1 }, { state: "red" }, { wait: undefined }, { turns: 40 + 9 }])
      await wake([over], seenAs(changes));
    await wake([{ ...over, runId: "unknown" }], deps());
    expect(executions.answered).toEqual([]);
    await wake([over], seenAs({ turns: 40 + 8 }));
    expect(executions.answered).toHaveLength(1);
  });

  it("one record that says nothing of a run does not keep the others from theirs", async () => {
    await wake(
      [
        { project: "shop", runId: "unknown", kind: "task over" },
        { ...run, kind: "task over" },
      ],
      deps(),
    );
    expect(woken()).toHaveLength(1);
  });
});

describe("wake: a dimension with a relationships test of each fact", () => {
  const FACTS = 300;
  const facts = Array.from({ length: FACTS }, (_, at) => `fact_${at}`);
  const testOf = (fact: string) => `test.of_${fact}.${(Number(fact.slice(5)) * 2_654_435_761).toString(16).slice(-6)}`;
  const star = planOf([
    vertex("hub"),
    ...facts.map((fact) => vertex(fact, ["hub"])),
    ...facts.map((fact) => dataTest(testOf(fact), ["hub", fact])),
  ]);
  const ofStar = (changes: Partial<WakeDeps> = {}) => deps({ readPlan: async () => star, ...changes });
  const hubWaits = () =>
    watchNode(
      "hub token",
      consumer("hub"),
      { ledger, executions, readPlan: async () => star, nowMs: () => 9 },
      0,
      "patiently",
    );
  const hubAnswers = () => answers().filter(([token]) => token === "hub token");

  beforeEach(async () => {
    await say("hub", "success");
    await hubWaits();
    for (const fact of facts) await say(fact, "success");
  });

  it("F17: is answered after the last of them, and what is read for it grows by their number, not by its square", async () => {
    let read = 0;
    const counting = {
      ...ledger,
      readSomeVertices: async (...given: Parameters<Ledger["readSomeVertices"]>) => {
        read += given[1].length;
        return ledger.readSomeVertices(...given);
      },
    };
    for (const fact of facts) {
      expect(hubAnswers()).toEqual([]);
      await say(testOf(fact), "pass");
      await wake([told(testOf(fact), "pass")], ofStar({ ledger: counting }));
    }
    expect(hubAnswers()).toEqual([["hub token", expect.objectContaining({ outcome: "green" })]]);
    // Each reading all of them would be 90,000.
    expect(read / FACTS).toBeLessThan(40);
  });

  it("F5: one that has failed for good is told at once, whatever the others say", async () => {
    const failed = testOf("fact_7");
    await say(failed, "fail");
    await ledger.setFinal(key, 1, { uniqueId: failed, final: "dead", finalReason: "it found rows" });
    await wake([{ ...run, kind: "vertex", uniqueId: failed, is: "closed" }], ofStar());
    expect(hubAnswers()).toEqual([["hub token", expect.objectContaining({ name: "NodeFailed" })]]);
  });

  it("F12: two consumers whose tests are looked at beside each other are both answered", async () => {
    for (const fact of facts.slice(1)) await say(testOf(fact), "pass");
    await ledger.keepConsumerWait(key, "fact_0", "node", { token: "fact token", round: 1, redrives: 0, atMs: 9 });
    await say(testOf("fact_0"), "pass");
    await wake([told(testOf("fact_0"), "pass")], ofStar());
    expect(
      answers()
        .map(([token]) => token)
        .toSorted(),
    ).toEqual(["fact token", "hub token"]);
  });
});

describe("wake: what one run can not be told", () => {
  const other = { ...key, runId: "run-2" };
  const both: LedgerChange[] = [
    { ...run, kind: "vertex", uniqueId: "a", is: "ended", status: "success" },
    { project: other.project, runId: other.runId, kind: "task over" },
  ];
  beforeEach(async () => {
    await ledger.createRun(runRow(other));
    await ledger.keepRunWait(other, { token: "other token", averageSeconds: 7 });
  });
  const failing = (error: Error) => deps({ ledger: { ...ledger, readSomeVertices: () => Promise.reject(error) } });
  const tokens = () => executions.answered.map(({ taskToken }) => taskToken);

  it("F13: a row that can not be read is passed over: it keeps neither the other runs of its batch nor the shard waiting", async () => {
    await wake(both, failing(new InputError("The ledger refused", ["status: Required"])));
    expect(tokens()).toEqual(["other token"]);
  });

  it.each([
    new LedgerUnavailable("call again in a moment"),
    Object.assign(new Error("no"), { name: "AccessDeniedException", $fault: "client" }),
  ])("F13: what may pass is thrown, for the batch to come again, once the others are told: %s", async (error) => {
    await expect(wake(both, failing(error))).rejects.toThrow(error);
    expect(tokens()).toEqual(["other token"]);
  });
});

describe("records of the table's stream", () => {
  const told = keys.buildPartition("shop", "run-1");
  const decided = keys.runPartition("shop", "run-1");
  const record = (pk: string, sk: string, after: object | null, before: object | null = null): DynamoDBRecord => ({
    dynamodb: {
      Keys: marshall({ pk, sk }) as never,
      ...(after && { NewImage: marshall({ pk, sk, ...after }, { removeUndefinedValues: true }) as never }),
      ...(before && { OldImage: marshall({ pk, sk, ...before }, { removeUndefinedValues: true }) as never }),
    },
  });
  const word = keys.word(1, "model.shop.a");
  const node = keys.vertex("model.shop.a");

  it.each([
    ["a start", record(told, word, { status: "started", evidence: true }), { kind: "vertex", is: "started" }],
    [
      "an end",
      record(told, word, { status: "success", evidence: true }, { status: "started", evidence: true }),
      { kind: "vertex", uniqueId: "model.shop.a", is: "ended", status: "success" },
    ],
    ["a last word", record(decided, node, { final: "dead" }, { ownerTask: 1 }), { is: "closed" }],
    ["a last word on what was never reached", record(decided, node, { final: "doomed" }), { is: "closed" }],
    ["a build's end", record(told, keys.task(1), { end: buildEnd({}) }, { sequence: 1 }), { kind: "task over" }],
    [
      "a task that is over for ECS",
      record(decided, keys.task(1), { state: "over" }, { state: "launching" }),
      { kind: "task over" },
    ],
    ["a plan", record(told, keys.task(1), { toldPlanKey: "plan" }, { sequence: 1 }), { kind: "plan told" }],
    [
      "a plan that is accepted",
      record(decided, keys.run, { state: "running", planKey: "plan" }, { state: "running" }),
      { kind: "planned" },
    ],
    [
      "a stop after what is being built",
      record(decided, keys.run, { state: "running", stopAfterCurrentAtMs: 5 }, { state: "running" }),
      { kind: "stop" },
    ],
    [
      "a person's mark",
      record(decided, keys.run, { state: "running", marks: 2 }, { state: "running", marks: 1 }),
      { kind: "marked" },
    ],
    [
      "a stop",
      record(decided, keys.run, { state: "running", stopRequestedAtMs: 5 }, { state: "running" }),
      { kind: "stop" },
    ],
  ])("%s is told, and passes a filter", (_, given, expected) => {
    expect(changeOf(given)).toMatchObject({ ...run, ...expected });
    expect(passes(given)).toBe(true);
  });

  it.each([
    ["a heartbeat", record(told, keys.task(1), { heartbeatAtMs: 2, sequence: 5 }, { sequence: 4 })],
    ["a beat after the end", record(told, keys.task(1), { end: buildEnd({}), a: 1 }, { end: buildEnd({}) })],
    ["a claim", record(decided, node, { ownerTask: 2, epoch: 1 }, {})],
    ["a token", record(decided, node, { wait: { token: "t", round: 1, redrives: 0 } }, {})],
    ["an outcome", record(decided, node, { outcome: "green" }, {})],
    ["a consumer's mark below a last word", record(decided, node, { final: "dead", a: 1 }, { final: "dead" })],
    ["a lock", record("PROJECT#shop", "LOCK#default", { runId: "run-1" })],
    ["a row that has expired", record(told, word, null, { status: "success" })],
  ])("%s passes no filter", (_, given) => {
    expect(passes(given)).toBe(false);
    expect(changeOf(given)).toBeNull();
  });

  it.each([
    ["a turn of the run", record(decided, keys.run, { state: "running", turns: 2 }, { state: "running", turns: 1 })],
    ["a launch", record(decided, keys.task(1), { state: "launching", taskArn: "arn" }, { state: "launching" })],
    [
      "a word that is completed",
      record(told, word, { status: "error", evidence: true, message: "why" }, { status: "error", evidence: true }),
    ],
  ])("%s is told to nobody", (_, given) => {
    expect(changeOf(given)).toBeNull();
  });

  it("D18: an id that is cut in its key is told whole", () => {
    const long = `test.shop.${"x".repeat(2_000)}`;
    const given = record(told, keys.word(1, long), { uniqueId: long, status: "pass", evidence: true });
    expect(changeOf(given)).toMatchObject({ uniqueId: long });
  });

  test("no more filters than Lambda takes of an event source", () => {
    expect(STREAM_FILTERS.length).toBeLessThanOrEqual(5);
  });

  /** Lambda's rule for the patterns that ours use: equality, prefix, anything-but, and exists, to which a map is nothing. */
  function passes(given: object): boolean {
    return STREAM_FILTERS.some((pattern) => fits(given as never, pattern as never));
  }

  type Pattern = { readonly [key: string]: Pattern | readonly unknown[] };

  function fits(value: Record<string, unknown> | undefined, pattern: Pattern): boolean {
    return Object.entries(pattern).every(([name, wanted]) => {
      const found = value?.[name];
      if (!Array.isArray(wanted)) return fits(found as Record<string, unknown>, wanted as Pattern);
      return wanted.some((one: unknown) => {
        if (typeof one === "string") return found === one;
        const [[rule, argument] = []] = Object.entries(one as object);
        if (rule === "prefix") return typeof found === "string" && found.startsWith(argument);
        if (rule === "exists") return (found !== undefined && typeof found !== "object") === argument;
        if (rule === "anything-but") return !argument.includes(found);
        throw new Error(`No filter rule is known as ${rule}.`);
      });
    });
  }
});
