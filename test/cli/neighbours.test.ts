import { beforeEach, describe, expect, test } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import { LOCK_FREE } from "#core/contracts/payloads.ts";
import { executionArn } from "#core/names.ts";
import { runRow, taskRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { type FakeStack, fakeStack, known, RUN_MACHINE, stepwatch } from "./fake-context.ts";

/** The clock of a command line (fake-context.ts). */
const NOW = 1_700_000_200_000;
const key = { project: "shop", runId: "run-1" };

let ledger: Ledger;
let stack: FakeStack;

beforeEach(() => {
  ledger = memoryLedger();
  stack = { ...fakeStack([]), ledger, projects: ["shop"] };
});

const arn = (runId: string) => executionArn(RUN_MACHINE, runId);

/** run-1 has the lock since a minute, with a task that gave its last sign of life some time ago. */
async function held(silentMs: number, status: string, lockKey = "default"): Promise<void> {
  await ledger.takeLock({ ...key, lockKey, executionArn: arn("run-1"), takenAtMs: NOW - 60_000 });
  await ledger.createRun(runRow(key, { lockKey, executionArn: arn("run-1") }));
  await ledger.createTask(key, 0, taskRow(1, { claimedAtMs: NOW - 600_000 }));
  await ledger.markClaimed(key, 1);
  await ledger.passFence(key, 1, { taskArn: "arn:task", startedAtMs: NOW - silentMs });
  await ledger.createTask(key, 1, taskRow(2, { claimedAtMs: NOW - 600_000 }));
  known(stack, "run-1", { status });
}

const waits = (runId: string, replacedBy?: string) =>
  ledger
    .joinQueue("shop", "default", { runId, atMs: NOW - 30_000, executionArn: arn(runId), taskToken: `of ${runId}` })
    .then(async ([entry]) => replacedBy && (await ledger.markReplaced("shop", "default", entry!, replacedBy)));

const unlock = (...more: string[]) => stepwatch(["unlock", "shop", "--reason", "it hangs", ...more], { stack });

describe("G25: unlock", () => {
  test("G25: a holder that is gone: the evidence first, then the next one has the lock; who, when and why are kept", async () => {
    await held(3_600_000, "ABORTED");
    await waits("run-0", "run-2");
    await waits("run-2");
    const end = await unlock();
    expect(end.exitCode).toBe(0);
    expect(end.stderr).toBe(`Lock default of shop
  held by    run run-1 of shop, since 2023-11-14T22:15:40.000Z, 1 min 00 s ago
  execution  ABORTED; its row says running
  task 1     producer, running, last sign of life 2023-11-14T21:16:40.000Z, 60 min 00 s ago
  task 2     fallback, claiming, last sign of life 2023-11-14T22:06:40.000Z, 10 min 00 s ago
  waiting 1  run run-2, since 2023-11-14T22:16:10.000Z, 30 s ago
`);
    expect(end.stdout).toBe("The lock default is free. The run run-2 is next.\n");
    expect(await ledger.readLock("shop", "default")).toBeNull();
    expect(stack.executions.answered).toEqual([
      { taskToken: "of run-2", error: { name: LOCK_FREE, cause: "Run run-2 is next." } },
    ]);
    expect(await ledger.listHands("shop", 9)).toEqual([
      {
        project: "shop",
        action: "unlock",
        by: "jane",
        atMs: NOW,
        reason: "it hangs",
        sentence: "took the lock default from run run-1 of shop",
      },
    ]);
  });

  test("G25: what is left of the holder builds nothing beside the next run: it is told to stop, what has not begun can not begin", async () => {
    await held(3_600_000, "TIMED_OUT");
    await unlock();
    const run = (await ledger.readRun(key))!;
    expect(run).toMatchObject({ stopRequestedBy: "jane", stopReason: "its lock was taken from it: it hangs" });
    expect((await ledger.readTasks(key)).map(({ state }) => state)).toEqual(["running", "over"]);
    await ledger.markClaimed(key, 2);
    expect(await ledger.passFence(key, 2, { taskArn: "late", startedAtMs: NOW })).toBe(false);
  });

  test.each([
    [3_600_000, "RUNNING", "The run run-1 goes on: its execution runs."],
    [10_000, "ABORTED", "The run run-1 goes on: its task 1 gave a sign of life 10 s ago."],
  ])(
    "G25: a holder with a sign of life (silent for %i ms, %s) keeps its lock, unless by force, which stops it",
    async (silentMs, status, words) => {
      await held(silentMs, status);
      await waits("run-2");
      const refused = await unlock("--stack", "shops");
      expect(refused.exitCode).toBe(2);
      expect(refused.stderr).toContain("held by    run run-1 of shop");
      expect(refused.stderr).toContain(words);
      expect(refused.stderr).toContain("→ npx stepwatch stop run-1 --reason 'it hangs' --stack shops");
      expect(await ledger.readLock("shop", "default")).toMatchObject({ runId: "run-1" });
      expect(await ledger.listHands("shop", 9)).toEqual([]);
      const forced = await unlock("--force", "--json");
      expect(forced.exitCode).toBe(0);
      expect(JSON.parse(forced.stdout)).toMatchObject({
        contract: 1,
        project: "shop",
        unlocked: true,
        by: "jane",
        reason: "it hangs",
        forced: true,
        next: "run-2",
        lockKey: "default",
        holder: { runId: "run-1", execution: status, state: "running", tasks: [{ task: 1 }, { task: 2 }] },
        waiting: [{ runId: "run-2" }],
      });
      expect(await ledger.readRun(key)).toMatchObject({ stopRequestedBy: "jane" });
      expect((await ledger.listHands("shop", 9))[0]!.sentence).toContain("by force, although its");
    },
  );

  test("no lock is held: said, and nothing is done", async () => {
    expect(await unlock()).toMatchObject({ exitCode: 0, stdout: "No run holds a lock of shop.\n" });
    expect(JSON.parse((await unlock("--json")).stdout)).toEqual({ contract: 1, project: "shop", unlocked: false });
  });

  test("of several locks one is to be named, by its target or as it is called", async () => {
    await held(3_600_000, "ABORTED", "prod");
    await ledger.takeLock({ ...key, runId: "run-9", lockKey: "dev", executionArn: arn("run-9"), takenAtMs: NOW });
    const several = await unlock();
    expect(several).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("shop has several locks that are held"),
    });
    const other = await unlock("--target", "ci");
    expect(other).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("The lock ci of shop is not held") });
    expect((await unlock("--target", "prod")).stdout).toBe("The lock prod is free.\n");
    expect((await unlock("--lock-key", "dev")).stdout).toBe("The lock dev is free.\n");
  });

  test("where nobody knows what dbt builds without a name, the one lock is that of every target", async () => {
    await held(3_600_000, "ABORTED");
    expect((await unlock("--target", "prod")).stdout).toBe("The lock default is free.\n");
  });

  test("G29: the lock of an entry that shares it stands with the first of them", async () => {
    await ledger.takeLock({
      ...key,
      project: "daily",
      runProject: "shop",
      lockKey: "prod",
      executionArn: arn("run-1"),
      takenAtMs: 1,
    });
    await ledger.createRun(runRow(key, { lockKey: "prod", lockProject: "daily", executionArn: arn("run-1") }));
    await ledger.putRunIndex({ ...key, executionArn: arn("run-1"), startedAtMs: 1, state: "running" }, 60);
    known(stack, "run-1", { status: "ABORTED" });
    expect((await unlock("--stack", "shops")).stdout).toBe("The lock prod is free.\n");
  });

  test.each([
    [["unlock", "shop"], "required option '--reason <text>' not specified"],
    [["unlock", "shop", "--reason", " "], "--reason"],
    [["pause", "shop"], "required option '--reason <text>' not specified"],
    [["unlock", "shopp", "--reason", "r"], "There is no project shopp in the deployed stack"],
    [["pause", "shopp", "--reason", "r"], "There is no project shopp in the deployed stack"],
    [["resume", "shopp"], "There is no project shopp in the deployed stack"],
  ])("%j is refused", async (line, words) => {
    const end = await stepwatch(line, { stack });
    expect(end).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(words) });
  });

  test("of a stack in AWS without a stepwatch.yaml, a project is one that has runs", async () => {
    const aws: FakeStack = { ...stack, projects: null };
    const line = ["pause", "shop", "--reason", "r", "--stack", "shops"];
    expect(await stepwatch(line, { stack: aws })).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("has no run of a project shop"),
    });
    await ledger.putRunIndex({ ...key, executionArn: "a", startedAtMs: 1, state: "running" }, 60);
    expect((await stepwatch(line, { stack: aws })).exitCode).toBe(0);
  });
});

