import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import { PastNotGreen, RunLocked } from "#core/errors.ts";
import { giveLockBack } from "../../functions/run-lock.ts";
import { startRun } from "../../functions/start-run/start-run.ts";
import { FakeExecutions } from "../support/fake-clients.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { exampleSettings } from "../support/projects.ts";

const arnOf = (name: string) => `arn:aws:states:us-east-1:000000000000:execution:run:${name}`;

let ledger: Ledger;
let executions: FakeExecutions;
let nowMs: number;

beforeEach(() => {
  ledger = memoryLedger();
  executions = new FakeExecutions();
  nowMs = 1_800_000_000_000;
});

/** A turn of one run; its token is its name and how often it was asked. */
const turns = new Map<string, number>();
function turn(name: string, input: Record<string, unknown> = {}, policy: Record<string, unknown> = {}, other = {}) {
  executions.set(arnOf(name), { status: "RUNNING" });
  nowMs += 1_000;
  turns.set(name, (turns.get(name) ?? 0) + 1);
  const payload = {
    taskToken: `${name}/${turns.get(name)}`,
    input: { project: "shop", ...input },
    catchesLockFree: true as const,
    execution: { arn: arnOf(name), name, startTime: "2026-01-02T03:04:05Z" },
    projects: {
      shop: exampleSettings("shop", policy),
      hourly: { ...exampleSettings("hourly", policy), lockProject: "shop" },
    },
  };
  return startRun(payload, { ledger: { ...ledger, ...other }, executions, nowMs: () => nowMs });
}

beforeEach(() => turns.clear());

const runs = (name: string, project = "shop") => ledger.readRun({ project, runId: name });
const woken = () => executions.answered.map(({ taskToken }) => taskToken);

/** The run gets its verdict and gives its lock back. */
async function ends(name: string, state: "green" | "red" | "stopped" = "green", project = "shop"): Promise<void> {
  const row = (await runs(name, project))!;
  nowMs += 1_000;
  const verdict = state === "green" ? "Every one of 5 vertices is good." : "orders failed: no table.\nAnd more.";
  await ledger.endRun(row, { state, verdict, summaryKey: null, endedAtMs: nowMs });
  const { project: of, runId, executionArn, startedAtMs } = row;
  await ledger.putRunIndex({ project: of, runId, executionArn, startedAtMs, state, endedAtMs: nowMs, verdict }, 60);
  await giveLockBack(row, { ledger, executions });
  executions.set(arnOf(name), { status: state === "green" ? "SUCCEEDED" : "FAILED" });
}

const begins = (name: string) => ({ contract: 1, project: "shop", runId: name, round: 1 });

