import { afterEach, expect, test, vi } from "vitest";
import { EXIT } from "../../containers/dbt-runner/exit-codes.ts";
import { stopSchedule } from "../../containers/dbt-runner/stop-switch.ts";
import { ARN, type Bench, benches, KEY, until } from "./bench.ts";
import { closing, concurrency, ended, manifestOf, type Step, started, version } from "./dbt-lines.ts";

const A = "model.shop.a";
const B = "model.shop.b";
const C = "model.shop.c";
const manifest = manifestOf([{ id: A }, { id: B, parents: [A] }, { id: C, parents: [B] }]);
const head = [version(), { manifest: true }, concurrency(3), started(A), ended(A), started(B)];
const hangs = [...head, { sleepMs: 60_000 }];
/** What 1.x prints after SIGINT: an error for what it cancelled, and its closing line; exit code 2. */
const obeys: Step[] = [{ sleepMs: 50 }, ended(B, "error"), closing(), { exitCode: 2 }];

const newBench = benches();
afterEach(() => {
  vi.useRealTimers();
});
const reachesB = (it: Bench) => until(() => it.writes.some((write) => write.uniqueId === B), "b is running");
const signalsTo = (it: Bench) => it.noted().flatMap((note) => (note.signal ? [note.signal] : []));
const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test("D6: SIGTERM becomes one SIGINT, what ran is interrupted, all is recorded within the stop timeout", async () => {
  const it = await newBench({ script: { build: hangs, sigint: obeys, manifest }, stopTimeoutSeconds: 20 });
  const done = it.container();
  await reachesB(it);
  it.stop.ask("terminated", "SIGTERM");
  expect(await done).toBe(EXIT.recorded);
  expect(signalsTo(it)).toEqual(["SIGINT"]);
  expect(await it.statuses()).toEqual({ [A]: "success", [B]: "cancelled" });
  expect((await it.task()).end).toMatchObject({ inOrder: false, exitCode: 2, cause: { kind: "terminated" } });
});

test("D6: a dbt that ignores SIGINT is ended in time, and the end is recorded", async () => {
  const it = await newBench({ script: { build: hangs, manifest }, stopTimeoutSeconds: 120 });
  const done = it.container();
  await reachesB(it);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], shouldClearNativeTimers: true });
  it.stop.ask("terminated", "SIGTERM");
  await vi.advanceTimersByTimeAsync(stopSchedule(120).killAfterMs);
  expect(await done).toBe(EXIT.recorded);
  expect(await it.statuses()).toEqual({ [A]: "success", [B]: "cancelled" });
  expect((await it.task()).end).toMatchObject({ inOrder: false, cause: { kind: "terminated" } });
});

test("D6: without time for the ledger the end is not recorded, and the exit code says so", async () => {
  let refuses = false;
  const it = await newBench({
    script: { build: hangs, sigint: obeys, manifest },
    stopTimeoutSeconds: 2,
    onWrite: async () => {
      if (refuses) throw (await import("./bench.ts")).refusal();
    },
  });
  const done = it.container();
  await reachesB(it);
  refuses = true;
  it.stop.ask("terminated", "SIGTERM");
  expect(await done).toBe(EXIT.terminated);
  expect((await it.task()).state).toBe("running");
  expect((await it.task()).end).toBeUndefined();
});

test("D6: a stop before any vertex began may be launched again", async () => {
  const it = await newBench({
    script: { build: [version(), { sleepMs: 60_000 }], sigint: [{ exitCode: 2 }], manifest },
  });
  const done = it.container();
  await until(() => it.lines.some((line) => line.includes("MainReportVersion")), "dbt's first line");
  it.stop.ask("terminated", "SIGTERM");
  await done;
  expect((await it.task()).end).toMatchObject({ retryableLaunch: true, cause: { kind: "terminated" } });
});

test("D6: a container that is told to stop before dbt was started does not start it", async () => {
  const it = await newBench({ script: { build: hangs, manifest } });
  it.stop.ask("terminated", "SIGTERM");
  expect(await it.container()).toBe(EXIT.recorded);
  expect(it.noted().map((note) => note.started)).not.toContain("build");
  expect((await it.task()).end).toMatchObject({ retryableLaunch: true, cause: { kind: "terminated" } });
});

