import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import { policySchema } from "#core/contracts/settings.ts";
import { RowMissing } from "#core/errors.ts";
import { artefactKeys } from "#core/names.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { START_PATIENCE_MS } from "#core/run/watching/task-watch.ts";
import { type CheckRunDeps, checkRun } from "../../functions/check-run/check-run.ts";
import { FakeArtefacts, FakeEvents, FakeExecutions, FakeTasks } from "../support/fake-clients.ts";
import { buildEnd, runRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { planOf, vertex } from "../support/run-builders.ts";

const key = { project: "shop", runId: "run-1", round: 1 };
const reference = { contract: 1 as const, ...key, round: 1 };
const machine = "arn:aws:states:us-east-1:000000000000:stateMachine:consumer";
const plan = planOf([vertex("a"), vertex("b", ["a"])]);

let ledger: Ledger;
let tasks: FakeTasks;
let executions: FakeExecutions;
let artefacts: FakeArtefacts;
let nowMs: number;
let events: FakeEvents;
let warned: string[];

beforeEach(async () => {
  ledger = memoryLedger();
  tasks = new FakeTasks();
  executions = new FakeExecutions();
  artefacts = new FakeArtefacts();
  events = new FakeEvents();
  warned = [];
  nowMs = 1_700_000_001_000;
  await ledger.createRun(runRow(key));
});

function deps(changes: Partial<CheckRunDeps> = {}): CheckRunDeps {
  const readPlan = async (planKey: string): Promise<Plan | null> => (planKey === "plan" ? plan : null);
  return {
    ledger,
    artefacts,
    tasks,
    executions,
    readPlan,
    consumerMachineArn: machine,
    events,
    warn: (sentence) => warned.push(sentence),
    nowMs: () => nowMs,
    seen: new Map(),
    ...changes,
  };
}

const check = (changes: Partial<CheckRunDeps> = {}) => checkRun(reference, deps(changes));
const setPlan = () => ledger.setPlan(key, { planKey: "plan", plannedVertices: 2, plannedNodes: 2 });
const say = (task: number, uniqueId: string, status: string) =>
  ledger.writeVertex(key, task, {
    uniqueId,
    status,
    evidence: status !== "skipped",
    ...(status === "started" ? {} : { endedAtMs: nowMs }),
  });

/** The producer is launched and its container passes the fence. */
async function producing(): Promise<string> {
  await check();
  const { taskArn } = tasks.launched[0]!;
  await ledger.passFence(key, 1, { taskArn, startedAtMs: nowMs });
  return taskArn;
}

async function produced(changes: Parameters<typeof buildEnd>[0] = {}): Promise<void> {
  const taskArn = tasks.launched[0]!.taskArn;
  await ledger.endTask(key, 1, taskArn, buildEnd({ endedAtMs: nowMs, ...changes }), 2);
}

describe("one turn", () => {
  it("launches the producer once, under the token of its task", async () => {
    expect(await check()).toBe("waiting");
    expect(await check()).toBe("waiting");
    expect(tasks.launched).toHaveLength(1);
    expect(tasks.launched[0]).toMatchObject({
      environment: { STEPWATCH_RUN_ID: "run-1", STEPWATCH_TASK: "1" },
      tags: { "stepwatch:kind": "producer" },
    });
    expect(await ledger.readTasks(key)).toMatchObject([
      { task: 1, state: "launching", taskArn: tasks.launched[0]!.taskArn },
    ]);
  });

  it("G5: two at once launch one build", async () => {
    await Promise.all([check(), check(), check()]);
    expect(await ledger.readTasks(key)).toHaveLength(1);
    expect(tasks.launched).toHaveLength(1);
  });

  it("starts a consumer for each node that dbt has reached, once, and for no other", async () => {
    await producing();
    await setPlan();
    await say(1, "a", "started");
    await say(1, "b", "skipped");
    await check();
    await check();
    expect(executions.started.map((one) => one.input)).toEqual([{ ...reference, uniqueId: "a", part: "node" }]);
  });

  it("F13: answers the consumer of a node whose last word no wake has told, while the run goes on", async () => {
    await producing();
    await setPlan();
    await say(1, "a", "success");
    await ledger.keepConsumerWait(key, "a", "node", { token: "missed", round: 1, redrives: 0, atMs: 9 });
    await check();
    expect(executions.answered).toMatchObject([{ taskToken: "missed", output: { uniqueId: "a", outcome: "green" } }]);
    expect((await ledger.readSomeVertices(key, ["a"]))[0]?.outcome).toBe("green");
  });

  describe("F13: how its state waits next, where it can be woken", () => {
    const wait = { taskToken: "turn", waitSeconds: 60, netSeconds: 60, averageSeconds: 7 };
    const turn = (waitSeconds = 60, changes: Partial<CheckRunDeps> = {}) =>
      checkRun(reference, deps(changes), { ...wait, waitSeconds, beganAtMs: nowMs });

    it("notes its token before it reads anything, and counts its turns", async () => {
      const blind = { ...ledger, readRun: () => Promise.reject(new Error("read")) };
      await expect(turn(60, { ledger: blind })).rejects.toThrow("read");
      expect(await ledger.readRun(key)).toMatchObject({ wait: { token: "turn", averageSeconds: 7 }, turns: 1 });
    });

    it("a second after a launch, then while the task is on its way, then a minute; and when a retry is due", async () => {
      const seen: CheckRunDeps["seen"] = new Map();
      expect(await turn(60, { seen })).toEqual({ waitSeconds: 1 });
      nowMs += 1_000;
      expect(await turn(1, { seen })).toEqual({ waitSeconds: 15 });
      const { taskArn } = tasks.launched[0]!;
      await ledger.passFence(key, 1, { taskArn, startedAtMs: nowMs });
      expect(await turn(15, { seen })).toEqual({ waitSeconds: 60 });
      await setPlan();
      await say(1, "a", "error");
      await say(1, "b", "skipped");
      nowMs += 2_000;
      await produced({ inOrder: true, exitCode: 1 });
      const next = await turn(60, { seen });
      expect(next).toMatchObject({ waitSeconds: expect.any(Number) });
      const { waitSeconds, afterMs = 0 } = next as { waitSeconds: number; afterMs?: number };
      expect(waitSeconds + afterMs / 1_000).toBeLessThanOrEqual(5);
      expect(tasks.launched).toHaveLength(1);
      nowMs += afterMs + waitSeconds * 1_000;
      await turn(waitSeconds, { seen });
      expect(tasks.launched).toHaveLength(2);
    });

    it("G19: with recovery: early a failure that wakes it is decided about, though no task has moved", async () => {
      const early = { ...key, runId: "early" };
      const policy = policySchema.parse({ recovery: "early", retryDelaySeconds: 0 });
      await ledger.createRun({ ...runRow(early), settings: { ...runRow(early).settings, policy } });
      const seen: CheckRunDeps["seen"] = new Map();
      const look = () => checkRun({ ...reference, ...early }, deps({ seen }), { ...wait, beganAtMs: nowMs });
      await look();
      await ledger.passFence(early, 1, { taskArn: tasks.launched[0]!.taskArn, startedAtMs: nowMs });
      await ledger.setPlan(early, { planKey: "plan", plannedVertices: 2, plannedNodes: 2 });
      await look();
      const failed = {
        status: "error",
        evidence: true,
        message: "Database Error\n  deadlock detected",
        endedAtMs: nowMs,
      };
      await ledger.writeVertex(early, 1, { uniqueId: "a", ...failed });
      await ledger.writeVertex(early, 1, { uniqueId: "b", status: "skipped", evidence: false, endedAtMs: nowMs });
      await look();
      expect(tasks.launched).toHaveLength(2);
    });

    it("no less than twice what the check itself took, or its answer would come too late for the next one too", async () => {
      const readVertices: Ledger["readVertices"] = async (run) => {
        nowMs += 4_000;
        return ledger.readVertices(run);
      };
      expect(await turn(60, { ledger: { ...ledger, readVertices } })).toEqual({ waitSeconds: 8 });
    });

    it("a turn that follows at once, since another wait was asked for, reads no vertices again", async () => {
      const seen: CheckRunDeps["seen"] = new Map();
      await producing();
      await setPlan();
      await turn(60, { seen });
      await turn(60, { seen });
      const blind = { ...ledger, readVertices: () => Promise.reject(new Error("read")) };
      expect(await turn(60, { seen, ledger: blind })).toBe("waiting");
    });
  });

  it("F11: a consumer whose start was refused is started by the next turn, also by a warm function", async () => {
    await producing();
    await setPlan();
    await say(1, "a", "started");
    executions.failNext("start");
    const seen = new Map();
    await expect(check({ seen })).rejects.toThrow("call again");
    await check({ seen });
    expect(executions.started).toHaveLength(1);
  });

  it("gives thousands of last words turn by turn, and is ready when all of them stand", async () => {
    const doomed = Array.from({ length: 6_000 }, (_, at) => vertex(`m_${at}`, ["a"]));
    const large = planOf([vertex("a"), ...doomed]);
    const read = { readPlan: async () => large };
    await producing();
    await setPlan();
    await ledger.writeVertex(key, 1, {
      uniqueId: "a",
      status: "error",
      evidence: true,
      message: 'column "x" does not exist',
    });
    await produced({ exitCode: 1, cause: { kind: "node", sentence: "1 node failed.", lines: [] } });
    expect(await check(read)).toBe("waiting");
    const given = async () => (await ledger.readVertices(key)).filter((row) => row.final !== undefined).length;
    expect(await given()).toBeLessThan(6_001);
    expect((await ledger.readRun(key))?.readyAtMs).toBeUndefined();
    expect(await check(read)).toBe("settle");
    expect(await given()).toBe(6_001);
  });

  it("does not read the vertices while nothing has moved, and does when a heartbeat says so", async () => {
    const taskArn = await producing();
    await setPlan();
    const seen = new Map();
    await check({ seen });
    await say(1, "a", "started");
    const blind = { ...ledger, readVertices: () => Promise.reject(new Error("read")) };
    expect(await check({ seen, ledger: blind })).toBe("waiting");
    await ledger.heartbeat(key, 1, { taskArn, atMs: nowMs, sequence: 1 });
    await expect(check({ seen, ledger: blind })).rejects.toThrow("read");
  });

  it("G19: looks again each turn while a retry beside the producer waits for its moment, and launches it then", async () => {
    const early = { ...key, runId: "early" };
    const settings = {
      ...runRow(key).settings,
      policy: policySchema.parse({ recovery: "early", retryDelaySeconds: 30 }),
    };
    await ledger.createRun({ ...runRow(early), settings });
    const seen = new Map();
    const turn = () => checkRun({ ...reference, ...early }, deps({ seen }));
    await turn();
    const { taskArn } = tasks.launched[0]!;
    await ledger.passFence(early, 1, { taskArn, startedAtMs: nowMs });
    await ledger.setPlan(early, { planKey: "plan", plannedVertices: 2, plannedNodes: 2 });
    const failed = {
      status: "error",
      evidence: true,
      message: "Database Error\n  deadlock detected",
      endedAtMs: nowMs,
    };
    await ledger.writeVertex(early, 1, { uniqueId: "a", ...failed });
    await ledger.writeVertex(early, 1, { uniqueId: "b", status: "skipped", evidence: false, endedAtMs: nowMs });
    await turn();
    nowMs += 25_000;
    await turn();
    expect(tasks.launched).toHaveLength(1);
    nowMs += 5_000;
    expect(await turn()).toBe("waiting");
    expect(tasks.launched[1]).toMatchObject({ tags: { "stepwatch:kind": "fallback", "stepwatch:task": "2" } });
    // What the producer says late of it changes nothing.
    await ledger.writeVertex(early, 1, { uniqueId: "a", ...failed, message: "late" });
    expect(await ledger.readVertices(early)).toMatchObject([
      { ownerTask: 2, message: failed.message },
      { ownerTask: 1 },
    ]);
  });

  it("settles when every vertex is good, again at once if the answer came too late, and for a run that is over", async () => {
    await producing();
    await setPlan();
    await say(1, "a", "success");
    await say(1, "b", "success");
    expect(await check()).toBe("waiting");
    await produced();
    expect(await check()).toBe("settle");
    const blind = { ...ledger, readTasks: () => Promise.reject(new Error("read")) };
    expect(await check({ ledger: blind })).toBe("settle");
    await ledger.endRun(key, { state: "green", verdict: "Good.", summaryKey: null, endedAtMs: nowMs });
    expect(await check()).toBe("settle");
    expect(await checkRun({ ...reference, runId: "none", skipped: "locked" }, deps())).toBe("settle");
  });

  it("names the run that the ledger does not have", async () => {
    await expect(checkRun({ ...reference, runId: "none" }, deps())).rejects.toThrow(RowMissing);
  });
});

describe("what changes while a turn reads", () => {
  it("F12: a plan that was told after the run row was read is not missed when the producer is over", async () => {
    const taskArn = await producing();
    const planKey = artefactKeys.plan(key.project, key.runId, 1);
    const late = {
      ...ledger,
      readTasks: async () => {
        if ((await ledger.readTask(key, 1))?.toldPlanKey === undefined) {
          await ledger.tellPlan(key, 1, taskArn, planKey);
          await say(1, "a", "success");
          await say(1, "b", "success");
          await produced();
        }
        return await ledger.readTasks(key);
      },
    };
    const readPlan = async (wanted: string) => (wanted === planKey ? { ...plan, ...key } : null);
    expect(await check({ ledger: late, readPlan })).toBe("settle");
    expect(await ledger.readRun(key)).toMatchObject({ planKey, plannedVertices: 2, plannedNodes: 2 });
    expect(await ledger.readTasks(key)).toHaveLength(1);
  });

  it("D2: a turn that lost the run's version leaves alone what another one has launched under the same number", async () => {
    const three = planOf([vertex("a"), vertex("b", ["a"]), vertex("d")]);
    const readPlan = async () => three;
    await producing();
    await ledger.setPlan(key, { planKey: "plan", plannedVertices: 3, plannedNodes: 3 });
    await say(1, "d", "error");
    nowMs += 30_000;
    await say(1, "a", "error");
    await say(1, "b", "skipped");
    await produced();
    // By now d may be tried again, and a may not; before this turn takes a number another one has found both due.
    const late = async (...given: Parameters<Ledger["createTask"]>) => {
      nowMs += 30_000;
      await check({ readPlan });
      return await ledger.createTask(...given);
    };
    await check({ readPlan, ledger: { ...ledger, createTask: late } });
    expect(await ledger.readTasks(key)).toMatchObject([
      { task: 1, state: "over" },
      { task: 2, state: "launching", setSample: ["a"] },
      { task: 3, state: "launching", setSample: ["d"] },
    ]);
    expect(tasks.launched).toHaveLength(3);
  });

  it("D2: a turn that lost the run's version does not settle", async () => {
    await producing();
    await setPlan();
    await say(1, "a", "error");
    await produced({ exitCode: 1 });
    nowMs += 60_000;
    const stopped = {
      ...ledger,
      readRun: async () => ({ ...(await ledger.readRun(key))!, stopRequestedAtMs: nowMs, stopReason: "enough" }),
      readVertices: async () => {
        const rows = await ledger.readVertices(key);
        await check();
        return rows;
      },
    };
    expect(await check({ ledger: stopped })).toBe("waiting");
    expect(await ledger.readTasks(key)).toHaveLength(2);
  });
});

describe("last words", () => {
  it("F5: are written of what a later task owns, and of what no row is of", async () => {
    const settings = { ...runRow(key).settings, policy: policySchema.parse({ retries: { node: 0 } }) };
    ledger = memoryLedger();
    await ledger.createRun(runRow(key, { settings }));
    await producing();
    await setPlan();
    await say(1, "a", "started");
    await produced({ inOrder: false });
    nowMs += 60_000;
    await check();
    const { taskArn } = tasks.launched[1]!;
    await ledger.passFence(key, 2, { taskArn, startedAtMs: nowMs });
    await say(2, "a", "error");
    await ledger.endTask(key, 2, taskArn, buildEnd({ exitCode: 1 }), 1);
    expect(await check()).toBe("settle");
    expect((await ledger.readVertices(key)).map((row) => [row.uniqueId, row.final])).toEqual([
      ["a", "dead"],
      ["b", "doomed"],
    ]);
  });
});

describe("launches", () => {
  it("C13: a task that loses a vertex to another owner is over without a launch, and the next turn decides anew", async () => {
    await producing();
    await setPlan();
    await say(1, "a", "error");
    await produced({ exitCode: 1 });
    nowMs += 60_000;
    await check({ ledger: { ...ledger, claimVertex: async () => false } });
    expect(tasks.launched).toHaveLength(1);
    expect((await ledger.readTasks(key))[1]).toMatchObject({
      state: "over",
      stop: { neverStarted: false, stoppedReason: "Not launched: a has another owner by now." },
    });
    nowMs += 60_000;
    await check();
    expect((await ledger.readTasks(key))[2]).toMatchObject({ state: "launching", setSample: ["a"] });
  });

  it("G3: a fallback takes the execution queue's task definition, the producer its own", async () => {
    const { settings } = runRow(key);
    const executionQueue = { ...settings.executionQueue, taskDefinitionArn: "arn:queue" };
    ledger = memoryLedger();
    await ledger.createRun(runRow(key, { settings: { ...settings, executionQueue } }));
    await producing();
    await setPlan();
    await say(1, "a", "error");
    await produced({ exitCode: 1 });
    nowMs += 60_000;
    await check();
    expect(tasks.launched.map((one) => one.target.taskDefinitionArn)).toEqual([
      settings.producer.taskDefinitionArn,
      "arn:queue",
    ]);
  });

  it("D11: a task that does not come up is stopped and launched again under another token", async () => {
    await check();
    const { taskArn } = tasks.launched[0]!;
    nowMs += START_PATIENCE_MS + 1;
    await check();
    expect(tasks.stopped).toMatchObject([{ taskArn, reason: "The task did not start within 20 minutes." }]);
    nowMs += 60_000;
    await check();
    expect(new Set(tasks.launched.map((one) => one.clientToken)).size).toBe(2);
  });

  it("D11: refusals back off under new tokens, use no try, and end in a clear failure", async () => {
    tasks.refuseLaunches(...Array.from({ length: 6 }, () => "AccessDeniedException: PassRole"));
    await check();
    expect(await ledger.readTasks(key)).toMatchObject([
      { state: "launching", launchFailures: 1, nextLaunchAtMs: nowMs + 5_000 },
    ]);
    await check();
    expect(await ledger.readTasks(key)).toMatchObject([{ launchFailures: 1 }]);
    const tokens = new Set<string>();
    for (let n = 0; n < 5; n++) {
      tokens.add((await ledger.readTasks(key))[0]!.clientToken);
      nowMs += 300_000;
      await check();
    }
    expect(tokens.size).toBe(5);
    expect(await ledger.readTasks(key)).toMatchObject([
      {
        state: "over",
        stop: { neverStarted: true, stoppedReason: "Given up after 6 launches: AccessDeniedException: PassRole" },
      },
    ]);
    expect(await check()).toBe("settle");
  });

  it("D10: a container that died without a word is found by its silence", async () => {
    const taskArn = await producing();
    await setPlan();
    await say(1, "a", "started");
    tasks.set(taskArn, {
      state: "stopped",
      stopCode: null,
      stoppedReason: "killed",
      stoppedAtMs: nowMs,
      exitCode: 137,
      outOfMemory: true,
      neverStarted: false,
    });
    await check();
    expect((await ledger.readTasks(key))[0]!.state).toBe("running");
    nowMs += 61_000;
    await check();
    expect(await ledger.readTasks(key)).toMatchObject([
      { state: "over", stop: { outOfMemory: true } },
      { kind: "fallback", setSample: ["a"] },
    ]);
  });

  it("the hold of a recovery build begins with the turn that sees the need, also where it launches a fallback", async () => {
    const wide = planOf([vertex("a"), vertex("b", ["a"]), vertex("x", []), vertex("y", ["x"])]);
    const readPlan = async () => wide;
    await producing();
    await setPlan();
    await say(1, "a", "error");
    await say(1, "x", "success");
    await say(1, "y", "skipped");
    await say(1, "b", "skipped");
    await produced({ inOrder: true, exitCode: 1 });
    nowMs += 60_000;
    await check({ readPlan });
    expect((await ledger.readTasks(key)).map((task) => task.kind)).toEqual(["producer", "fallback"]);
    expect((await ledger.readRun(key))?.heldSinceMs).toBe(nowMs);
  });

  it("G12: the stop flag is seen also where nothing else has moved", async () => {
    await producing();
    const seen = new Map();
    await check({ seen });
    await ledger.requestStop(key, { atMs: nowMs, reason: "enough" });
    await check({ seen });
    expect(tasks.stopped).toHaveLength(1);
  });

  it("G12: a launch that was left half done is not finished under the stop flag", async () => {
    tasks.failNext("launch");
    await expect(check()).rejects.toThrow("call again");
    await ledger.requestStop(key, { atMs: nowMs, reason: "enough" });
    await check();
    expect(tasks.launched).toEqual([]);
    expect(await ledger.readTasks(key)).toMatchObject([{ state: "over", stop: { neverStarted: true } }]);
    expect(await check()).toBe("settle");
  });

  it("G12: under the stop flag it stops what lives and launches nothing", async () => {
    const taskArn = await producing();
    await ledger.requestStop(key, { atMs: nowMs, reason: "enough" });
    expect(await check()).toBe("waiting");
    expect(tasks.stopped).toEqual([{ taskArn, reason: "The run is being stopped." }]);
    await produced({ inOrder: false });
    expect(await check()).toBe("settle");
    expect(tasks.launched).toHaveLength(1);
  });

  const afterCurrent = () => ledger.requestStop(key, { atMs: nowMs, reason: "enough", by: "ada", afterCurrent: true });

  it("G12: after the current builds: what runs is let end, nothing follows it, and what is open is not built", async () => {
    await producing();
    await setPlan();
    await afterCurrent();
    expect(await check()).toBe("waiting");
    expect(tasks.stopped).toEqual([]);
    await say(1, "a", "error");
    await say(1, "b", "skipped");
    await produced({ inOrder: true, exitCode: 1 });
    nowMs += 60_000;
    expect(await check()).toBe("settle");
    expect(await ledger.readTasks(key)).toHaveLength(1);
    const rows = await ledger.readVertices(key);
    expect(rows.filter((row) => row.final).map((row) => [row.uniqueId, row.final])).toEqual([
      ["a", "dead"],
      ["b", "not_built"],
    ]);
    expect(rows[0]!.finalReason).toContain("stopped by ada at");
  });

  it("G12: after the current builds: a task that was claimed and never launched is no current build", async () => {
    tasks.failNext("launch");
    await expect(check()).rejects.toThrow("call again");
    await afterCurrent();
    await check();
    expect(tasks.launched).toEqual([]);
    expect(await ledger.readTasks(key)).toMatchObject([{ state: "over", stop: { neverStarted: true } }]);
    expect(await check()).toBe("settle");
  });

  it("G12: after the current builds: one whose launch comes to nothing is not launched again", async () => {
    await check();
    const { taskArn } = tasks.launched[0]!;
    await afterCurrent();
    const seen = new Map();
    await check({ seen });
    const stop = { stopCode: "TaskFailedToStart", stoppedReason: "no image", stoppedAtMs: nowMs, exitCode: null };
    tasks.set(taskArn, { state: "stopped", ...stop, outOfMemory: false, neverStarted: true });
    await check({ seen });
    nowMs += 60_000;
    expect(await check({ seen })).toBe("settle");
    expect(tasks.launched).toHaveLength(1);
  });

  it("G12: a stop at once takes over from one after the current builds", async () => {
    const taskArn = await producing();
    const seen = new Map();
    await afterCurrent();
    await check({ seen });
    await ledger.requestStop(key, { atMs: nowMs, reason: "at once", by: "bob" });
    await check({ seen });
    expect(tasks.stopped).toMatchObject([{ taskArn }]);
  });
});

describe("F13: a node that runs longer than it may", () => {
  const slow = planOf([vertex("a", [], { overrides: { timeoutMinutes: 30 } }), vertex("b", ["a"])]);
  const readPlan = async () => slow;
  const MINUTE = 60_000;

  /** The producer has begun `a`, which may take half an hour. */
  async function building(): Promise<void> {
    await producing();
    await setPlan();
    await ledger.writeVertex(key, 1, { uniqueId: "a", status: "started", evidence: true, startedAtMs: nowMs });
  }

  it("is an event at once, one for all turns, and the node goes on", async () => {
    await building();
    nowMs += 30 * MINUTE;
    await check({ readPlan });
    expect(events.published).toEqual([]);
    nowMs += MINUTE;
    for (let turns = 0; turns < 3; turns++) await check({ readPlan });
    expect(events.published.map((event) => event.detail)).toMatchObject([
      { uniqueId: "a", state: "running", runId: "run-1", sentence: expect.stringContaining("30 minutes") },
    ]);
    expect(tasks.stopped).toEqual([]);
  });

  it("an event that is refused holds nothing up, and comes again under the same id", async () => {
    await building();
    nowMs += 31 * MINUTE;
    events.failNext();
    expect(await check({ readPlan })).toBe("waiting");
    expect(warned).toEqual([expect.stringContaining("a of run run-1 runs too long was not published")]);
    for (let turns = 0; turns < 2; turns++) await check({ readPlan });
    expect(events.published).toHaveLength(1);
  });
});

describe("A25: a dbt that says nothing for long", () => {
  const notice = { sinceMs: 1, noticedAtMs: 2, running: [{ uniqueId: "a" }], count: 1, interrupted: false };
  const beat = { atMs: 1, sequence: 1, quiet: [notice] };

  it("is an event at once, one for all turns, also where nothing else has moved", async () => {
    const taskArn = await producing();
    await check();
    await ledger.heartbeat(key, 1, { ...beat, taskArn });
    for (let turns = 0; turns < 3; turns++) expect(await check()).toBe("waiting");
    expect(events.published.map((event) => event.detail)).toMatchObject([
      { uniqueId: "a", state: "running", sentence: expect.stringContaining("dbt has said nothing for") },
    ]);
  });

  it("an event that is refused holds nothing up, and comes again under the same id", async () => {
    const taskArn = await producing();
    await ledger.heartbeat(key, 1, { ...beat, taskArn });
    events.failNext();
    expect(await check()).toBe("waiting");
    expect(warned).toEqual([expect.stringContaining("dbt says nothing in task 1 of run run-1 was not published")]);
    await check();
    expect(events.published).toHaveLength(1);
  });
});