describe("G25: pause and resume", () => {
  const pause = (...more: string[]) =>
    stepwatch(["pause", "shop", "--reason", "the warehouse moves", ...more], { stack });

  test("G25: kept with who, when and why, told by runs and status, and taken back", async () => {
    const paused = await pause();
    expect(paused).toMatchObject({ exitCode: 0 });
    expect(
      paused.stdout,
    ).toBe(`shop is paused: its runs end as skipped, scheduled ones and those that wait. Live runs go on.
‖ paused by jane since 2023-11-14T22:16:40.000Z: the warehouse moves
  → npx stepwatch resume shop
`);
    await held(1_000, "RUNNING");
    const lines =
      "‖ paused by jane since 2023-11-14T22:16:40.000Z: the warehouse moves\n  → npx stepwatch resume shop\n";
    expect((await stepwatch(["runs", "shop"], { stack })).stdout).toContain(lines);
    expect((await stepwatch(["status", "run-1"], { stack })).stdout).toContain(lines);
    const told = { by: "jane", since: "2023-11-14T22:16:40.000Z", reason: "the warehouse moves" };
    for (const line of [
      ["runs", "shop", "--json"],
      ["status", "run-1", "--json"],
    ])
      expect(JSON.parse((await stepwatch(line, { stack })).stdout).paused).toEqual(told);

    const again = JSON.parse((await pause("--reason", "another", "--json")).stdout);
    expect(again).toEqual({ contract: 1, project: "shop", changed: false, paused: told });
    const resumed = await stepwatch(["resume", "shop", "--reason", "it has moved", "--json"], { stack });
    expect(JSON.parse(resumed.stdout)).toEqual({
      contract: 1,
      project: "shop",
      changed: true,
      was: told,
      paused: null,
    });
    expect((await stepwatch(["resume", "shop"], { stack })).stdout).toBe("shop is not paused.\n");
    const { stdout } = await stepwatch(["runs", "shop"], { stack });
    expect(stdout).not.toContain("‖");
    expect(stdout).toContain(`By hand:
  2023-11-14T22:16:40.000Z  jane resumed the project, paused by jane: it has moved
  2023-11-14T22:16:40.000Z  jane paused the project: the warehouse moves
`);
    expect(await ledger.listHands("shop", 9)).toMatchObject([{ action: "resume" }, { action: "pause" }]);
  });

  test("G25: run says so before it starts anything, and starts all the same with --even-if-paused", async () => {
    await pause();
    const refused = await stepwatch(["run", "shop", "--no-follow"], { stack });
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain(
      "The project shop was paused by jane at 2023-11-14T22:16:40.000Z: the warehouse moves. Nothing was started.",
    );
    expect(refused.stderr).toContain("→ npx stepwatch resume shop");
    expect(stack.executions.started).toEqual([]);
    expect((await stepwatch(["run", "shop", "--no-follow", "--even-if-paused"], { stack })).exitCode).toBe(0);
    expect(stack.executions.started.map(({ input }) => input)).toEqual([{ project: "shop", evenIfPaused: true }]);
  });
});