test("D15: the run's stop flag ends dbt", async () => {
  const it = await newBench({ script: { build: hangs, sigint: obeys, manifest } });
  const done = it.container();
  await reachesB(it);
  await it.ledger.requestStop(KEY, { atMs: Date.now(), reason: "a person stopped it" });
  expect(await done).toBe(EXIT.recorded);
  expect((await it.task()).end).toMatchObject({
    cause: { kind: "stopped", sentence: expect.stringContaining("a person stopped it") },
  });
  expect(await it.statuses()).toEqual({ [A]: "success", [B]: "cancelled" });
});

test("D15: the run's deadline ends dbt, with no machine left to say so", async () => {
  const it = await newBench({
    script: { build: hangs, sigint: obeys, manifest },
    run: { deadlineAtMs: Date.now() + 2_000 },
  });
  expect(await it.container()).toBe(EXIT.recorded);
  expect((await it.task()).end).toMatchObject({ cause: { kind: "timeout" }, inOrder: false });
});

test("D15: a lock that names another run ends dbt; one that names this run, or none, does not", async () => {
  const it = await newBench({ script: { build: hangs, sigint: obeys, manifest } });
  const lock = { project: KEY.project, lockKey: "default", executionArn: "arn", takenAtMs: 1 };
  await it.ledger.takeLock({ ...lock, runId: KEY.runId });
  const done = it.container();
  await reachesB(it);
  const before = (await it.task()).heartbeatAtMs ?? 0;
  await until(async () => ((await it.task()).heartbeatAtMs ?? 0) > before, "another heartbeat");
  expect(signalsTo(it)).toEqual([]);
  await it.ledger.replaceLock({ ...lock, runId: "run-2" }, { runId: KEY.runId });
  expect(await done).toBe(EXIT.recorded);
  expect((await it.task()).end).toMatchObject({
    cause: { kind: "stopped", sentence: expect.stringContaining("run-2") },
  });
});

test("E4: a container whose fence is lost kills dbt at once and writes nothing more", async () => {
  const it = await newBench({ script: { build: hangs, sigint: obeys, manifest } });
  const done = it.container();
  await reachesB(it);
  await it.ledger.markStopped(KEY, 1, {
    stoppedAtMs: Date.now(),
    stopCode: null,
    stoppedReason: "lost",
    exitCode: null,
    outOfMemory: false,
    neverStarted: false,
  });
  expect(await done).toBe(EXIT.fenceLost);
  expect(
    it
      .noted()
      .filter((note) => note.started)
      .every((note) => !isAlive(note.pid)),
  ).toBe(true);
  expect((await it.task()).end).toBeUndefined();
  expect(await it.statuses()).toEqual({ [A]: "success", [B]: "started" });
});

test("D10: a heartbeat carries sequence, version and invocation, and moves while dbt says nothing", async () => {
  const it = await newBench({ script: { build: hangs, sigint: obeys, manifest } });
  const done = it.container();
  await reachesB(it);
  await until(async () => (await it.task()).sequence >= 2, "a heartbeat after two writes");
  const first = await it.task();
  expect(first).toMatchObject({ dbtVersion: "1.11.16", fencedBy: ARN, invocationId: expect.any(String) });
  await until(async () => ((await it.task()).heartbeatAtMs ?? 0) > (first.heartbeatAtMs ?? 0), "the next heartbeat");
  it.stop.ask("terminated", "end of test");
  await done;
});

test("the stop timeout is divided so that the record always has time, from 2 s to 120 s", () => {
  for (let seconds = 2; seconds <= 120; seconds += 1) {
    const { terminateAfterMs, killAfterMs, recordedByMs } = stopSchedule(seconds);
    expect(terminateAfterMs).toBeLessThan(killAfterMs);
    expect(recordedByMs - killAfterMs).toBeGreaterThanOrEqual(Math.min(500, seconds * 250));
    expect(recordedByMs).toBeLessThan(seconds * 1000);
  }
  expect(stopSchedule(120)).toEqual({ terminateAfterMs: 90_000, killAfterMs: 100_000, recordedByMs: 118_000 });
});