describe("G10: overlap: latest", () => {
  const latest = { policy: { overlap: "latest" } };

  beforeEach(async () => {
    expect(await turn("run-1", latest)).toEqual(begins("run-1"));
  });

  it("G10: the newest waiting run replaces the older ones, which end as skipped by its name; the first goes on", async () => {
    expect(await turn("run-2", latest)).toBeNull();
    expect(await turn("run-3", latest)).toBeNull();
    expect(woken()).toEqual(["run-2/1"]);
    const replaced = "Run run-3 came later, builds the same, and is run instead (overlap: latest).";
    expect(await turn("run-2", latest)).toEqual({ ...begins("run-2"), skipped: replaced });
    expect(await turn("run-4", latest)).toBeNull();
    expect(await turn("run-3", latest)).toMatchObject({ skipped: expect.stringContaining("Run run-4 came later") });
    await ends("run-1");
    expect(woken()).toEqual(["run-2/1", "run-3/1", "run-4/1"]);
    expect(await turn("run-4", latest)).toEqual(begins("run-4"));
    expect((await ledger.listRuns("shop", 9)).map(({ runId, state }) => `${runId} ${state}`).sort()).toEqual([
      "run-1 green",
      "run-2 skipped",
      "run-3 skipped",
      "run-4 running",
    ]);
  });

  it("G10: what would build something else is not replaced, and comes first", async () => {
    const full = { ...latest, fullRefresh: true };
    const hourly = { ...latest, project: "hourly" };
    expect(await turn("run-2", full)).toBeNull();
    expect(await turn("run-3", hourly)).toBeNull();
    expect(await turn("run-4", { ...latest, vars: { day: 1, more: { a: 1, b: 2 } } })).toBeNull();
    expect(await turn("run-5", latest)).toBeNull();
    expect(woken()).toEqual([]);
    expect(await turn("run-6", { vars: { more: { b: 2, a: 1 }, day: 1 }, ...latest, dedupeKey: "k" })).toBeNull();
    expect(woken()).toEqual(["run-4/1"]);
    await ends("run-1");
    expect(await turn("run-2", full)).toEqual(begins("run-2"));
  });

  it("G10: nor what would begin where the newer one is refused: after a red run, or in a paused project", async () => {
    expect(await turn("run-2", latest)).toBeNull();
    expect(await turn("run-3", { policy: { overlap: "latest", dependsOnPast: true } })).toBeNull();
    expect(await turn("run-4", { ...latest, evenIfPaused: true })).toBeNull();
    expect(woken()).toEqual([]);
  });

  it("G10 G13: nor what a larger machine waits for by its runKey: its next step would go on with nothing built", async () => {
    expect(await turn("run-2", { ...latest, runKey: "of a parent" })).toBeNull();
    expect(await turn("run-3", latest)).toBeNull();
    expect(woken()).toEqual([]);
  });

  it("G10: a run that waits by overlap: queue is replaced too, and one that comes by it replaces none", async () => {
    expect(await turn("run-2", { policy: { overlap: "queue" } })).toBeNull();
    expect(await turn("run-3", latest)).toBeNull();
    expect(await turn("run-2", { policy: { overlap: "queue" } })).toMatchObject({ skipped: expect.any(String) });
    expect(await turn("run-4", { policy: { overlap: "queue" } })).toBeNull();
    expect(await turn("run-3", latest)).toBeNull();
  });

  it("D2: a replaced run that is asked again says the same, and stands in nobody's way", async () => {
    await turn("run-2", latest);
    await turn("run-3", latest);
    const said = await turn("run-2", latest);
    expect(await turn("run-2", latest)).toEqual(said);
    await ends("run-1");
    expect(await turn("run-2", latest)).toEqual(said);
    expect(await turn("run-3", latest)).toEqual(begins("run-3"));
    expect(await ledger.listRuns("shop", 9)).toHaveLength(3);
  });

  it("G10: a lock that is free goes to the newest although the replaced one has not been heard of yet", async () => {
    await turn("run-2", latest);
    await ends("run-1");
    expect(await turn("run-3", latest)).toEqual(begins("run-3"));
    expect(await turn("run-2", latest)).toMatchObject({ skipped: expect.stringContaining("Run run-3") });
  });

  it("G10: replaced runs fill no queue", async () => {
    for (let n = 2; n < 40; n++) expect(await turn(`run-${n}`, latest)).toBeNull();
  });
});

describe("G10: overlap: skip and refuse", () => {
  it("G10: a lock that is free for a moment belongs to the run that waits for it", async () => {
    await turn("run-1");
    expect(await turn("run-2")).toBeNull();
    await ends("run-1");
    expect(await turn("run-3", { policy: { overlap: "skip" } })).toMatchObject({
      skipped: "Run run-2 waits for the lock default (overlap: skip).",
    });
    const refused = turn("run-4", { policy: { overlap: "refuse" } });
    await expect(refused).rejects.toThrow(RunLocked);
    await expect(refused).rejects.toThrow("Run run-2 waits for the lock default");
    executions.set(arnOf("run-2"), { status: "ABORTED" });
    expect(await turn("run-5", { policy: { overlap: "skip" } })).toEqual(begins("run-5"));
  });

  it("G10: by the run's own input, over its project's", async () => {
    await turn("run-1");
    const policy = { overlap: "refuse" };
    expect(await turn("run-2", { policy: { overlap: "skip" } }, policy)).toMatchObject({
      skipped: "Run run-1 holds the lock default (overlap: skip).",
    });
    expect(await turn("run-3", { policy: { overlap: "queue" } }, policy)).toBeNull();
    await expect(turn("run-4", {}, policy)).rejects.toThrow(RunLocked);
  });
});

