import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import { RowMissing, RunFailed, VersionMoved } from "#core/errors.ts";
import { settleRun } from "../../functions/settle-run/settle-run.ts";
import { FakeArtefacts } from "../support/fake-clients.ts";
import { buildEnd, runRow, taskRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { planOf, vertex } from "../support/run-builders.ts";

const key = { project: "shop", runId: "run-1" };
const reference = { contract: 1 as const, ...key, round: 1 };
const plan = planOf([vertex("a")]);
const lock = { ...key, lockKey: "default", executionArn: "arn", takenAtMs: 1 };

let ledger: Ledger;
let artefacts: FakeArtefacts;
let nowMs: number;

beforeEach(async () => {
  ledger = memoryLedger();
  artefacts = new FakeArtefacts();
  nowMs = 1_700_000_200_000;
  await ledger.takeLock(lock);
  await ledger.createRun(runRow(key));
  await ledger.createTask(key, 0, taskRow(1));
  await ledger.markClaimed(key, 1);
  await ledger.setPlan(key, { planKey: "plan", plannedVertices: 1, plannedNodes: 1 });
});

const settle = () => settleRun(reference, { ledger, artefacts, readPlan: async () => plan, nowMs: () => nowMs });

async function built(status: string): Promise<void> {
  await ledger.passFence(key, 1, { taskArn: "arn:1", startedAtMs: 1 });
  await ledger.writeVertex(key, 1, {
    uniqueId: "a",
    status,
    evidence: true,
    endedAtMs: 2,
    message: "Database Error: no table",
  });
  await ledger.endTask(key, 1, "arn:1", buildEnd(), 1);
}

describe("a run that ends", () => {
  it("green: verdict, summary and index are written, the lock is given back, and a second time says the same", async () => {
    await built("success");
    const output = await settle();
    expect(output).toEqual({
      contract: 1,
      ...key,
      state: "green",
      verdict: "Every one of 1 vertices is good.",
      summaryKey: "runs/shop/run-1/summary-1.json",
    });
    const row = await ledger.readRun(key);
    nowMs += 60_000;
    expect(await settle()).toEqual(output);
    expect(await ledger.readRun(key)).toEqual(row);
    expect(await ledger.readLock("shop", "default")).toBeNull();
    expect(await ledger.listRuns("shop", 9)).toMatchObject([{ state: "green" }]);
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
      expect(failure!.message).toContain(
        "npx stepwatch status run-1; npx stepwatch tasks run-1; npx stepwatch logs run-1",
      );
    }
    expect(await ledger.readLock("shop", "default")).toBeNull();
  });

  it("F11: a death before the lock is given back leaves it to the next call", async () => {
    await built("success");
    const dying = { ...ledger, releaseLock: () => Promise.reject(new Error("died")) };
    await expect(
      settleRun(reference, { ledger: dying, artefacts, readPlan: async () => plan, nowMs: () => nowMs }),
    ).rejects.toThrow("died");
    expect((await settle()).state).toBe("green");
    expect(await ledger.readLock("shop", "default")).toBeNull();
  });

  it("skipped: ends at once and leaves the holder's lock alone", async () => {
    const skipped = { ...reference, runId: "run-2", skipped: "Run run-1 holds the lock." };
    const output = await settleRun(skipped, { ledger, artefacts, readPlan: async () => null, nowMs: () => nowMs });
    expect(output).toMatchObject({ state: "skipped", verdict: "Run run-1 holds the lock." });
    expect((await ledger.readLock("shop", "default"))!.runId).toBe("run-1");
  });

  it("names a run that the ledger does not have", async () => {
    const none = { ...reference, runId: "none" };
    await expect(
      settleRun(none, { ledger, artefacts, readPlan: async () => null, nowMs: () => nowMs }),
    ).rejects.toThrow(RowMissing);
  });
});

describe("G10: the lock", () => {
  it("is kept, and no verdict is given, while a task of the run builds", async () => {
    await ledger.passFence(key, 1, { taskArn: "arn:1", startedAtMs: 1 });
    await expect(settle()).rejects.toThrow(VersionMoved);
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
    await expect(
      settleRun(reference, { ledger: racing, artefacts, readPlan: async () => plan, nowMs: () => nowMs }),
    ).rejects.toThrow(VersionMoved);
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
