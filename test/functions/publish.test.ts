import { beforeEach, describe, expect, it, test } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import { eventDetailSchemas, type RunEvent } from "#core/contracts/events.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { policySchema } from "#core/contracts/settings.ts";
import type { EventChange } from "#core/run/events/event-change.ts";
import type { NodeFacts } from "#core/run/planning/node-facts.ts";
import { summarise } from "#core/run/reporting/summary.ts";
import { eventStart } from "#core/start-after.ts";
import { type PublishDeps, publish } from "../../functions/publish/publish.ts";
import { FakeArtefacts, FakeEvents } from "../support/fake-clients.ts";
import { buildEnd, runRow, taskRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { dataTest, planOf, vertex } from "../support/run-builders.ts";

const key = { project: "shop", runId: "run-1", round: 1 };
const ORDERS = "model.shop.orders";
const DAYS = "model.shop.days";
const UNIQUE = "test.shop.unique_orders";
const SOURCE_TEST = "test.shop.source_not_null";
const plan = planOf([
  vertex(ORDERS),
  vertex(DAYS, [ORDERS, UNIQUE]),
  dataTest(UNIQUE, [ORDERS]),
  dataTest(SOURCE_TEST, []),
]);
const facts: NodeFacts = {
  contract: 1,
  vertices: {
    [ORDERS]: {
      owner: { name: "Finance", email: "finance@example.com", group: "finance" },
      tags: ["nightly"],
      meta: { tier: 1 },
      relation: '"shop"."main"."orders"',
      columns: [{ name: "id", type: "integer" }],
      inputs: ['"shop"."raw"."orders"'],
    },
  },
};

let ledger: Ledger;
let events: FakeEvents;
let artefacts: FakeArtefacts;
const deps = (changes: Partial<PublishDeps> = {}): PublishDeps => ({
  ledger,
  events,
  artefacts,
  readPlan: async () => plan,
  readFacts: async () => facts,
  stack: "stepwatch",
  consumerMachineArn: "arn:aws:states:eu-west-1:123456789012:stateMachine:stepwatch-consumer",
  datasets: true,
  ...changes,
});

async function begin(policy: Record<string, unknown> = {}): Promise<void> {
  ledger = memoryLedger();
  events = new FakeEvents();
  artefacts = new FakeArtefacts();
  const executionArn = "arn:aws:states:eu-west-1:123456789012:execution:stepwatch-run:run-1";
  const { settings } = runRow(key);
  await ledger.createRun(runRow(key, { executionArn, settings: { ...settings, policy: policySchema.parse(policy) } }));
  await ledger.createTask(key, 0, taskRow(1));
  await ledger.markClaimed(key, 1);
  await ledger.passFence(key, 1, { taskArn: "arn:1", startedAtMs: 1, logStream: "dbt/1" });
  await ledger.setPlan(key, { planKey: "runs/shop/run-1/tasks/1/plan.json", plannedVertices: 4, plannedNodes: 2 });
}
beforeEach(() => begin());

const presentRun = async (): Promise<RunRow> => (await ledger.readRun(key))!;
const say = (uniqueId: string, status: string, more: Record<string, unknown> = {}, task = 1) =>
  ledger.writeVertex(key, task, { uniqueId, status, evidence: true, startedAtMs: 1_000, endedAtMs: 2_000, ...more });
const failedWord = (uniqueId: string, task = 1): EventChange => ({
  ...{ project: "shop", runId: "run-1", atMs: 5_000 },
  ...{ kind: "vertex failed", uniqueId, task },
});
const nodeEnd = (uniqueId: string, outcome: "green" | "red" = "green"): EventChange => ({
  ...{ project: "shop", runId: "run-1", atMs: 6_000 },
  ...{ kind: "node ended", uniqueId, part: "node", outcome },
});
/** A build of one vertex alone, by which an earlier failure is repaired. */
async function builtAgain(uniqueId: string, status: string, task = 2): Promise<void> {
  await ledger.createTask(key, task - 1, taskRow(task));
  await ledger.markClaimed(key, task);
  await ledger.claimVertex(key, task, { uniqueId, from: 1 });
  await ledger.passFence(key, task, { taskArn: `arn:${task}`, startedAtMs: 1 });
  await say(uniqueId, status, {}, task);
}
async function ended(state: RunRow["state"], verdict = "It is over."): Promise<EventChange> {
  await ledger.endTask(key, 1, "arn:1", buildEnd({ exitCode: state === "green" ? 0 : 1 }), 9);
  const end = { state, verdict, endedAtMs: (await presentRun()).startedAtMs + 60_000 };
  const summaryKey = "runs/shop/run-1/summary-1.json";
  const [tasks, rows] = [await ledger.readTasks(key), await ledger.readVertices(key)];
  const run = { ...(await presentRun()), ...end, summaryKey };
  await artefacts.putJson(summaryKey, summarise({ run, plan, rows, tasks, nowMs: end.endedAtMs }));
  await ledger.endRun(key, { ...end, summaryKey });
  return { project: "shop", runId: "run-1", atMs: end.endedAtMs, kind: "run ended", run };
}
const told = () =>
  events.published.map(({ detailType, detail }) => [detailType, (detail as { uniqueId?: string }).uniqueId]);
const only = <T extends RunEvent["detailType"]>(type: T) =>
  events.published.filter((event) => event.detailType === type) as unknown as Extract<RunEvent, { detailType: T }>[];

describe("H3: datasets", () => {
  it("one event per built model, with its relation, columns, inputs, rows and owner, when its execution ends green", async () => {
    await say(ORDERS, "success", { rowsAffected: 7 });
    await publish([nodeEnd(ORDERS)], deps());
    expect(told()).toEqual([["Dataset updated", ORDERS]]);
    expect(only("Dataset updated")[0]!.detail).toMatchObject({
      contract: 1,
      project: "shop",
      runId: "run-1",
      stack: "stepwatch",
      relation: '"shop"."main"."orders"',
      columns: [{ name: "id", type: "integer" }],
      inputs: ['"shop"."raw"."orders"'],
      rowsAffected: 7,
      owner: { name: "Finance", email: "finance@example.com", group: "finance" },
      tags: ["nightly"],
      meta: { tier: 1 },
      startedAt: "1970-01-01T00:00:01.000Z",
      executionUrl: expect.stringMatching(
        /^https:\/\/eu-west-1\.console\.aws\.amazon\.com\/states\/home\?region=eu-west-1#\/v2\/executions\/details\/arn:aws:states:eu-west-1:123456789012:execution:stepwatch-consumer:model-shop-orders-/,
      ),
      logUrl: expect.stringContaining("$252Fstepwatch$252Fstepwatch$252Fshop/log-events/dbt$252F1"),
    });
  });

  it("none after a failure, of what dbt reused, of what a person marked good, or of what an older run has built", async () => {
    await say(ORDERS, "error");
    await publish([nodeEnd(ORDERS, "red")], deps());
    await say(DAYS, "reused");
    await publish([nodeEnd(DAYS)], deps());
    await ledger.setMark(key, ORDERS, 1, { as: "good", by: "ann", atMs: 9_000, reason: "looked at it" });
    await publish([nodeEnd(ORDERS)], deps());
    expect(only("Dataset updated")).toEqual([]);
    await begin();
    await say(ORDERS, "success");
    const adopted = async () => (await ledger.readTasks(key)).map((task) => ({ ...task, round: 0 }));
    await publish([nodeEnd(ORDERS)], deps({ ledger: { ...ledger, readTasks: adopted } }));
    expect(only("Dataset updated")).toEqual([]);
  });

  it("off by setting; and a batch that comes twice has the same ids", async () => {
    await say(ORDERS, "success");
    await publish([nodeEnd(ORDERS)], deps({ datasets: false }));
    expect(events.published).toEqual([]);
    await publish([nodeEnd(ORDERS), nodeEnd(ORDERS)], deps());
    await publish([nodeEnd(ORDERS)], deps());
    const ids = only("Dataset updated").map(({ detail }) => detail.id);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
  });

  it("without the project's facts an event has what is known", async () => {
    await say(ORDERS, "success");
    await publish([nodeEnd(ORDERS)], deps({ readFacts: async () => null }));
    expect(only("Dataset updated")[0]!.detail).toMatchObject({ relation: null, owner: null, tags: [], columns: [] });
  });
});

describe("H4: failures and what becomes of them", () => {
  it("what is tried again is a pending retry, once, and recovered when it is good", async () => {
    await say(ORDERS, "error", { message: "connection reset by peer" });
    await publish([failedWord(ORDERS)], deps());
    await publish([failedWord(ORDERS)], deps());
    expect(told()).toEqual([["Retry pending", ORDERS]]);
    expect(only("Retry pending")[0]!.detail).toMatchObject({
      status: "error",
      message: "connection reset by peer",
      tries: 1,
    });
    await builtAgain(ORDERS, "success");
    await publish([nodeEnd(ORDERS)], deps());
    await publish([nodeEnd(ORDERS)], deps({ datasets: false }));
    expect(told().slice(1)).toEqual([
      ["Dataset updated", ORDERS],
      ["Node recovered", ORDERS],
    ]);
    expect(only("Node recovered")[0]!.detail).toMatchObject({ after: "retry", tries: 2 });
  });

  it("what no try would mend is failed at once, while the build goes on, with what it gates", async () => {
    await say(ORDERS, "error", { message: "Compilation Error in model orders\n  nope" });
    await publish([failedWord(ORDERS)], deps());
    expect(told()).toEqual([["Node failed", ORDERS]]);
    expect(only("Node failed")[0]!.detail).toMatchObject({
      gates: 2,
      reason: expect.stringContaining("comes to the same each time"),
      owner: { email: "finance@example.com" },
    });
  });

  it("a test that found rows is failed by itself, its node is not; the run's end tells it no second time", async () => {
    await say(SOURCE_TEST, "pass");
    await say(ORDERS, "success");
    await say(UNIQUE, "fail", { failures: 3, relation: '"audit"."unique_orders"' });
    await publish([failedWord(UNIQUE)], deps());
    await ledger.setFinal(key, 1, { uniqueId: UNIQUE, final: "dead", finalReason: "a data test that ran" });
    await ledger.setFinal(key, 1, { uniqueId: DAYS, final: "doomed", finalReason: "upstream", rootCause: UNIQUE });
    const end = await ended("red");
    await publish([end], deps());
    expect(told()).toEqual([
      ["Node failed", UNIQUE],
      ["Run ended", undefined],
    ]);
    expect(only("Node failed")[0]!.detail).toMatchObject({
      failures: 3,
      relation: '"audit"."unique_orders"',
      on: [ORDERS],
      executionArn: null,
    });
    expect(only("Run ended")[0]!.detail).toMatchObject({
      state: "red",
      causeCount: 1,
      causes: [{ uniqueId: UNIQUE, gates: 1 }],
      counts: { good: 2, failed: 1, doomed: 1 },
      seconds: 60,
    });
  });

  it("a root that nothing has told of is told with the run's end", async () => {
    for (const test of [SOURCE_TEST, UNIQUE]) await say(test, "pass");
    await say(ORDERS, "error", { message: "Compilation Error" });
    await ledger.setFinal(key, 1, { uniqueId: ORDERS, final: "dead", finalReason: "given up" });
    await publish([await ended("red")], deps());
    expect(told()).toEqual([
      ["Node failed", ORDERS],
      ["Run ended", undefined],
    ]);
    expect(only("Node failed")[0]!.detail.reason).toBe("given up");
  });

  it("tries that are used up are no last word while a round follows by itself", async () => {
    await begin({ retries: { node: 0, test: 0 }, runRetries: 1 });
    await say(ORDERS, "error", { message: "connection reset by peer" });
    await publish([failedWord(ORDERS)], deps());
    expect(told()).toEqual([["Retry pending", ORDERS]]);
    await say(DAYS, "error", { message: "Compilation Error in model days" });
    await publish([failedWord(DAYS)], deps());
    expect(told().at(-1)).toEqual(["Node failed", DAYS]);
  });

  it("a run that is being stopped promises nothing; a word that came too late says nothing", async () => {
    await say(ORDERS, "error");
    await publish([failedWord(ORDERS, 7)], deps());
    await ledger.requestStop(key, { atMs: 3_000, reason: "enough" });
    await publish([failedWord(ORDERS)], deps());
    expect(events.published).toEqual([]);
  });

  it("a test on no node has recovered with the run's end, since no execution says so", async () => {
    await say(SOURCE_TEST, "error", { message: "connection reset by peer" });
    await publish([failedWord(SOURCE_TEST)], deps());
    await builtAgain(SOURCE_TEST, "pass");
    for (const good of [ORDERS, DAYS]) await say(good, "success");
    await say(UNIQUE, "pass");
    await publish([await ended("green")], deps());
    expect(told()).toEqual([
      ["Retry pending", SOURCE_TEST],
      ["Node recovered", SOURCE_TEST],
      ["Run ended", undefined],
    ]);
  });

  it("events that EventBridge does not take are told again by the stream: nothing is marked before they are out", async () => {
    await say(ORDERS, "error", { message: "connection reset by peer" });
    events.failNext();
    await expect(publish([failedWord(ORDERS)], deps())).rejects.toThrow();
    await publish([failedWord(ORDERS)], deps());
    expect(told()).toEqual([["Retry pending", ORDERS]]);
  });

  it("a run without a plan has a beginning and an end, and a summary that is gone leaves the verdict", async () => {
    const run = { ...(await presentRun()) };
    const { planKey: _, ...planless } = run;
    const at = { project: "shop", runId: "run-1", atMs: 1 };
    const over = {
      ...planless,
      state: "red" as const,
      verdict: "No profile.",
      endedAtMs: run.startedAtMs + 5_000,
      summaryKey: "gone",
    };
    await publish(
      [
        { ...at, kind: "run started", run },
        { ...at, kind: "run ended", run: over },
      ],
      deps(),
    );
    expect(told()).toEqual([
      ["Run started", undefined],
      ["Run ended", undefined],
    ]);
    expect(only("Run ended")[0]!.detail).toMatchObject({ verdict: "No profile.", counts: null, causes: [] });
    expect(only("Run ended")[0]!.detail).toMatchObject({ kind: "build", job: null });
  });

  it("H7: a command's end says that it is no build: what starts after the project's runs does not hear it", async () => {
    const over = {
      ...(await presentRun()),
      input: { project: "shop", command: ["seed"] },
      state: "green" as const,
      verdict: "Well.",
    };
    const { planKey: _, ...planless } = over;
    await publish([{ project: "shop", runId: "run-1", atMs: 1, kind: "run ended", run: planless }], deps());
    const { detail } = only("Run ended")[0]!;
    expect(detail).toMatchObject({ state: "green", kind: "command" });
    const { pattern } = eventStart({ project: "shop" }, "stepwatch");
    expect((pattern.detail as { kind: string[] }).kind).not.toContain((detail as { kind: string }).kind);
  });

  it.each([
    [{}, true],
    [{ job: "nightly", vars: { day: "x" }, scheduledTime: "2026-01-31" }, true],
    [{ resume: { run: "run-0" } }, true],
    [{ select: ["orders"] }, false],
    [{ target: "staging" }, false],
    [{ eventTimeStart: "2026-01-01", eventTimeEnd: "2026-01-02", backfill: "arn" }, false],
    [{ indirectSelection: "cautious" }, false],
    [{ resume: { run: "run-0", nodes: ["model.shop.orders"] } }, true, "red"],
    [{ resume: { run: "run-0", nodes: ["model.shop.orders"] } }, false, "green"],
  ] as [object, boolean, ("red" | "green")?][])(
    "H8: a green run with the input %j is one that others follow: %s",
    async (more, asConfigured, past) => {
      const rounds = past === undefined ? [] : [{ round: 1, state: past, verdict: "", startedAtMs: 1, endedAtMs: 2 }];
      const run = {
        rounds,
        ...(await presentRun()),
        input: { project: "shop", ...more },
        state: "green" as const,
        verdict: "Well.",
      };
      await publish([{ project: "shop", runId: "run-1", atMs: 1, kind: "run ended", run }], deps());
      expect(only("Run ended")[0]!.detail).toMatchObject({ asConfigured });
    },
  );
});

test("H4: every event is as its schema says, and none is larger than EventBridge takes", async () => {
  const long = "x".repeat(300_000);
  await say(ORDERS, "success");
  await say(UNIQUE, "fail", { message: long });
  await publish([nodeEnd(ORDERS), failedWord(UNIQUE)], deps());
  await builtAgain(UNIQUE, "pass");
  await publish([nodeEnd(ORDERS)], deps());
  const at = { project: "shop", runId: "run-1", atMs: 1 };
  await publish([{ ...at, kind: "run started", run: await presentRun() }, await ended("red", long)], deps());
  expect(new Set(events.published.map(({ detailType }) => detailType)).size).toBeGreaterThan(4);
  for (const { detailType, detail } of events.published) {
    eventDetailSchemas[detailType as keyof typeof eventDetailSchemas].parse(detail);
    expect(JSON.stringify(detail).length).toBeLessThan(100_000);
  }
});
