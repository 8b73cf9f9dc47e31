import { beforeEach, describe, expect, it } from "vitest";
import { deployedJobSchema } from "#core/contracts/job-steps.ts";
import { isOwnTarget } from "#core/run/reporting/latest.ts";
import { startRun } from "../../functions/start-run/start-run.ts";
import { FakeExecutions } from "../support/fake-clients.ts";
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

const JOBS = {
  nightly: {
    build: { select: ["tag:nightly"] },
    policy: { runTimeoutMinutes: 600, overlap: "refuse" },
    after: ["docs generate"],
  },
  hourly: {},
  strict: { policy: { dependsOnPast: true } },
  review: { lock: "schema", lockKey: "review" },
  pull_request: { lock: "schema" },
  beside: { lock: "none" },
  ci: { build: { target: "ci" } },
  named: { lock: "none", build: { target: "prod" } },
  lake: { build: { profile: "lake" } },
};

function start(name: string, input: Record<string, unknown>, settings: Record<string, unknown> = {}) {
  executions.set(arnOf(name), { status: "RUNNING" });
  const jobs = Object.fromEntries(Object.entries(JOBS).map(([job, one]) => [job, deployedJobSchema.parse(one)]));
  const shop = { ...exampleSettings(), defaultTarget: "prod", jobs, ...settings };
  const execution = { arn: arnOf(name), name, startTime: "" };
  const payload = { taskToken: "token", input: { project: "shop", ...input }, execution, projects: { shop } };
  return startRun(payload, { ledger, executions, nowMs: () => nowMs });
}

const rowOf = (runId: string) => ledger.readRun({ project: "shop", runId });
async function ends(runId: string, state: "green" | "red"): Promise<void> {
  const run = (await rowOf(runId))!;
  executions.set(arnOf(runId), { status: state === "green" ? "SUCCEEDED" : "FAILED" });
  nowMs += 1_000;
  await ledger.endRun(run, { state, verdict: `It is ${state}.`, summaryKey: "s", endedAtMs: nowMs });
  await ledger.putRunIndex({ ...run, executionArn: arnOf(runId), state, endedAtMs: nowMs, verdict: "" }, 60);
  await ledger.releaseLock("shop", run.lockKey, runId);
}

describe("H7: a run of one command", () => {
  it("H7: one that writes waits for the target's lock, one that reads has a lock of its own", async () => {
    await start("build", {});
    expect(await start("grant", { command: ["run-operation", "grant"] })).toBeNull();
    expect(await start("docs", { command: ["docs", "generate"] })).toMatchObject({ runId: "docs" });
    const held = (await rowOf("build"))!.lockKey;
    expect((await rowOf("docs"))?.lockKey).not.toBe(held);
    await ends("build", "green");
    expect(await start("grant", { command: ["run-operation", "grant"] })).toMatchObject({ runId: "grant" });
    expect((await rowOf("grant"))?.lockKey).toBe(held);
  });

  it("H7: on a warehouse of one process what reads waits too", async () => {
    const one = { singleWriter: "shop.duckdb" };
    await start("build", {}, one);
    expect(await start("show", { command: ["show", "--select", "orders"] }, one)).toBeNull();
    expect(await start("ls", { command: ["ls"] }, one)).toMatchObject({ runId: "ls" });
  });

  it("H7: takes target, variables and threads of the project, and nothing that selects", async () => {
    const build = { select: ["tag:nightly"], vars: { day: 1 }, state: "latest-green", fullRefresh: true };
    await start("ls", { command: ["ls"] }, { build });
    expect((await rowOf("ls"))?.settings.build).toEqual({ vars: { day: 1 } });
    expect(await ledger.listRuns("shop", 9)).toMatchObject([{ runId: "ls", job: "dbt ls" }]);
  });

  it("H7: a schedule's policy leaves it no choice: it waits, and no red run before it matters", async () => {
    await start("red", {});
    await ends("red", "red");
    const policy = { ...exampleSettings().policy, overlap: "skip" as const, dependsOnPast: true };
    expect(await start("grant", { command: ["run-operation", "grant"] }, { policy })).toMatchObject({ runId: "grant" });
    expect((await rowOf("grant"))?.settings.policy).toMatchObject({ overlap: "queue", dependsOnPast: false });
  });

  it("H7 H8: a larger machine asks for one by its runKey: a repeated step runs it again, unless it was good", async () => {
    const asked = { command: ["run-operation", "grant"], runKey: "of a parent", ifLeftOut: "fail" };
    await start("run-1", asked);
    await ends("run-1", "red");
    await start("run-2", asked);
    expect(await rowOf("run-2")).toMatchObject({ input: { command: asked.command, resume: { run: "run-1" } } });
    expect(await ledger.readTasks({ project: "shop", runId: "run-2" })).toEqual([]);
    await ends("run-2", "green");
    expect(await start("run-3", asked)).toMatchObject({ skipped: expect.stringContaining("run-2 of the same runKey") });
  });

  it("H7: a red command is no past of the builds", async () => {
    await start("grant", { command: ["run-operation", "grant"] });
    await ends("grant", "red");
    expect(await start("build", { policy: { dependsOnPast: true } })).toMatchObject({ runId: "build" });
  });

  it.each([
    [{ command: ["deps"] }, "image is built"],
    [{ command: ["ls"], select: ["orders"] }, "select: a command has none"],
    [{ command: ["ls"], job: "nightly" }, "job: a command has none"],
    [{ command: [] }, "command"],
  ])("H7: %j is refused before anything is started", async (input, sentence) => {
    await expect(start("refused", input)).rejects.toThrow(sentence);
    expect(await rowOf("refused")).toBeNull();
  });
});

