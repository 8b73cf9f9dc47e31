import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import { policySchema } from "#core/contracts/settings.ts";
import { RowMissing } from "#core/errors.ts";
import type { Plan } from "#core/run/plan.ts";
import { START_PATIENCE_MS } from "#core/run/task-watch.ts";
import { type CheckRunDeps, checkRun } from "../../functions/check-run/check-run.ts";
import { FakeArtefacts, FakeExecutions, FakeTasks } from "../support/fake-clients.ts";
import { buildEnd, runRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { planOf, vertex } from "../support/run-builders.ts";

const key = { project: "shop", runId: "run-1" };
const reference = { contract: 1 as const, ...key, round: 1 };
const machine = "arn:aws:states:us-east-1:000000000000:stateMachine:consumer";
const plan = planOf([vertex("a"), vertex("b", ["a"])]);

let ledger: Ledger;
let tasks: FakeTasks;
let executions: FakeExecutions;
let artefacts: FakeArtefacts;
let nowMs: number;

beforeEach(async () => {
  ledger = memoryLedger();
  tasks = new FakeTasks();
  executions = new FakeExecutions();
  artefacts = new FakeArtefacts();
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

  it("F11: a consumer whose start was refused is started by the next turn, also by a warm function", async () => {
    await producing();
    await setPlan();
    await say(1, "a", "started");
    executions.failNext("start");
    const seen = new Map<string, string>();
    await expect(check({ seen })).rejects.toThrow("call again");
    await check({ seen });
    expect(executions.started).toHaveLength(1);
  });

  it("does not read the vertices while nothing has moved, and does when a heartbeat says so", async () => {
    const taskArn = await producing();
    await setPlan();
    const seen = new Map<string, string>();
    await check({ seen });
    await say(1, "a", "started");
    const blind = { ...ledger, readVertices: () => Promise.reject(new Error("read")) };
    expect(await check({ seen, ledger: blind })).toBe("waiting");
    await ledger.heartbeat(key, 1, { taskArn, atMs: nowMs, sequence: 1 });
    await expect(check({ seen, ledger: blind })).rejects.toThrow("read");
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
  it("F12: a plan that was set after the run row was read is not missed when the producer is over", async () => {
    await producing();
    const late = {
      ...ledger,
      readTasks: async () => {
        if ((await ledger.readRun(key))?.planKey === undefined) {
          await setPlan();
          await say(1, "a", "success");
          await say(1, "b", "success");
          await produced();
        }
        return await ledger.readTasks(key);
      },
    };
    expect(await check({ ledger: late })).toBe("settle");
    expect(await ledger.readTasks(key)).toHaveLength(1);
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
    tasks.refuseLaunches(...Array.from({ length: 6 }, () => "RESOURCE:CPU"));
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
      { state: "over", stop: { neverStarted: true, stoppedReason: "Given up after 6 launches: RESOURCE:CPU" } },
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
    const seen = new Map<string, string>();
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
});
