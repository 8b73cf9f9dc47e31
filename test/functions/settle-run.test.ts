import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import { NO_COUNTS } from "#core/contracts/run-tally.ts";
import { HistoryFull, RoundOpened, RowMissing, RowsExpire, RunFailed, TaskStillBuilds } from "#core/errors.ts";
import { artefactKeys } from "#core/names.ts";
import { type SettleRunDeps, settleRun } from "../../functions/settle-run/settle-run.ts";
import { FakeArtefacts, FakeEvents, FakeExecutions, FakeTasks } from "../support/fake-clients.ts";
import { buildEnd, runRow, taskRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { dataTest, planOf, vertex } from "../support/run-builders.ts";

const key = { project: "shop", runId: "run-1" };
const reference = { contract: 1 as const, ...key, round: 1 };
const plan = planOf([vertex("a")]);
const lock = { ...key, lockKey: "default", executionArn: "arn", takenAtMs: 1 };

let ledger: Ledger;
let artefacts: FakeArtefacts;
let events: FakeEvents;
let executions: FakeExecutions;
let warned: string[];
let nowMs: number;

beforeEach(async () => {
  ledger = memoryLedger();
  artefacts = new FakeArtefacts();
  events = new FakeEvents();
  executions = new FakeExecutions();
  warned = [];
  nowMs = 1_700_000_200_000;
  await ledger.takeLock(lock);
  await ledger.createRun(runRow(key));
  await ledger.createTask(key, 0, taskRow(1));
  await ledger.markClaimed(key, 1);
  await ledger.setPlan(key, { planKey: "plan", plannedVertices: 1, plannedNodes: 1 });
});

const settle = (given: Partial<typeof reference & { skipped: string }> = {}, other: Partial<SettleRunDeps> = {}) =>
  settleRun(
    { ...reference, ...given },
    {
      ledger,
      artefacts,
      events,
      executions,
      tasks: new FakeTasks(),
      readPlan: async () => plan,
      nowMs: () => nowMs,
      warn: (sentence) => warned.push(sentence),
      ...other,
    },
  );

async function built(status: string, end: Parameters<typeof buildEnd>[0] = {}): Promise<void> {
  await ledger.passFence(key, 1, { taskArn: "arn:1", startedAtMs: 1 });
  await ledger.writeVertex(key, 1, {
    uniqueId: "a",
    status,
    evidence: true,
    endedAtMs: 2,
    message: "Database Error: no table",
  });
  await ledger.endTask(key, 1, "arn:1", buildEnd(end), 1);
}

describe("a run that ends", () => {
  it("B13: what dbt reused has the time that it took in the newest run which built it, as what this one has saved", async () => {
    const before = { project: "shop", runId: "run-0" };
    const older = { project: "shop", runId: "older" };
    for (const [n, [past, status, executionSeconds]] of (
      [
        [older, "success", 90],
        [before, "success", 75.5],
        [{ ...before, runId: "between" }, "reused", 0.1],
        [{ ...before, runId: "red" }, "error", 3],
        [{ ...before, runId: "of another target" }, "success", 999],
      ] as const
    ).entries()) {
      const lockKey = past.runId === "of another target" ? "staging" : runRow(key).lockKey;
      await ledger.putRunIndex({ ...past, executionArn: "arn", startedAtMs: n, state: "green", lockKey }, 60);
      await ledger.createRun(runRow(past));
      await ledger.createTask(past, 0, taskRow(1));
      await ledger.markClaimed(past, 1);
      await ledger.passFence(past, 1, { taskArn: "arn:1", startedAtMs: 1 });
      await ledger.writeVertex(past, 1, { uniqueId: "a", status, executionSeconds, evidence: true, endedAtMs: 2 });
    }
    await built("reused");
    await settle();
    const run = await ledger.readRun(key);
    expect(run?.tally).toMatchObject({ savedMs: 75_500 });
    expect(JSON.parse(artefacts.texts.get(run!.summaryKey!)!)).toMatchObject({ reused: 1, savedMs: 75_500 });
  });

  it("B13: a list of runs that can not be read costs the number, and no verdict", async () => {
    await built("reused");
    const listRuns = async () => {
      throw new Error("the table is throttled");
    };
    await settle({}, { ledger: { ...ledger, listRuns } });
    expect(await ledger.readRun(key)).toMatchObject({ state: "green" });
    expect(warned.join("\n")).toContain("How long the reused ones took is not known");
  });

  it("B13: where nothing was reused, or nobody knows when that was built, nothing is said to be saved", async () => {
    await built("reused");
    await settle();
    expect((await ledger.readRun(key))?.tally).not.toHaveProperty("savedMs");
  });

  it("F13: a consumer that notes its token while the verdict is given is answered too, whatever stands there of earlier rounds", async () => {
    await built("error");
    const wait = (token: string, round: number) => ({ token, round, redrives: 0, atMs: 9 });
    await ledger.keepRunWait(key, { token: "run token", averageSeconds: 7 });
    await ledger.keepConsumerWait(key, "a", "node", wait("of an earlier round", 0));
    await ledger.setOutcome({ ...key, round: 0 }, "a", "node", { outcome: "red", atMs: 9 });
    await ledger.markConsumerStarted({ ...key, round: 1 }, "a", "node", 1);
    const endRun: Ledger["endRun"] = async (...given) => {
      await ledger.keepConsumerWait(key, "a", "node", wait("late", 1));
      return ledger.endRun(...given);
    };
    await expect(settle({}, { ledger: { ...ledger, endRun } })).rejects.toThrow(RunFailed);
    expect(executions.answered).toMatchObject([{ taskToken: "late", error: { name: "NodeFailed" } }]);
  });

  it("A25: what its builds have shown of the project's silences is kept for the next run", async () => {
    nowMs = 1_700_000_000_000 + 90 * 60_000;
    const longestQuietMs = 45 * 60_000;
    await built("success", { longestQuietMs });
    await settle();
    expect(JSON.parse(artefacts.texts.get(artefactKeys.silence("shop"))!)).toEqual({ longestMs: longestQuietMs });
  });

  it("green: verdict, summary and index are written, the lock is given back, and a second time says the same", async () => {
    await built("success");
    const output = await settle();
    expect(output).toEqual({
      contract: 1,
      ...key,
      state: "green",
      verdict: "Every one of 1 vertices is good.",
      counts: { ...NO_COUNTS, good: 1 },
      summaryKey: "runs/shop/run-1/summary-1.json",
    });
    expect(artefacts.texts.has(artefactKeys.silence("shop")), "no silence that anybody would miss").toBe(false);
    const row = await ledger.readRun(key);
    nowMs += 60_000;
    expect(await settle()).toEqual(output);
    expect(await ledger.readRun(key)).toEqual(row);
    expect(await ledger.readLock("shop", "default")).toBeNull();
    expect(await ledger.listRuns("shop", 9)).toMatchObject([{ state: "green", tally: row!.tally }]);
    expect(row!.tally).toMatchObject({ counts: { good: 1 }, retried: 0 });
    expect(JSON.parse(artefacts.texts.get("runs/shop/run-1/summary-1.json")!)).toMatchObject({ state: "green" });
  });

  it("red: fails with the cause and the next commands, each time, and the lock is free", async () => {
    await built("error");
    for (let times = 0; times < 2; times++) {
      const failure = await settle().then(
        () => null,
        (error: unknown) => error as Error,
      );
      expect(failure).toBeInstanceOf(RunFailed);
      expect(failure!.message).toContain("a failed: Database Error: no table");
      expect(failure!.message).toMatch(/\nNext: npx stepwatch why run-1; npx stepwatch retry run-1$/);
    }
    expect(await ledger.readLock("shop", "default")).toBeNull();
  });

  it("F11: of two settles at once the summary says what the first one's verdict says", async () => {
    await built("success");
    const late = {
      ...ledger,
      endRun: async (...given: Parameters<Ledger["endRun"]>) => {
        nowMs += 60_000;
        await settle();
        nowMs += 60_000;
        return await ledger.endRun(...given);
      },
    };
    await settle({}, { ledger: late });
    const row = await ledger.readRun(key);
    const summary = JSON.parse(artefacts.texts.get("runs/shop/run-1/summary-1.json")!);
    expect(summary.timings.finishedAt).toBe(new Date(row!.endedAtMs!).toISOString());
    expect(summary).toMatchObject({ state: row!.state, verdict: row!.verdict });
  });

  it("F11: a death before the lock is given back leaves it to the next call", async () => {
    await built("success");
    const dying = { ...ledger, releaseLock: () => Promise.reject(new Error("died")) };
    await expect(settle({}, { ledger: dying })).rejects.toThrow("died");
    expect((await settle()).state).toBe("green");
    expect(await ledger.readLock("shop", "default")).toBeNull();
  });

  it("skipped: ends at once and leaves the holder's lock alone", async () => {
    const output = await settle({ runId: "run-2", skipped: "Run run-1 holds the lock." });
    expect(output).toMatchObject({ state: "skipped", verdict: "Run run-1 holds the lock." });
    expect((await ledger.readLock("shop", "default"))!.runId).toBe("run-1");
  });

  it("names a run that the ledger does not have", async () => {
    await expect(settle({ runId: "none" })).rejects.toThrow(RowMissing);
  });
});

describe("G10: the lock", () => {
  it("is kept, and no verdict is given, while a task of the run builds", async () => {
    await ledger.passFence(key, 1, { taskArn: "arn:1", startedAtMs: 1 });
    await expect(settle()).rejects.toThrow(TaskStillBuilds);
    expect((await ledger.readRun(key))!.state).toBe("running");
    expect(await ledger.readLock("shop", "default")).not.toBeNull();
  });

  it("is kept while a task builds that was launched as the verdict was given", async () => {
    await built("success");
    const racing = {
      ...ledger,
      endRun: async (...given: Parameters<Ledger["endRun"]>) => {
        await ledger.createTask(key, 1, taskRow(2));
        await ledger.markClaimed(key, 2);
        await ledger.passFence(key, 2, { taskArn: "arn:2", startedAtMs: 1 });
        return await ledger.endRun(...given);
      },
    };
    await expect(settle({}, { ledger: racing })).rejects.toThrow(TaskStillBuilds);
    expect(await ledger.readLock("shop", "default")).not.toBeNull();
    await ledger.endTask(key, 2, "arn:2", buildEnd(), 1);
    await settle();
    expect(await ledger.readLock("shop", "default")).toBeNull();
  });

  it("is given back over a task that has not begun, which then can not begin", async () => {
    await expect(settle()).rejects.toThrow(RunFailed);
    expect(await ledger.passFence(key, 1, { taskArn: "arn:1", startedAtMs: 1 })).toBe(false);
    expect(await ledger.readLock("shop", "default")).toBeNull();
  });
});

describe("G8: a round that can not be opened", () => {
  const wish = { round: 1, by: "person" as const, atMs: 3, downstream: false, force: false, fullRefresh: false };
  const settleAsked = async (roundsSeconds: number) => {
    await ledger.requestRound(key, wish);
    const deps = { ledger, artefacts, events, executions, tasks: new FakeTasks(), readPlan: async () => plan };
    const told = { nowMs: () => nowMs, warn: (sentence: string) => warned.push(sentence) };
    return await settleRun(reference, { ...deps, ...told }, { context: { RedriveCount: 0 }, roundsSeconds });
  };

  it("is refused by name where the history has no room, and the run has its verdict and its lock is free", async () => {
    await built("error");
    await expect(settleAsked(1)).rejects.toThrow(HistoryFull);
    expect(await ledger.readLock("shop", "default")).toBeNull();
    expect(await ledger.listRuns("shop", 9)).toMatchObject([{ state: "red" }]);
  });

  it("is not refused for the time that another execution took, with which the run goes on", async () => {
    await built("error");
    const { startedAtMs } = (await ledger.readRun(key))!;
    const round0 = { round: 0, state: "red" as const, verdict: "Bad.", startedAtMs: 0, endedAtMs: 86_400_000 };
    const resumed = { ...ledger, readRun: async () => withRounds(await ledger.readRun(key)) };
    const withRounds = <T>(row: T): T => row && { ...row, rounds: [round0] };
    nowMs = startedAtMs + 1_000;
    await ledger.requestRound(key, wish);
    const deps = { ledger: resumed, artefacts, events, executions, tasks: new FakeTasks(), readPlan: async () => plan };
    const told = { nowMs: () => nowMs, warn: (sentence: string) => warned.push(sentence) };
    const settled = settleRun(reference, { ...deps, ...told }, { context: { RedriveCount: 0 }, roundsSeconds: 20_000 });
    await expect(settled).rejects.toThrow(RoundOpened);
  });

  it("is refused where the run's first rows expire before its end: what is good would be taken for not built", async () => {
    await built("error");
    const { startedAtMs, settings } = (await ledger.readRun(key))!;
    const day = 86_400_000;
    nowMs = startedAtMs + settings.policy.ttlDays * day + 60_000;
    await expect(settleAsked(day)).rejects.toThrow(RowsExpire);
    nowMs = startedAtMs + settings.policy.ttlDays * day;
    await expect(settleAsked(day)).rejects.toThrow(RoundOpened);
  });
});

/** As check-run leaves them: each with a consumer. */
async function watched(nodes: readonly string[]): Promise<void> {
  for (const node of nodes) await ledger.markConsumerStarted({ ...key, round: 1 }, node, "node", 1);
}

describe("A5: a test that warns", () => {
  const [orders, customers] = ["model.shop.orders", "model.shop.customers"];
  const warns = "test.shop.relationships_orders";
  const shop = planOf([vertex(orders), vertex(customers), dataTest(warns, [orders, customers])]);
  const warned2 = { status: "warn", message: "Got 2 results, configured to warn if != 0", failures: 2 };

  beforeEach(async () => {
    await ledger.passFence(key, 1, { taskArn: "arn:1", startedAtMs: 1 });
    for (const uniqueId of [orders, customers])
      await ledger.writeVertex(key, 1, { uniqueId, status: "success", evidence: true, endedAtMs: 2 });
    await watched([orders, customers]);
    await ledger.writeVertex(key, 1, {
      uniqueId: warns,
      evidence: true,
      endedAtMs: 3,
      ...warned2,
      relation: "db.kept",
    });
    await ledger.endTask(key, 1, "arn:1", buildEnd(), 1);
  });

  const settleShop = (other: Partial<SettleRunDeps> = {}) => settle({}, { readPlan: async () => shop, ...other });

  it("C2: is one event with the models that it is on, its count and its rows, and is not sent again", async () => {
    const owner = { name: "Finance", email: null, group: "finance" };
    const readFacts = async () => ({ contract: 1 as const, vertices: { [warns]: { owner, tags: ["nightly"] } } });
    expect((await settleShop({ readFacts })).state).toBe("green");
    await settleShop({ readFacts });
    expect(events.published).toEqual([
      {
        detailType: "Warning",
        atMs: nowMs,
        executionArn: (await ledger.readRun(key))!.executionArn,
        detail: {
          contract: 1,
          id: expect.stringMatching(/^[0-9a-f]{32}$/),
          ...key,
          round: 1,
          state: "green",
          sentence: `${warns}: ${warned2.message}`,
          uniqueId: warns,
          nodes: [orders, customers],
          failures: 2,
          relation: "db.kept",
          stack: "run",
          runUrl: null,
          owner,
          tags: ["nightly"],
          meta: null,
        },
      },
    ]);
  });

  it("is an event of a red run too", async () => {
    await expect(settleShop({ readPlan: async () => planOf([...shop.vertices, vertex("c")]) })).rejects.toThrow(
      RunFailed,
    );
    expect(events.published).toMatchObject([{ detail: { uniqueId: warns, state: "red" } }]);
  });

  it("that EventBridge does not take is told in the log; the run stays green, and the next call sends the same", async () => {
    events.failNext();
    expect((await settleShop()).state).toBe("green");
    expect(warned).toEqual([expect.stringMatching(/1 events of run run-1 .*runs\/shop\/run-1\/summary-1\.json/)]);
    expect(await ledger.readLock("shop", "default")).toBeNull();
    nowMs += 60_000;
    await settleShop();
    expect(events.published).toMatchObject([{ atMs: nowMs - 60_000, detail: { uniqueId: warns } }]);
  });

  it("F11: a death after the events were sent sends them again under the same id", async () => {
    const dying = { ...ledger, markEventsSent: () => Promise.reject(new Error("died")) };
    await expect(settleShop({ ledger: dying })).rejects.toThrow("died");
    await settleShop();
    const [first, second] = events.published;
    expect(second).toEqual(first);
  });
});

it("B7: a child that was built on a failed parent is an event too; what is known before any build is none", async () => {
  await ledger.passFence(key, 1, { taskArn: "arn:1", startedAtMs: 1 });
  for (const [uniqueId, status] of [
    ["a", "error"],
    ["b", "success"],
  ] as const)
    await ledger.writeVertex(key, 1, { uniqueId, status, evidence: true, endedAtMs: 2 });
  await watched(["a", "b"]);
  await ledger.endTask(key, 1, "arn:1", buildEnd({ exitCode: 1 }), 1);
  const continued = planOf([vertex("a", [], { onErrorContinue: true }), vertex("b", ["a"])], {
    warnings: ["The project has 2 on-run hooks."],
  });
  await expect(settle({}, { readPlan: async () => continued })).rejects.toThrow(RunFailed);
  expect(events.published).toMatchObject([
    { detail: { uniqueId: null, nodes: [], sentence: expect.stringMatching(/^b was built on a, which is not good/) } },
  ]);
});
