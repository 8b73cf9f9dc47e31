import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import { TaskStillBuilds } from "#core/errors.ts";
import { executionArn } from "#core/names.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { openRound as openFurther } from "../../functions/open-round.ts";
import { type EndedExecution, type StopRunDeps, stopRun } from "../../functions/stop-run/stop-run.ts";
import { sweep } from "../../functions/stop-run/sweep.ts";
import { FakeArtefacts, FakeEvents, FakeExecutions, FakeTasks } from "../support/fake-clients.ts";
import { buildEnd, runRow, taskRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { planOf, vertex } from "../support/run-builders.ts";

const machine = "arn:aws:states:us-east-1:000000000000:stateMachine:stepwatch-run";
const arn = executionArn(machine, "run-1");
const key = { project: "shop", runId: "run-1" };
const lock = { ...key, lockKey: "default", executionArn: arn, takenAtMs: 1 };
const plan: Plan = planOf([vertex("a"), vertex("b", ["a"])]);

let ledger: Ledger;
let tasks: FakeTasks;
let executions: FakeExecutions;
let events: FakeEvents;
let nowMs: number;
/** What happens while the function waits, by the number of the pause. */
let whileWaiting: (turn: number) => Promise<unknown>;
let turns: number;

beforeEach(() => {
  ledger = memoryLedger();
  tasks = new FakeTasks();
  executions = new FakeExecutions();
  events = new FakeEvents();
  nowMs = 1_700_000_200_000;
  whileWaiting = async () => undefined;
  turns = 0;
});

const deps = (): StopRunDeps => ({
  ledger,
  tasks,
  executions,
  events,
  artefacts: new FakeArtefacts(),
  readPlan: async (planKey) => (planKey === "plan" ? plan : null),
  consumerMachineArn: "arn:aws:states:us-east-1:000000000000:stateMachine:stepwatch-consumer",
  nowMs: () => nowMs,
  warn: () => undefined,
  pause: async (milliseconds) => {
    nowMs += milliseconds;
    turns += 1;
    await whileWaiting(turns);
  },
});

const stop = (changes: Partial<EndedExecution> = {}) =>
  stopRun({ executionArn: arn, redriveCount: 0, ...changes }, deps());
const aborted = (changes: Parameters<FakeExecutions["set"]>[1] = {}) =>
  executions.set(arn, { status: "ABORTED", cause: "wrong day", input: { project: "shop" }, ...changes });

/** A run whose producer has built a and is at work on b. */
async function building(): Promise<string> {
  await ledger.takeLock(lock);
  await ledger.createRun(runRow(key, { executionArn: arn }));
  await ledger.createTask(key, 0, taskRow(1));
  await ledger.markClaimed(key, 1);
  const taskArn = "arn:aws:ecs:us-east-1:000000000000:task/stepwatch/1";
  await ledger.markLaunched(key, 1, { taskArn, launchedAtMs: nowMs });
  await ledger.setPlan(key, { planKey: "plan", plannedVertices: 2, plannedNodes: 2 });
  await ledger.passFence(key, 1, { taskArn, startedAtMs: nowMs });
  await say("a", "success");
  await say("b", "started");
  return taskArn;
}

const say = (uniqueId: string, status: string) =>
  ledger.writeVertex(key, 1, {
    uniqueId,
    status,
    evidence: true,
    ...(status === "started" ? {} : { endedAtMs: nowMs }),
  });

const endsByStop = async (taskArn: string) => {
  const cause = { kind: "stopped" as const, sentence: "The run was stopped.", lines: [] };
  await ledger.endTask(key, 1, taskArn, buildEnd({ endedAtMs: nowMs, inOrder: false, exitCode: 1, cause }), 3);
};

describe("an execution that has ended without a verdict", () => {
  it("G33: its tasks are stopped and waited for, then the row has verdict and summary, and the lock is free", async () => {
    const taskArn = await building();
    aborted();
    whileWaiting = async (turn) => (turn === 3 ? endsByStop(taskArn) : undefined);
    await stop();
    expect(tasks.stopped[0]).toEqual({ taskArn, reason: "The run is being stopped." });
    const run = (await ledger.readRun(key))!;
    expect(run).toMatchObject({
      state: "stopped",
      verdict: "Stopped: its execution was stopped in Step Functions: wrong day",
      summaryKey: "runs/shop/run-1/summary-1.json",
    });
    expect(await ledger.readLock("shop", "default")).toBeNull();
    expect(await ledger.listRuns("shop", 9)).toMatchObject([{ runId: "run-1", state: "stopped" }]);
    expect(await ledger.readVertices(key)).toMatchObject([{ uniqueId: "a" }, { uniqueId: "b", final: "dead" }]);
    expect(executions.started.map((one) => one.name)).toHaveLength(2);
  });

  it.each([
    [{ status: "TIMED_OUT" }, "ran into its timeout in Step Functions"],
    [{ status: "FAILED", error: "States.Runtime", cause: "no path" }, "(FAILED): States.Runtime: no path"],
  ])("G33: %o is told as it is", async (how, words) => {
    const taskArn = await building();
    await endsByStop(taskArn);
    aborted({ cause: null, ...how });
    await stop();
    expect((await ledger.readRun(key))?.verdict).toContain(words);
    expect(turns).toBe(0);
  });

  it("G12: a person who asked before is named, not Step Functions", async () => {
    await endsByStop(await building());
    const round = { ...key, round: 1 };
    await ledger.requestStop(round, { atMs: nowMs, reason: "wrong branch", by: "ada" });
    aborted();
    await stop();
    expect((await ledger.readRun(key))?.verdict).toMatch(/^Stopped by ada at .* UTC: wrong branch$/);
  });

  it("G33: everything that was to be built is good: green by that, and the lock is free", async () => {
    const taskArn = await building();
    await say("b", "success");
    await ledger.endTask(key, 1, taskArn, buildEnd({ endedAtMs: nowMs }), 4);
    aborted();
    await stop();
    expect((await ledger.readRun(key))?.state).toBe("green");
    expect(await ledger.readLock("shop", "default")).toBeNull();
  });

  it("G33: a task that was launched at the last moment is closed, a build that was claimed never begins", async () => {
    await ledger.takeLock(lock);
    await ledger.createRun(runRow(key, { executionArn: arn }));
    await ledger.createTask(key, 0, taskRow(1));
    aborted();
    await stop();
    expect(tasks.launched).toEqual([]);
    expect(await ledger.readTasks(key)).toMatchObject([{ state: "over", stop: { neverStarted: true } }]);
    expect((await ledger.readRun(key))?.state).toBe("stopped");
  });

  it("G33: twice, at once or later, it says the same", async () => {
    const taskArn = await building();
    await endsByStop(taskArn);
    aborted();
    await Promise.all([stop(), stop(), stop()]);
    const run = await ledger.readRun(key);
    nowMs += 60_000;
    await stop();
    expect(await ledger.readRun(key)).toEqual(run);
  });

  it("G33: a service that does not answer is asked again", async () => {
    await endsByStop(await building());
    aborted();
    tasks.failNext("describe", 2);
    executions.failNext("start", 1);
    await stop();
    expect((await ledger.readRun(key))?.state).toBe("stopped");
  });

  it("G33: a build that does not end is no verdict: the call fails, for the next one to go on", async () => {
    const taskArn = await building();
    aborted();
    whileWaiting = async () => void (await ledger.heartbeat(key, 1, { taskArn, atMs: nowMs, sequence: 3 }));
    await expect(stop()).rejects.toThrow(TaskStillBuilds);
    expect(await ledger.readRun(key)).toMatchObject({
      state: "running",
      stopReason: expect.stringContaining("wrong day"),
    });
    await endsByStop(taskArn);
    await stop();
    expect((await ledger.readRun(key))?.state).toBe("stopped");
  });

  it("G33: a permission to stop tasks that is missing only makes it longer: containers end by the flag", async () => {
    const taskArn = await building();
    aborted();
    const refused = Object.assign(new Error("not authorized"), {
      name: "AccessDeniedException",
      $metadata: { httpStatusCode: 400 },
      $fault: "client",
    });
    tasks.stop = () => Promise.reject(refused);
    whileWaiting = async (turn) => (turn === 4 ? endsByStop(taskArn) : undefined);
    await stop();
    expect((await ledger.readRun(key))?.state).toBe("stopped");
  });
});

describe("an execution that has no verdict to be given", () => {
  it("G23: goes on: nothing happens", async () => {
    await building();
    aborted({ status: "RUNNING" });
    await stop();
    expect((await ledger.readRun(key))?.stopRequestedAtMs).toBeUndefined();
    expect(tasks.stopped).toEqual([]);
  });

  it("G23: a late event of an earlier redrive changes nothing, though the later one has ended too", async () => {
    await building();
    aborted({ redriveCount: 1 });
    await stop({ redriveCount: 0 });
    expect((await ledger.readRun(key))?.state).toBe("running");
    await endsByStop("arn:aws:ecs:us-east-1:000000000000:task/stepwatch/1");
    await stop({ redriveCount: 1 });
    expect((await ledger.readRun(key))?.state).toBe("stopped");
  });

  it("G23: a redrive while it waits: it leaves the run to its machine", async () => {
    await building();
    aborted();
    whileWaiting = async () => aborted({ status: "RUNNING", redriveCount: 1 });
    await stop();
    expect((await ledger.readRun(key))?.state).toBe("running");
  });

  it("G23: a round that is opened between its look and its order is not stopped", async () => {
    await building();
    await endsByStop("arn:aws:ecs:us-east-1:000000000000:task/stepwatch/1");
    aborted();
    const opened = {
      ...ledger,
      requestStop: async (...given: Parameters<Ledger["requestStop"]>) => {
        aborted({ status: "RUNNING", redriveCount: 1 });
        await openRound();
        return await ledger.requestStop(...given);
      },
    };
    await stopRun({ executionArn: arn, redriveCount: 0 }, { ...deps(), ledger: opened });
    const run = (await ledger.readRun(key))!;
    expect(run).toMatchObject({ round: 2, state: "running" });
    expect(run.stopRequestedAtMs).toBeUndefined();
    expect(await ledger.readLock("shop", "default")).not.toBeNull();
  });

  it("G23: a round that is opened after its verdict keeps the lock", async () => {
    await building();
    await endsByStop("arn:aws:ecs:us-east-1:000000000000:task/stepwatch/1");
    aborted();
    const readTasks: Ledger["readTasks"] = async (given) => {
      const run = (await ledger.readRun(key))!;
      // Settle run of the redriven execution, between the verdict and what follows it.
      if (run.state !== "running" && run.round === 1) {
        aborted({ status: "RUNNING", redriveCount: 1 });
        await openFurther(run, { context: { RedriveCount: 1 } }, deps());
      }
      return await ledger.readTasks(given);
    };
    await stopRun({ executionArn: arn, redriveCount: 0 }, { ...deps(), ledger: { ...ledger, readTasks } });
    expect(await ledger.readRun(key)).toMatchObject({ round: 2, state: "running" });
    expect(await ledger.readLock("shop", "default")).toMatchObject({ runId: "run-1", round: 2 });
  });

  it("RunFailed is the verdict itself: nothing is asked of the ledger", async () => {
    executions.set(arn, { status: "FAILED", error: "RunFailed", input: { project: "shop" } });
    const untouched = new Proxy(ledger, { get: () => () => Promise.reject(new Error("asked")) });
    await stopRun({ executionArn: arn }, { ...deps(), ledger: untouched });
  });

  it("G33: a run that waited in the queue leaves it, and one that had the lock and no row gives it back", async () => {
    await ledger.joinQueue("shop", "default", { runId: "run-1", atMs: 1, executionArn: arn });
    await ledger.takeLock({ ...lock, lockKey: "other" });
    aborted();
    await stop();
    expect(await ledger.listWaiting("shop")).toEqual([]);
    expect(await ledger.listLocks("shop")).toEqual([]);
  });

  it("G33: a row that start-run writes a moment after its execution ended is found", async () => {
    aborted();
    whileWaiting = async (turn) => (turn === 1 ? ledger.createRun(runRow(key, { executionArn: arn })) : undefined);
    await stop();
    expect((await ledger.readRun(key))?.state).toBe("stopped");
  });

  it("a run that start-run refused is not waited for", async () => {
    executions.set(arn, { status: "FAILED", error: "InputError", input: { project: "shop" } });
    await stop();
    expect(turns).toBe(0);
    executions.set(arn, { status: "FAILED", error: "InputError", input: "no object" });
    await stop();
  });
});

async function openRound(): Promise<void> {
  const run = (await ledger.readRun(key))!;
  const request = {
    round: 1,
    by: "redrive" as const,
    atMs: nowMs,
    downstream: false,
    force: false,
    fullRefresh: false,
  };
  const past = { round: 1, state: "stopped" as const, verdict: "v", startedAtMs: 1, endedAtMs: 2 };
  const { deadlineAtMs } = run;
  await ledger.openRound(run, { opening: request, past, startedAtMs: nowMs, deadlineAtMs, redrives: 1 });
}

describe("the sweep", () => {
  it("G33: finds a run whose event was lost, by its lock or by the index, and ends it", async () => {
    for (const found of ["lock", "index"] as const) {
      ledger = memoryLedger();
      await endsByStop(await building());
      aborted();
      if (found === "index") {
        await ledger.putRunIndex({ ...key, executionArn: arn, startedAtMs: 1, state: "running" }, 60);
        await ledger.releaseLock("shop", "default", "run-1");
      }
      await sweep(["shop"], deps());
      expect((await ledger.readRun(key))?.state).toBe("stopped");
      expect(await ledger.readLock("shop", "default")).toBeNull();
    }
  });

  it("G33: stops a task of a run that is over", async () => {
    const taskArn = await building();
    await ledger.endRun({ ...key, round: 1 }, { state: "stopped", verdict: "v", summaryKey: null, endedAtMs: nowMs });
    await ledger.putRunIndex({ ...key, executionArn: arn, startedAtMs: 1, state: "stopped", endedAtMs: nowMs }, 60);
    await ledger.releaseLock("shop", "default", "run-1");
    executions.set(arn, { status: "FAILED", error: "RunFailed", input: { project: "shop" } });
    whileWaiting = async () => endsByStop(taskArn);
    await sweep(["shop"], deps());
    expect(tasks.stopped[0]).toMatchObject({ taskArn });
    expect((await ledger.readTask(key, 1))?.state).toBe("over");
  });

  it("G33: clears places in queues and locks of runs that are gone, also where the lock is another project's", async () => {
    const gone = executionArn(machine, "run-9");
    executions.set(gone, { status: "ABORTED", input: { project: "other" } });
    executions.set(arn, { status: "RUNNING", input: { project: "shop" } });
    await ledger.joinQueue("shop", "default", { runId: "run-9", atMs: 1, executionArn: gone });
    await ledger.joinQueue("shop", "default", { runId: "run-1", atMs: 2, executionArn: arn });
    await ledger.takeLock({ ...lock, runId: "run-9", runProject: "other", executionArn: gone });
    await sweep(["shop"], deps());
    expect(await ledger.listWaiting("shop")).toMatchObject([{ runId: "run-1" }]);
    expect(await ledger.listLocks("shop")).toEqual([]);
  });

  it("G10: a place in the queue that it clears lets the next one in, where the lock is free", async () => {
    const gone = executionArn(machine, "run-9");
    executions.set(gone, { status: "ABORTED", input: { project: "shop" } });
    executions.set(arn, { status: "RUNNING", input: { project: "shop" } });
    await ledger.joinQueue("shop", "default", { runId: "run-9", atMs: 1, executionArn: gone, taskToken: "gone" });
    await ledger.joinQueue("shop", "default", { runId: "run-1", atMs: 2, executionArn: arn, taskToken: "waits" });
    await sweep(["shop"], deps());
    expect(executions.answered).toMatchObject([{ taskToken: "waits", error: { name: "LockFree" } }]);
  });

  it("leaves runs alone that go on, and looks at nothing but indexes where none does", async () => {
    await building();
    aborted({ status: "RUNNING" });
    await sweep(["shop", "empty"], deps());
    expect(await ledger.readRun(key)).toMatchObject({ state: "running" });
    expect(tasks.stopped).toEqual([]);
    const asked: string[] = [];
    const counting = new Proxy(ledger, {
      get: (target, method, receiver) => {
        asked.push(String(method));
        return Reflect.get(target, method, receiver);
      },
    });
    await sweep(["empty"], { ...deps(), ledger: counting });
    expect(asked).toEqual(["listRuns", "listLocks", "listWaiting"]);
  });

  it("one run that can not be ended keeps none of the others", async () => {
    const stuck = executionArn(machine, "run-0");
    executions.set(stuck, { status: "ABORTED", input: { project: "shop" } });
    await ledger.takeLock({ ...lock, lockKey: "a", runId: "run-0", executionArn: stuck });
    await ledger.createRun(runRow({ project: "shop", runId: "run-0" }, { executionArn: stuck }));
    await endsByStop(await building());
    aborted();
    const failing = {
      ...ledger,
      endRun: (run: { runId: string; project: string; round: number }, end: never) =>
        run.runId === "run-0" ? Promise.reject(new Error("defect")) : ledger.endRun(run, end),
    };
    await expect(sweep(["shop"], { ...deps(), ledger: failing as Ledger })).rejects.toThrow("defect");
    expect((await ledger.readRun(key))?.state).toBe("stopped");
  });
});
