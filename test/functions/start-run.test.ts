import { beforeEach, describe, expect, it } from "vitest";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { InputError, RunLeftOut, RunLocked } from "#core/errors.ts";
import { startRun } from "../../functions/start-run/start-run.ts";
import { FakeExecutions } from "../support/fake-clients.ts";
import { taskRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { exampleSettings } from "../support/projects.ts";

const NOW = 1_800_000_000_000;
const arnOf = (name: string) => `arn:aws:states:us-east-1:000000000000:execution:run:${name}`;

let ledger = memoryLedger();
let executions = new FakeExecutions();
let nowMs = NOW;

beforeEach(() => {
  ledger = memoryLedger();
  executions = new FakeExecutions();
  nowMs = NOW;
});

/** The turn of one execution; `policy` is that of its project, `settings` what else is known of it. */
function start(
  name: string,
  policy: Record<string, unknown> = {},
  input: unknown = { project: "shop" },
  settings: Partial<ProjectSettings> = {},
) {
  const execution = { arn: arnOf(name), name, startTime: "" };
  const shop = { ...exampleSettings("shop", policy), ...settings };
  const payload = { taskToken: "token", input, execution, projects: { shop } };
  return startRun(payload, { ledger, executions, nowMs: () => nowMs });
}

const running = (name: string) => executions.set(arnOf(name), { status: "RUNNING" });
const ended = (name: string) => executions.set(arnOf(name), { status: "ABORTED" });
const keyOf = (runId: string) => ({ project: "shop", runId });
/** A run is red, its execution over, its lock free. */
async function endRed(name: string): Promise<void> {
  const end = { state: "red", verdict: "No.", summaryKey: null, endedAtMs: NOW } as const;
  await ledger.endRun({ ...keyOf(name), round: 1 }, end);
  ended(name);
  await ledger.releaseLock("shop", "default", name);
}
const lock = () => ledger.readLock("shop", "default");

describe("input", () => {
  it.each([
    [{ project: "nowhere" }, 'project = "nowhere": this stack has shop'],
    [{ project: "constructor" }, 'project = "constructor": this stack has shop'],
    [{ project: "a b" }, 'project = "a b"'],
    [{}, "project"],
    [null, "input"],
    [{ project: "shop", threads: "many" }, 'threads = "many"'],
    [{ project: "shop", extraArgs: ["--log-format", "text"] }, "extraArgs"],
    [{ project: "shop", policy: { retryOn: "never" } }, 'policy.retryOn = "never": must be one of all, transient'],
    [{ project: "shop", policy: { runTimeoutMinutes: 241 } }, "policy.runTimeoutMinutes = 241: must be at most 240"],
    [
      { project: "shop", policy: { recovery: "early", backup: "end" } },
      'policy.backup = "end": does not go with policy.recovery = early',
    ],
    [
      { project: "shop", policy: { recovery: "early" }, failFast: true },
      "failFast = true: does not go with policy.recovery = early",
    ],
    [{ project: "shop", select: ["orders", "--quiet"] }, 'select[1] = "--quiet": begins with a dash'],
    [{ project: "shop", excludeResourceTypes: ["test", "-q"] }, "excludeResourceTypes[1]"],
  ])("%j is refused, naming field and value, and nothing is written", async (input, words) => {
    await expect(start("run-1", {}, input)).rejects.toThrow(InputError);
    await expect(start("run-1", {}, input)).rejects.toThrow(words);
    expect(await ledger.readRun(keyOf("run-1"))).toBeNull();
    expect(await lock()).toBeNull();
  });

  it("G19: recovery: early is refused where the warehouse takes one writer; of another target the plan will tell", async () => {
    const early = { project: "shop", policy: { recovery: "early" } };
    const duckdb = { singleWriter: "duckdb" };
    const words = 'policy.recovery = "early": duckdb takes one writing process at a time';
    await expect(start("run-1", {}, early, duckdb)).rejects.toThrow(words);
    expect(await ledger.readRun(keyOf("run-1"))).toBeNull();
    expect(await start("run-2", {}, { ...early, target: "warehouse" }, duckdb)).toMatchObject({ runId: "run-2" });
  });

  it("H5: what the run changes of its project's policy is in its row, and its deadline obeys", async () => {
    const policy = { retries: { node: 0 }, retryOn: "all", runTimeoutMinutes: 30 };
    await start("run-1", { retries: { node: 5, test: 5 } }, { project: "shop", policy, allowEmpty: true });
    const run = await ledger.readRun(keyOf("run-1"));
    const changed = { retries: { node: 0, test: 5 }, retryOn: "all", runTimeoutMinutes: 30, allowEmpty: true };
    expect(run?.settings.policy).toMatchObject(changed);
    expect(run?.deadlineAtMs).toBe(NOW + 30 * 60_000);
  });

  it("an execution name that can not be a run id is refused", async () => {
    await expect(start("run:1")).rejects.toThrow('execution name = "run:1"');
  });
});

describe("a run that starts", () => {
  it("D2: twice changes nothing: same answer, same row, one lock, one line in the index", async () => {
    const first = await start("run-1");
    const row = await ledger.readRun(keyOf("run-1"));
    nowMs += 60_000;
    expect(await start("run-1")).toEqual(first);
    expect(await ledger.readRun(keyOf("run-1"))).toEqual(row);
    expect(await ledger.listRuns("shop", 9)).toHaveLength(1);
    expect(row).toMatchObject({ state: "running", version: 0, startedAtMs: NOW, deadlineAtMs: NOW + 240 * 60_000 });
  });

  it("D2: writes the index that a death before it left out", async () => {
    const dying = { ...ledger, putRunIndex: () => Promise.reject(new Error("died")) };
    const payload = {
      taskToken: "t",
      input: { project: "shop" },
      execution: { arn: arnOf("run-1"), name: "run-1", startTime: "" },
      projects: { shop: exampleSettings() },
    };
    await expect(startRun(payload, { ledger: dying, executions, nowMs: () => nowMs })).rejects.toThrow("died");
    nowMs += 5_000;
    await start("run-1");
    expect(await ledger.listRuns("shop", 9)).toMatchObject([{ runId: "run-1", startedAtMs: NOW, state: "running" }]);
  });
});

describe("G10: the lock of a run is that of the target that dbt builds", () => {
  const to = (target?: string) => ({ project: "shop", ...(target && { target }) });
  const known = { defaultTarget: "prod" };
  const locked = async (name: string) => (await ledger.readRun(keyOf(name)))?.lockKey;

  it("named or not: a run that names the profile's own target waits for one that names none", async () => {
    await start("run-1", {}, to(), known);
    running("run-1");
    expect(await locked("run-1")).toBe("prod");
    expect(await start("run-2", {}, to("prod"), known)).toBeNull();
    expect(await start("run-3", {}, to("dev"), known)).toMatchObject({ runId: "run-3" });
    expect(await locked("run-3")).toBe("dev");
  });

  it("and that of another profile for all that name it", async () => {
    const other = (target?: string) => ({ ...to(target), profile: "other" });
    await start("run-1", {}, other(), known);
    running("run-1");
    expect(await start("run-2", {}, other("prod"), known)).toBeNull();
    expect(await start("run-3", {}, to("prod"), known)).toMatchObject({ runId: "run-3" });
  });

  it("the project's own profile, named, is no other one", async () => {
    const own = { ...known, defaultProfile: "shop" };
    await start("run-1", {}, to(), own);
    running("run-1");
    expect(await start("run-2", {}, { ...to(), profile: "shop" }, own)).toBeNull();
  });

  it("and one for all where nobody knows what dbt builds without a name", async () => {
    await start("run-1", {}, to("dev"));
    running("run-1");
    expect(await start("run-2", {}, to())).toBeNull();
    expect(await start("run-3", {}, to("prod"))).toBeNull();
  });
});

describe("G10: a lock that another run holds", () => {
  beforeEach(async () => {
    await start("run-1");
    running("run-1");
  });

  it("queue: waits, first in first out, and begins when the lock is given back", async () => {
    running("run-2");
    running("run-3");
    expect(await start("run-2")).toBeNull();
    nowMs += 1_000;
    expect(await start("run-3")).toBeNull();
    await ledger.releaseLock("shop", "default", "run-1");
    expect(await start("run-3")).toBeNull();
    expect(await start("run-2")).toMatchObject({ runId: "run-2" });
    expect(await start("run-3")).toBeNull();
    ended("run-2");
    expect(await start("run-3")).toMatchObject({ runId: "run-3" });
  });

  it("D15 D10: a holder that is gone keeps the lock while a container of it may build, has it beaten or not, until the run is ended", async () => {
    ended("run-1");
    await ledger.createTask({ project: "shop", runId: "run-1" }, 0, taskRow(1, { claimedAtMs: nowMs - 300_000 }));
    await ledger.markClaimed({ project: "shop", runId: "run-1" }, 1);
    await ledger.passFence({ project: "shop", runId: "run-1" }, 1, { taskArn: "arn:task", startedAtMs: nowMs - 1_000 });
    running("run-2");
    expect(await start("run-2")).toBeNull();
    nowMs += 60_000;
    // Silent, it is asked about and stopped by stop-run or the sweep.
    expect(await start("run-2")).toBeNull();
    const key = { project: "shop", runId: "run-1" };
    await ledger.endRun({ ...key, round: 1 }, { state: "stopped", verdict: "no", summaryKey: null, endedAtMs: nowMs });
    expect(await start("run-2")).toMatchObject({ runId: "run-2" });
  });

  it("D15: a holder that is gone loses the lock once its containers are silent on their way, or through two sweeps that could not end it", async () => {
    ended("run-1");
    const key = { project: "shop", runId: "run-1" };
    await ledger.createTask(key, 0, taskRow(1, { claimedAtMs: nowMs - 300_000 }));
    running("run-2");
    expect(await start("run-2")).toMatchObject({ runId: "run-2" });
    ended("run-2");
    const second = { project: "shop", runId: "run-2" };
    await ledger.createTask(second, 0, taskRow(1, { claimedAtMs: nowMs }));
    await ledger.markClaimed(second, 1);
    await ledger.passFence(second, 1, { taskArn: "arn:task", startedAtMs: nowMs });
    running("run-3");
    nowMs += 29 * 60_000;
    expect(await start("run-3")).toBeNull();
    nowMs += 2 * 60_000;
    expect(await start("run-3")).toMatchObject({ runId: "run-3" });
  });

  it("queue: one that waits and is gone holds up nobody", async () => {
    running("run-2");
    expect(await start("run-2")).toBeNull();
    ended("run-2");
    nowMs += 1_000;
    await ledger.releaseLock("shop", "default", "run-1");
    expect(await start("run-3")).toMatchObject({ runId: "run-3" });
  });

  it("queue: is bounded", async () => {
    for (let n = 2; n < 12; n++) {
      running(`run-${n}`);
      nowMs += 1;
      expect(await start(`run-${n}`)).toBeNull();
    }
    nowMs += 1;
    await expect(start("run-12")).rejects.toThrow("10 runs wait for the lock default already. Run run-1 holds it.");
  });

  it("queue: a full queue in front of a free lock names no holder, least of all the run itself", async () => {
    for (let n = 2; n < 12; n++) {
      running(`run-${n}`);
      nowMs += 1;
      await start(`run-${n}`);
    }
    await ledger.releaseLock("shop", "default", "run-1");
    nowMs += 1;
    const refused = start("run-12");
    await expect(refused).rejects.toThrow("It is free, and goes to the first of them.");
    await expect(refused).rejects.not.toThrow("run-12");
  });

  it("G29: an entry of the same dbt project waits for the other's run, and takes its lock over once that is gone", async () => {
    const shared = { lockProject: "shop" };
    const execution = { arn: arnOf("run-2"), name: "run-2", startTime: "" };
    const hourly = { ...exampleSettings("hourly"), ...shared };
    const payload = { taskToken: "t", input: { project: "hourly" }, execution, projects: { hourly } };
    const begin = () => startRun(payload, { ledger, executions, nowMs: () => nowMs });
    running("run-2");
    expect(await begin()).toBeNull();
    ended("run-1");
    nowMs += 600_000;
    expect(await begin()).toMatchObject({ project: "hourly", runId: "run-2" });
    expect(await lock()).toMatchObject({ project: "shop", runProject: "hourly", runId: "run-2" });
    expect(await ledger.readRun({ project: "hourly", runId: "run-2" })).toMatchObject({ lockProject: "shop" });
    running("run-3");
    expect(await start("run-3")).toBeNull();
  });

  it("queue: a start that died between lock and row does not wait behind those that wait for it", async () => {
    running("run-2");
    expect(await start("run-2")).toBeNull();
    await ledger.releaseLock("shop", "default", "run-1");
    const dying = { ...ledger, createRun: () => Promise.reject(new Error("died")) };
    const payload = {
      taskToken: "t",
      input: { project: "shop" },
      execution: { arn: arnOf("run-2"), name: "run-2", startTime: "" },
      projects: { shop: exampleSettings() },
    };
    await expect(startRun(payload, { ledger: dying, executions, nowMs: () => nowMs })).rejects.toThrow("died");
    running("run-3");
    expect(await start("run-3")).toBeNull();
    nowMs += 1_000;
    expect(await start("run-2")).toMatchObject({ runId: "run-2" });
  });

  it("skip: answers that there is nothing to run, and refuse: fails, each naming the holder", async () => {
    expect(await start("run-2", { overlap: "skip" })).toMatchObject({
      skipped: "Run run-1 holds the lock default (overlap: skip).",
    });
    await expect(start("run-3", { overlap: "refuse" })).rejects.toThrow(RunLocked);
    expect((await lock())!.runId).toBe("run-1");
    expect(await ledger.readRun(keyOf("run-2"))).toBeNull();
  });

  it("a holder that is gone is replaced once its tasks are over or silent, and what it had not begun can not begin", async () => {
    await ledger.createTask(keyOf("run-1"), 0, taskRow(1, { claimedAtMs: NOW }));
    await ledger.markClaimed(keyOf("run-1"), 1);
    ended("run-1");
    nowMs += 59_000;
    await expect(start("run-2", { overlap: "refuse" })).rejects.toThrow(RunLocked);
    nowMs += 2_000;
    expect(await start("run-2", { overlap: "refuse" })).toMatchObject({ runId: "run-2" });
    expect(await ledger.passFence(keyOf("run-1"), 1, { taskArn: "late", startedAtMs: nowMs })).toBe(false);
  });

  it("a holder whose container still beats is not replaced", async () => {
    await ledger.createTask(keyOf("run-1"), 0, taskRow(1, { claimedAtMs: NOW }));
    await ledger.markClaimed(keyOf("run-1"), 1);
    await ledger.passFence(keyOf("run-1"), 1, { taskArn: "arn", startedAtMs: NOW });
    ended("run-1");
    nowMs += 600_000;
    await ledger.heartbeat(keyOf("run-1"), 1, { taskArn: "arn", atMs: nowMs - 1_000, sequence: 3 });
    await expect(start("run-2", { overlap: "refuse" })).rejects.toThrow(RunLocked);
  });
});

it("D14: a run begins with the image that a person has chosen since the deploy, and keeps it", async () => {
  const { producer, executionQueue } = exampleSettings();
  const over = { producer: producer.taskDefinitionArn, executionQueue: executionQueue.taskDefinitionArn };
  const revisions = (n: number) => ({ producer: `producer:${n}`, executionQueue: `queue:${n}` });
  const choose = (n: number) =>
    ledger.chooseImage({ project: "shop", image: `i:${n}`, over, ...revisions(n), by: "jane", atMs: NOW, reason: "" });
  await choose(8);
  await start("one");
  await choose(9);
  await start("one");
  const { settings } = (await ledger.readRun(keyOf("one")))!;
  expect([settings.producer.taskDefinitionArn, settings.executionQueue.taskDefinitionArn]).toEqual([
    "producer:8",
    "queue:8",
  ]);
});

describe("G13: a run that a step of a larger machine waits for", () => {
  const asked = { project: "shop", ifLeftOut: "fail" };

  it("G13: fails where it would be left out, since the next step must not go on with nothing built; the list has it", async () => {
    await ledger.pause({ project: "shop", by: "ada", atMs: NOW, reason: "the warehouse moves" });
    await expect(start("run-1", {}, asked)).rejects.toThrow(RunLeftOut);
    await expect(start("run-1", {}, asked)).rejects.toThrow("Nothing was built.");
    expect(await start("run-2", {}, { project: "shop" })).toMatchObject({ skipped: expect.any(String) });
    expect(await ledger.listRuns("shop", 9)).toMatchObject([{ state: "skipped" }, { state: "skipped" }]);
    expect(await start("run-3", {}, { ...asked, evenIfPaused: true })).toMatchObject({ runId: "run-3" });
    running("run-3");
    await expect(start("run-4", { overlap: "skip" }, { ...asked, evenIfPaused: true })).rejects.toThrow(RunLeftOut);
  });

  it("G13: where the attempt before it is green it has nothing left to do, and that is no failure", async () => {
    const keyed = { ...asked, runKey: "of a parent" };
    await start("run-1", {}, keyed);
    const end = { state: "green", verdict: "Good.", summaryKey: null, endedAtMs: NOW } as const;
    await ledger.endRun({ ...keyOf("run-1"), round: 1 }, end);
    const said = "Run run-1 of the same runKey is green: nothing is left to do.";
    expect(await start("run-2", {}, keyed)).toMatchObject({ skipped: said });
  });

  it("G13: waits for the verdict of an attempt whose execution its machine has ended, and then goes on with it", async () => {
    const keyed = { ...asked, runKey: "of a parent" };
    await start("run-1", {}, keyed);
    ended("run-1");
    expect(await start("run-2", {}, keyed)).toBeNull();
    const end = { state: "stopped", verdict: "Stopped.", summaryKey: null, endedAtMs: NOW } as const;
    await ledger.endRun({ ...keyOf("run-1"), round: 1 }, end);
    expect(await start("run-2", {}, keyed)).toMatchObject({ runId: "run-2" });
    expect(await ledger.readRun(keyOf("run-2"))).toMatchObject({ resumed: "run-1" });
  });

  it("G8 G13: goes on with what a person's run has made of the attempt before, and not with that attempt again", async () => {
    const keyed = { ...asked, runKey: "of a parent" };
    const end = { state: "red", verdict: "No.", summaryKey: null, endedAtMs: NOW } as const;
    await start("run-1", {}, keyed);
    await ledger.endRun({ ...keyOf("run-1"), round: 1 }, end);
    ended("run-1");
    await ledger.releaseLock("shop", "default", "run-1");
    const resume = { run: "run-1", who: "ada", reason: "the grant is there" };
    // As the command has it: a person who retries a run knows what is paused.
    const byHand = { project: "shop", resume, evenIfPaused: true };
    expect(await start("by-hand", {}, byHand)).toMatchObject({ runId: "by-hand" });
    running("by-hand");
    await expect(start("run-2", {}, keyed)).rejects.toThrow("by-hand");
    await ledger.endRun({ ...keyOf("by-hand"), round: 1 }, { ...end, state: "green" });
    ended("by-hand");
    const said = "Run by-hand of the same runKey is green: nothing is left to do.";
    expect(await start("run-3", {}, keyed)).toMatchObject({ skipped: said });
  });

  it("G13: an attempt that never began leaves to the next one what it was to go on with", async () => {
    const keyed = { ...asked, runKey: "of a parent" };
    await start("run-1", {}, keyed);
    await endRed("run-1");
    await ledger.pause({ project: "shop", by: "ada", atMs: NOW, reason: "the warehouse moves" });
    await expect(start("run-2", {}, { ...keyed, ifLeftOut: "fail" })).rejects.toThrow(RunLeftOut);
    ended("run-2");
    await ledger.resume("shop");
    // By hand in between: the key is that of an attempt that never began, which would have gone on with it.
    const byHand = { project: "shop", resume: { run: "run-1", nodes: ["model.shop.a"] }, evenIfPaused: true };
    await start("by-hand", {}, byHand);
    running("by-hand");
    await expect(start("run-3", {}, keyed)).rejects.toThrow("by-hand");
    await endRed("by-hand");
    expect(await start("run-3", {}, keyed)).toMatchObject({ runId: "run-3" });
    expect(await ledger.readRun(keyOf("run-3"))).toMatchObject({ resumed: "by-hand" });
  });

  it("G13: waits for one that a person has redriven, before its round has begun and after, and takes what comes of it", async () => {
    const keyed = { ...asked, runKey: "of a parent" };
    await start("run-1", {}, keyed);
    const end = { state: "red", verdict: "No.", summaryKey: null, endedAtMs: NOW } as const;
    await ledger.endRun({ ...keyOf("run-1"), round: 1 }, end);
    await ledger.releaseLock("shop", "default", "run-1");
    running("run-1");
    expect(await start("run-2", {}, keyed)).toBeNull();
    const { readRun } = ledger;
    const goesOn = { ...(await readRun(keyOf("run-1")))!, round: 2, state: "running" as const };
    ledger.readRun = async (key) => (key.runId === "run-1" ? goesOn : readRun(key));
    expect(await start("run-2", {}, keyed)).toBeNull();
    ledger.readRun = async (key) => (key.runId === "run-1" ? { ...goesOn, state: "green" } : readRun(key));
    ended("run-1");
    expect(await start("run-2", {}, keyed)).toMatchObject({ skipped: expect.stringContaining("Run run-1") });
  });

  it("G13: goes on with the image that is deployed now where it is asked to", async () => {
    const keyed = { ...asked, runKey: "of a parent" };
    await start("run-1", {}, keyed);
    await endRed("run-1");
    await start("run-2", {}, { ...keyed, attemptImage: "current" });
    expect(await ledger.readRun(keyOf("run-2"))).toMatchObject({
      input: { resume: { run: "run-1", image: "current" } },
      mixedImages: true,
    });
    // Whoever goes on with that has tables of both images too.
    await endRed("run-2");
    await start("run-3", {}, keyed);
    expect(await ledger.readRun(keyOf("run-3"))).toMatchObject({
      input: { resume: { run: "run-2", image: "same" } },
      mixedImages: true,
    });
  });

  it("H12: begins for a backfill that goes on, and not any more once that is over, also where it waited", async () => {
    const backfill = arnOf("a-backfill");
    const keyed = { ...asked, runKey: "a day of it", backfill };
    await start("holder");
    running("holder");
    running("run-1");
    expect(await start("run-1", {}, keyed)).toBeNull();
    executions.set(backfill, { status: "ABORTED" });
    await expect(start("run-1", {}, keyed)).rejects.toThrow("The backfill that has started this run is over.");
    expect(await ledger.readQueue("shop", "default")).toEqual([]);
    expect(await ledger.readRun(keyOf("run-1"))).toBeNull();
  });

  it("H12: a later execution of the same backfill goes on with the run of the same window, which is the same work", async () => {
    const [first, second] = [arnOf("a-backfill"), arnOf("a-backfill-r2")];
    const keyed = { ...asked, runKey: "a day of it" };
    for (const one of [first, second]) executions.set(one, { status: "RUNNING" });
    await start("run-1", {}, { ...keyed, backfill: first });
    await endRed("run-1");
    executions.set(first, { status: "FAILED" });
    expect(await start("run-2", {}, { ...keyed, backfill: second })).toMatchObject({ runId: "run-2" });
    expect(await ledger.readRun(keyOf("run-2"))).toMatchObject({ resumed: "run-1" });
  });

  it("H8: Step Functions' own word on who has started it is no option of dbt, and is passed over", async () => {
    const input = { ...asked, AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID: arnOf("parent") };
    expect(await start("run-1", {}, input)).toMatchObject({ runId: "run-1" });
    expect((await ledger.readRun(keyOf("run-1")))?.input).toEqual(asked);
  });
});