describe("what a run is told of its neighbours", () => {
  const started = async (...more: string[]) => {
    const end = await stepwatch(["run", "shop", "--no-follow", ...more], { stack });
    return end.exitCode === 0 ? stack.executions.started.at(-1)!.input : end.stderr;
  };

  test("G10: --overlap, --depends-on-past and --dedupe-key stand in its input", async () => {
    expect(await started("--overlap", "latest", "--depends-on-past", "--dedupe-key", "event-1")).toEqual({
      project: "shop",
      dedupeKey: "event-1",
      policy: { overlap: "latest", dependsOnPast: true },
    });
    expect(await started("--no-depends-on-past", "--policy", "retries.node=0")).toEqual({
      project: "shop",
      policy: { retries: { node: 0 }, dependsOnPast: false },
    });
    expect(await started("--overlap", "never")).toContain("must be one of queue, latest, skip, refuse");
  });

  test("G11: a run that was refused for the one before names the command that mends that one", async () => {
    const cause = "The run run-0 before this one is red: orders failed. This run depends on it …";
    stack.executions.start = async (machine, name) => {
      stack.executions.set(executionArn(machine, name), { status: "FAILED", error: "PastNotGreen", cause });
      return { executionArn: executionArn(machine, name), started: true };
    };
    const end = await stepwatch(["run", "shop"], { stack });
    expect(end).toMatchObject({ exitCode: 3, stderr: expect.stringContaining(cause) });
    expect(end.stderr).toContain("→ npx stepwatch retry run-0");
  });

  test("G22: status of a run that was left out says why, and not that its rows have expired", async () => {
    const output = { contract: 1, ...key, state: "skipped", verdict: "Duplicate of run run-0: the same trigger." };
    known(stack, "run-1", { status: "SUCCEEDED", output });
    const end = await stepwatch(["status", "run-1"], { stack });
    expect(end.stderr).toContain("it was left out. Duplicate of run run-0: the same trigger.");
    expect(end.stderr).not.toContain("expired");
  });
});