describe("G11: a run that depends on the one before", () => {
  const depends = { policy: { dependsOnPast: true } };

  it("G11: begins as the first one, and after a green one", async () => {
    expect(await turn("run-1", depends)).toEqual(begins("run-1"));
    await ends("run-1");
    expect(await turn("run-2", depends)).toEqual(begins("run-2"));
  });

  it.each([
    ["red", "The run run-1 before this one is red: orders failed: no table."],
    ["stopped", "The run run-1 before this one is stopped: orders failed: no table."],
  ] as const)(
    "G11: after a %s one it is refused, names it and what mends it, and gives the lock on",
    async (state, words) => {
      await turn("run-1");
      expect(await turn("run-2", depends)).toBeNull();
      expect(await turn("run-3")).toBeNull();
      await ends("run-1", state);
      const refused = turn("run-2", depends);
      await expect(refused).rejects.toThrow(PastNotGreen);
      await expect(refused).rejects.toThrow(words);
      await expect(refused).rejects.toThrow("npx stepwatch retry run-1");
      expect(await runs("run-2")).toBeNull();
      expect(woken()).toEqual(["run-2/1", "run-3/1"]);
      expect(await turn("run-3")).toEqual(begins("run-3"));
    },
  );

  it("G11: begins once that one has been made green, by a retry or by hand", async () => {
    await turn("run-1");
    await ends("run-1", "red");
    await expect(turn("run-2", depends)).rejects.toThrow(PastNotGreen);
    const readRun = async (key: { project: string; runId: string }) => {
      const row = await ledger.readRun(key);
      return row?.runId === "run-1" ? { ...row, state: "green" as const, round: 2 } : row;
    };
    expect(await turn("run-3", depends, {}, { readRun })).toEqual(begins("run-3"));
  });

  it("G11: after one that is gone without a verdict it is refused", async () => {
    await turn("run-1");
    executions.set(arnOf("run-1"), { status: "ABORTED" });
    await expect(turn("run-2", depends)).rejects.toThrow("The run run-1 before this one has no verdict.");
    expect(await ledger.readLock("shop", "default")).toBeNull();
  });

  it("G11: what was left out, refused, or is of another target or entry is no run before", async () => {
    const known = { defaultTarget: "prod" };
    const of = (name: string, input: Record<string, unknown>) => {
      executions.set(arnOf(name), { status: "RUNNING" });
      nowMs += 1_000;
      const execution = { arn: arnOf(name), name, startTime: new Date(nowMs).toISOString() };
      const shop = { ...exampleSettings("shop"), ...known };
      const hourly = { ...exampleSettings("hourly"), ...known, lockProject: "shop" };
      const payload = { taskToken: name, input: { project: "shop", ...input }, execution, projects: { shop, hourly } };
      return startRun(payload, { ledger, executions, nowMs: () => nowMs });
    };
    await of("run-1", {});
    await of("run-2", { policy: { overlap: "skip" } });
    await ends("run-1");
    await of("run-3", { target: "dev" });
    await ends("run-3", "red");
    await of("run-4", { project: "hourly" });
    await ends("run-4", "red", "hourly");
    expect(await of("run-5", depends)).toEqual(begins("run-5"));
    await ends("run-5");
    await expect(of("run-6", { ...depends, target: "dev" })).rejects.toThrow("The run run-3 before this one");
    await expect(of("run-7", { ...depends, project: "hourly" })).rejects.toThrow("The run run-4 before this one");
  });

  it("G11: by the project, unless the run says otherwise", async () => {
    await turn("run-1");
    await ends("run-1", "red");
    const policy = { dependsOnPast: true };
    await expect(turn("run-2", {}, policy)).rejects.toThrow(PastNotGreen);
    expect(await turn("run-3", { policy: { dependsOnPast: false } }, policy)).toEqual(begins("run-3"));
  });

  it("D2: a start that died after its row was written is not asked again", async () => {
    await turn("run-1", depends);
    const dies = { putRunIndex: () => Promise.reject(new Error("died")) };
    await ends("run-1");
    await expect(turn("run-2", depends, {}, dies)).rejects.toThrow("died");
    await ledger.endRun((await runs("run-1"))!, { state: "red", verdict: "v", summaryKey: null, endedAtMs: 1 });
    expect(await turn("run-2", depends)).toEqual(begins("run-2"));
  });
});