describe("H13: a run of a job", () => {
  it("H13: has its options, policy and steps in its row, its name in the list, and a deadline of its own", async () => {
    await start("run-1", { job: "nightly", policy: { retries: { node: 0 } } });
    const run = await rowOf("run-1");
    expect(run?.settings).toMatchObject({
      build: { select: ["tag:nightly"] },
      policy: { overlap: "refuse", retries: { node: 0, test: 1 } },
      job: { name: "nightly", after: [{ command: "docs generate" }] },
    });
    expect(run?.settings).not.toHaveProperty("jobs");
    expect(run?.deadlineAtMs).toBe(NOW + 600 * 60_000);
    expect(await ledger.listRuns("shop", 9)).toMatchObject([{ runId: "run-1", job: "nightly" }]);
  });

  it("H13: an unknown job is refused with those there are, and nothing is written", async () => {
    await expect(start("run-1", { job: "weekly" })).rejects.toThrow('job = "weekly": project shop has nightly, hourly');
    expect(await rowOf("run-1")).toBeNull();
  });

  it("H13: a run that goes on with it keeps its job, under the job's policy of today", async () => {
    await start("run-1", { job: "nightly" });
    await ends("run-1", "red");
    await start("run-2", { resume: { run: "run-1" } });
    const resumed = await rowOf("run-2");
    expect(resumed?.settings).toMatchObject({ job: { name: "nightly" }, policy: { runTimeoutMinutes: 600 } });
    expect(resumed?.settings.build).toEqual({ select: ["tag:nightly"] });
    await ends("run-2", "red");
    await start("run-3", { resume: { run: "run-2" } }, { jobs: {} });
    expect((await rowOf("run-3"))?.settings).toMatchObject({
      job: { name: "nightly" },
      policy: { runTimeoutMinutes: 600 },
    });
    await expect(start("run-4", { job: "hourly", resume: { run: "run-1" } })).rejects.toThrow(
      "job: a run that goes on",
    );
  });

  it("G11: a job that depends on its past looks at its own runs, not at those of others", async () => {
    await start("run-1", { job: "strict" });
    await ends("run-1", "green");
    await start("run-2", { job: "hourly" });
    await ends("run-2", "red");
    await start("run-3", { job: "strict" });
    await ends("run-3", "red");
    await expect(start("run-4", { job: "strict" })).rejects.toThrow("run-3");
  });

  it("G11: and finds its past behind hundreds of runs of a job that runs each few minutes", async () => {
    await start("run-1", { job: "strict" });
    await ends("run-1", "red");
    const { executionArn, lockKey } = (await rowOf("run-1"))!;
    for (let n = 1; n <= 300; n += 1) {
      const often = {
        project: "shop",
        runId: `often-${n}`,
        executionArn,
        lockKey,
        job: "hourly",
        state: "green" as const,
      };
      await ledger.putRunIndex({ ...often, startedAtMs: nowMs + n }, 60);
    }
    await expect(start("run-2", { job: "strict" })).rejects.toThrow("run-1");
  });
});

describe("H11: the moment that a run works on", () => {
  const scheduledTime = "2026-01-31T23:50:00Z";

  it("H11: is its schedule's, however long it waits and whenever it is delivered, and kept by what goes on with it", async () => {
    await start("run-1", {});
    expect(await start("run-2", { scheduledTime, dedupeKey: "d" })).toBeNull();
    await ends("run-1", "green");
    nowMs += 3_600_000;
    await start("run-2", { scheduledTime, dedupeKey: "d" });
    expect(await rowOf("run-2")).toMatchObject({ scheduledAtMs: Date.parse(scheduledTime), startedAtMs: nowMs });
    expect(await start("run-3", { scheduledTime, dedupeKey: "d" })).toMatchObject({
      skipped: expect.stringContaining("Duplicate of run run-2"),
    });
    await ends("run-2", "red");
    await start("run-4", { resume: { run: "run-2" } });
    expect((await rowOf("run-4"))?.scheduledAtMs).toBe(Date.parse(scheduledTime));
  });

  it("H11 G13: a runKey that was green for one moment does not stand for another: that one would not be built", async () => {
    await start("run-1", { scheduledTime, runKey: "k" });
    await ends("run-1", "green");
    expect(await start("run-2", { scheduledTime, runKey: "k" })).toMatchObject({
      skipped: expect.stringContaining("run-1 of the same runKey is green"),
    });
    const next = start("run-3", { scheduledTime: "2026-02-01T23:50:00Z", runKey: "k" });
    await expect(next).rejects.toMatchObject({
      name: "InputError",
      problems: [expect.stringContaining("other options")],
    });
  });

  it("G17: a full refresh and a window are refused together, whichever of settings, input and retry gives them", async () => {
    const window = { eventTimeStart: "2026-01-01", eventTimeEnd: "2026-01-02" };
    const words = 'eventTimeStart = "2026-01-01": beside a full refresh dbt would leave microbatch tables';
    await expect(start("run-1", { ...window, fullRefresh: true })).rejects.toThrow(words);
    await expect(start("run-1", window, { build: { fullRefresh: true } })).rejects.toThrow(words);
    await start("run-1", window);
    await ends("run-1", "red");
    await expect(start("run-2", { resume: { run: "run-1", fullRefresh: true } })).rejects.toThrow(words);
    expect(await start("run-3", { resume: { run: "run-1" } })).toMatchObject({ runId: "run-3" });
  });

  it("H11: is the execution's start where nobody says it, and the resumed run's where that had none either", async () => {
    await start("run-1", { scheduledTime: "<aws.scheduler.scheduled-time>" });
    expect((await rowOf("run-1"))?.scheduledAtMs).toBe(NOW);
    await ends("run-1", "red");
    nowMs += 86_400_000;
    await start("run-2", { resume: { run: "run-1" } });
    expect((await rowOf("run-2"))?.scheduledAtMs).toBe(NOW);
  });
});

describe("H13: the lock of a job", () => {
  const lockKeyOf = async (runId: string) => (await rowOf(runId))?.lockKey;

  it("G29: jobs of one project share the target's lock: one waits for the other", async () => {
    await start("run-1", { job: "hourly" });
    expect(await start("run-2", {})).toBeNull();
    await expect(start("run-3", { job: "nightly" })).rejects.toThrow("run-1");
    expect(await lockKeyOf("run-1")).toBe("prod");
  });

  it("G29: a job's own profile or target has the lock that a run has which names the same", async () => {
    await start("run-1", { job: "lake" });
    expect(await start("run-2", { profile: "lake" })).toBeNull();
    await start("run-3", { job: "ci" });
    expect(await start("run-4", { target: "ci" })).toBeNull();
    expect(await Promise.all(["run-1", "run-3"].map(lockKeyOf))).toEqual(["profile lake", "ci"]);
  });

  it("H9: artefacts of a job that builds another target or profile are not the project's latest", async () => {
    await start("run-1", { job: "ci" });
    await start("run-2", { job: "lake" });
    await start("run-3", { job: "hourly" });
    const rows = await Promise.all(["run-1", "run-2", "run-3"].map(rowOf));
    expect(rows.map((row) => isOwnTarget(row!))).toEqual([false, false, true]);
  });

  it("H13: lock: schema is one live run per target and key; the run's own key goes before the job's", async () => {
    await start("run-1", { job: "hourly" });
    expect(await start("run-2", { job: "review" })).not.toBeNull();
    expect(await start("run-3", { job: "review", lockKey: "pr_7" })).not.toBeNull();
    expect(await start("run-4", { job: "pull_request", lockKey: "pr_7" })).toBeNull();
    expect(await start("run-5", { job: "pull_request", lockKey: "pr_7", target: "dev" })).not.toBeNull();
    await expect(start("run-6", { job: "pull_request" })).rejects.toThrow("nothing says which schema this run builds");
    await expect(start("run-7", { job: "hourly", lockKey: "x" })).rejects.toThrow(
      "only a run of a job with lock: schema",
    );
    await expect(start("run-8", { lockKey: "x" })).rejects.toThrow("only a run of a job with lock: schema");
  });

  it("H13: no target is called as a schema's lock is", async () => {
    await start("run-1", { job: "review" });
    const key = await lockKeyOf("run-1");
    expect(key).toBe('["prod","review"]');
    expect(key).not.toBe("prod");
  });

  it("H13: with lock: none no run waits, and each has a lock row of its own, which its containers look at", async () => {
    await start("run-1", { job: "hourly" });
    await start("run-2", { job: "beside" });
    await start("run-3", { job: "beside" });
    const keys = await Promise.all(["run-2", "run-3"].map(lockKeyOf));
    expect(new Set(keys).size).toBe(2);
    for (const [index, key] of keys.entries())
      expect(await ledger.readLock("shop", key!)).toMatchObject({ runId: `run-${index + 2}` });
  });

  it("H13: a weaker lock is refused where the warehouse takes one writing process", async () => {
    const duckdb = { singleWriter: "duckdb" };
    await expect(start("run-1", { job: "beside" }, duckdb)).rejects.toThrow(
      "duckdb takes one writing process at a time",
    );
    expect(await start("run-2", { job: "beside", target: "warehouse" }, duckdb)).not.toBeNull();
    // The target that is built without a name is no other one for being named.
    await expect(start("run-3", { job: "named" }, duckdb)).rejects.toThrow("duckdb takes one writing process");
  });
});