describe("G22: a trigger that is delivered twice", () => {
  const key = { dedupeKey: "arn:aws:scheduler:::schedule/default/nightly 2026-01-02T03:00:00Z" };
  const duplicate = (of: string) => ({
    skipped: `Duplicate of run ${of}: the same trigger (dedupeKey) started that one.`,
  });

  it("G22: one run: the second is a duplicate while the first waits, runs, and after it has ended", async () => {
    await turn("run-0");
    expect(await turn("run-1", key)).toBeNull();
    expect(await turn("run-2", key)).toMatchObject(duplicate("run-1"));
    await ends("run-0");
    expect(await turn("run-1", key)).toEqual(begins("run-1"));
    expect(await turn("run-3", key)).toMatchObject(duplicate("run-1"));
    await ends("run-1", "red");
    expect(await turn("run-4", key)).toMatchObject(duplicate("run-1"));
    expect(await turn("run-5", { dedupeKey: "another" })).toEqual(begins("run-5"));
    expect(await turn("run-6", { ...key, project: "hourly" })).toBeNull();
  });

  it("D2: a repeated start of the same run recognises itself", async () => {
    const first = await turn("run-1", key);
    expect(await turn("run-1", key)).toEqual(first);
  });

  it("G22: what was left out by policy has answered its trigger; what was refused or ended before it began has not", async () => {
    await turn("run-0");
    const skip = { ...key, policy: { overlap: "skip" } };
    expect(await turn("run-1", skip)).toMatchObject({ skipped: expect.stringContaining("overlap: skip") });
    executions.set(arnOf("run-1"), { status: "SUCCEEDED" });
    expect(await turn("run-2", skip)).toMatchObject(duplicate("run-1"));

    const other = { dedupeKey: "other", policy: { overlap: "refuse" } };
    await expect(turn("run-3", other)).rejects.toThrow(RunLocked);
    executions.set(arnOf("run-3"), { status: "FAILED" });
    await ends("run-0");
    expect(await turn("run-4", other)).toEqual(begins("run-4"));
    expect(await turn("run-5", other)).toMatchObject(duplicate("run-4"));
  });

  it("G22: two at once: one of them is the duplicate", async () => {
    const answers = await Promise.all([turn("run-1", key), turn("run-2", key)]);
    expect(answers.filter((one) => one?.skipped?.startsWith("Duplicate of run")).length).toBe(1);
    expect(answers.filter((one) => one?.skipped === undefined)).toHaveLength(1);
  });

  it("G22: a key that nobody filled in is none: an emulator's schedule is not the duplicate of its own first run", async () => {
    const literal = { dedupeKey: "<aws.scheduler.schedule-arn> <aws.scheduler.scheduled-time>" };
    expect(await turn("run-1", literal)).toEqual(begins("run-1"));
    await ends("run-1");
    expect(await turn("run-2", literal)).toEqual(begins("run-2"));
  });
});

describe("G25: a paused project", () => {
  const pause = {
    project: "shop",
    by: "jane",
    atMs: Date.parse("2026-01-02T03:04:05Z"),
    reason: "the warehouse moves",
  };
  const sentence =
    "The project shop was paused by jane at 2026-01-02T03:04:05.000Z: the warehouse moves. Take that back with npx stepwatch resume shop.";

  it("G25: begins no run, names who, when and why, and lists what was left out", async () => {
    await ledger.pause(pause);
    expect(await turn("run-1")).toEqual({ ...begins("run-1"), skipped: sentence });
    expect(await turn("run-1")).toEqual({ ...begins("run-1"), skipped: sentence });
    expect(await ledger.readLock("shop", "default")).toBeNull();
    expect(await ledger.listRuns("shop", 9)).toMatchObject([{ runId: "run-1", state: "skipped", verdict: sentence }]);
    expect(await turn("run-2", { project: "hourly" })).toMatchObject({ project: "hourly", runId: "run-2" });
  });

  it("G25: a live run goes on, and one that waits is left out when its turn comes, letting the next in", async () => {
    await turn("run-1");
    expect(await turn("run-2")).toBeNull();
    expect(await turn("run-3", { project: "hourly" })).toBeNull();
    await ledger.pause(pause);
    expect(await turn("run-1")).toEqual(begins("run-1"));
    await ends("run-1");
    expect(await turn("run-2")).toMatchObject({ skipped: sentence });
    expect(woken()).toEqual(["run-2/1", "run-3/1"]);
  });

  it("G25: but for a run that says evenIfPaused, and after it was resumed", async () => {
    await ledger.pause(pause);
    expect(await turn("run-1", { evenIfPaused: true })).toEqual(begins("run-1"));
    await ends("run-1");
    await ledger.resume("shop");
    expect(await turn("run-2")).toEqual(begins("run-2"));
  });
});
