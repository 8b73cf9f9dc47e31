import { describe, expect, it } from "vitest";
import { LedgerUnavailable } from "#core/errors.ts";
import { pendingRequests, wishedAtMs } from "#core/run/judging/rounds.ts";
import { RUN_MACHINE } from "../asl/machines.ts";
import type { Execution } from "../support/asl-interpreter.ts";
import { dataTest, vertex } from "../support/run-builders.ts";
import { SimulatedAws } from "../support/simulated-aws.ts";
import { expectSound } from "../support/simulated-checks.ts";
import type { SimulatedVertex } from "../support/simulated-dbt.ts";
import { projectOf } from "../support/simulated-project.ts";
import { SimulatedWorld } from "../support/simulated-world.ts";

const HOUR = 3_600_000;
const KEY = { project: "shop", runId: "run-1" };

const planned = [
  vertex("model_a"),
  vertex("model_x"),
  dataTest("test.x", ["model_x"]),
  vertex("model_b", ["model_a"]),
  vertex("model_c", ["model_b", "model_x"]),
];
const shop = (behaviour: Record<string, Partial<SimulatedVertex>>) => projectOf(planned, behaviour);

/** One try more than a round has by default. */
const thrice = { failures: 2, message: "Database Error" };

class Redriven {
  readonly aws: SimulatedAws;

  constructor(behaviour: Record<string, Partial<SimulatedVertex>>) {
    this.aws = new SimulatedAws(shop(behaviour), 7);
  }

  begin(policy: Record<string, unknown>): Promise<Execution> {
    return this.aws.start("run-1", policy);
  }

  async start(runId = "run-1"): Promise<Execution> {
    return this.over(await this.aws.start(runId));
  }

  async over(execution: Execution): Promise<Execution> {
    await this.aws.clock.advance(4 * HOUR, () => execution.status !== "RUNNING");
    await this.aws.clock.advance(60_000);
    expect(this.aws.errors).toEqual([]);
    expect(this.aws.warehouse.violations).toEqual([]);
    return execution;
  }

  async redrive(arn: string): Promise<void> {
    expect(await this.aws.machines.redrive(arn)).toBe(true);
  }

  /** Names of consumer executions with how they ended, of the first round and of later ones. */
  ends(): Record<string, string> {
    const ours = [...this.aws.machines.executions.values()].filter((one) => one.arn.includes(":stepwatch-consumer:"));
    return Object.fromEntries(
      ours.map((one) => [one.name.replace(/-[0-9a-f]{12}$/, ""), one.failure?.name ?? one.status]),
    );
  }

  async tries(): Promise<Record<string, number[]>> {
    const rows = await this.aws.ledger.readVertices(KEY);
    return Object.fromEntries(rows.map((row) => [row.uniqueId, row.tryTasks]));
  }
}

describe("the Redrive button", () => {
  it("G8: on the run: what is not good is built again, in one build, and nothing that is good", async () => {
    const it = new Redriven({ model_a: thrice });
    const execution = await it.start();
    expect(execution).toMatchObject({ status: "FAILED", failure: { name: "RunFailed" } });
    await it.redrive(execution.arn);
    await it.over(execution);
    expect(execution).toMatchObject({ status: "SUCCEEDED", redriveCount: 1 });
    expect(await it.tries()).toMatchObject({ model_a: [1, 2, 3], model_b: [3], model_c: [3], model_x: [1] });
    const run = (await it.aws.ledger.readRun(KEY))!;
    expect(run).toMatchObject({ round: 2, state: "green", redrives: 1, opening: { by: "redrive" } });
    expect(run.rounds).toMatchObject([{ round: 1, state: "red" }]);
    expect([...it.aws.artefacts.texts.keys()].filter((key) => key.includes("summary"))).toHaveLength(2);
    expect(it.ends()).toEqual({
      model_a: "NodeFailed",
      model_x: "SUCCEEDED",
      "model_a-r2": "SUCCEEDED",
      "model_b-r2": "SUCCEEDED",
      "model_c-r2": "SUCCEEDED",
    });
    expect(await it.aws.ledger.readLock("shop", "default")).toBeNull();
    expect((await it.aws.ledger.listRuns("shop", 5)).map(({ state, round }) => ({ state, round }))).toEqual([
      { state: "green", round: 2 },
    ]);
  });

  it("G8: what fails for good is red again, and each redrive is one round", async () => {
    const it = new Redriven({ model_a: { failures: Number.POSITIVE_INFINITY, message: "Database Error" } });
    const execution = await it.start();
    for (const round of [2, 3]) {
      await it.redrive(execution.arn);
      await it.over(execution);
      expect(execution).toMatchObject({ status: "FAILED", failure: { name: "RunFailed" } });
      expect(await it.aws.ledger.readRun(KEY)).toMatchObject({ round, state: "red" });
    }
    expect(await it.tries()).toMatchObject({ model_a: [1, 2, 3, 4, 5, 6], model_x: [1] });
  });

  it("F14: on a consumer: its node gets a try, the run is redriven, what waited for it is built, others are untouched", async () => {
    const it = new Redriven({ model_a: thrice });
    const execution = await it.start();
    const consumer = it.aws.consumers().get("model_a")!;
    await it.redrive(consumer.arn);
    await it.over(execution);
    expect(execution).toMatchObject({ status: "SUCCEEDED", redriveCount: 1 });
    expect(consumer).toMatchObject({ status: "SUCCEEDED", redriveCount: 1 });
    expect(await it.tries()).toMatchObject({ model_a: [1, 2, 3], model_b: [3], model_c: [3], model_x: [1] });
    expect(it.ends()).toEqual({
      model_a: "SUCCEEDED",
      model_x: "SUCCEEDED",
      "model_b-r2": "SUCCEEDED",
      "model_c-r2": "SUCCEEDED",
    });
  });

  it("F14: on the consumer of a node whose test failed: the test alone runs again", async () => {
    const it = new Redriven({ "test.x": { failures: 1, message: "Got 3 results" } });
    const execution = await it.start();
    expect(execution.status).toBe("FAILED");
    await it.redrive(it.aws.consumers().get("model_x")!.arn);
    await it.over(execution);
    expect(execution.status).toBe("SUCCEEDED");
    expect(await it.tries()).toMatchObject({ model_x: [1], "test.x": [1, 2] });
    expect(it.ends()).toMatchObject({ model_x: "SUCCEEDED" });
  });

  it("F14: while the run still runs, the try waits for the end of its present round, which is not taken back", async () => {
    const it = new Redriven({
      model_a: { failures: 1, message: "Compilation Error in model" },
      model_x: { failures: 1, message: "Database Error" },
    });
    const execution = await it.aws.start("run-1");
    let redriven = false;
    await it.aws.clock.advance(4 * HOUR, () => {
      const consumer = it.aws.consumers().get("model_a");
      if (!redriven && consumer?.status === "FAILED") {
        redriven = true;
        void it.aws.machines.redrive(consumer.arn);
      }
      return execution.status !== "RUNNING";
    });
    expect(redriven).toBe(true);
    await it.over(execution);
    const run = await it.aws.ledger.readRun(KEY);
    expect(run).toMatchObject({ state: "green", round: 2 });
    expect(execution.status).toBe("SUCCEEDED");
  });

  it("G8: fails at once and names the holder where another run has the lock by then", async () => {
    const it = new Redriven({ model_a: thrice });
    const first = await it.start();
    const second = await it.aws.start("run-2");
    await it.aws.clock.advance(1_000);
    await it.redrive(first.arn);
    await it.aws.clock.advance(1_000);
    expect(first).toMatchObject({ status: "FAILED", failure: { name: "RunLocked" } });
    expect(first.failure!.cause).toContain("Run run-2 holds the lock");
    expect(await it.aws.ledger.readRun(KEY)).toMatchObject({ round: 1, state: "red" });
    await it.aws.clock.advance(4 * HOUR, () => second.status !== "RUNNING");
    await it.redrive(first.arn);
    await it.aws.clock.advance(4 * HOUR, () => first.status !== "RUNNING");
    expect(first.status).toBe("SUCCEEDED");
  });

  it("G8: a run that was stopped is finished, not begun again", async () => {
    const it = new Redriven({});
    const execution = await it.aws.start("run-1");
    await it.aws.clock.advance(2_000);
    const seen = (await it.aws.ledger.readRun(KEY))!;
    await it.aws.ledger.requestStop(seen, { atMs: it.aws.clock.nowMs(), reason: "enough" });
    await it.over(execution);
    expect(await it.aws.ledger.readRun(KEY)).toMatchObject({ state: "stopped" });
    await it.redrive(execution.arn);
    await it.over(execution);
    expect(execution.status).toBe("SUCCEEDED");
    expect(await it.aws.ledger.readRun(KEY)).toMatchObject({ state: "green", round: 2 });
  });
});

describe("a stop and a wish for a round", () => {
  it("G12: who stops a run that was redriven while it ran has it stopped: nothing opens another round", async () => {
    const it = new Redriven({});
    const execution = await it.aws.start("run-1");
    await it.aws.clock.advance(2_000);
    await it.aws.machines.stop(execution.arn, "by mistake");
    await it.aws.clock.advance(100);
    await it.redrive(execution.arn);
    await it.aws.clock.advance(1_000);
    const run = (await it.aws.ledger.readRun(KEY))!;
    const wish = { round: 1, by: "consumer" as const, downstream: true, force: false, fullRefresh: false };
    await it.aws.ledger.requestRound(run, { ...wish, atMs: it.aws.clock.nowMs(), nodes: ["model_a"] });
    await it.aws.clock.advance(100);
    await it.aws.ledger.requestStop(run, { atMs: it.aws.clock.nowMs(), reason: "enough" });
    await it.over(execution);
    expect(await it.aws.ledger.readRun(KEY)).toMatchObject({ state: "stopped", round: 1 });
    await it.redrive(execution.arn);
    await it.over(execution);
    expect(await it.aws.ledger.readRun(KEY)).toMatchObject({ state: "green", round: 2 });
  });
});

describe("a round that was opened, where its answer is lost", () => {
  it("G8: is not judged before anything of it is built: what was asked for with it is built", async () => {
    const it = new Redriven({ model_a: { failures: 2, message: "Compilation Error in model" } });
    const execution = await it.start();
    await it.redrive(execution.arn);
    const { putRunIndex } = it.aws.ledger;
    let failures = 1;
    it.aws.ledger.putRunIndex = async (row, days) => {
      if (row.round === 2 && row.state === "running" && failures-- > 0) throw new LedgerUnavailable("later");
      await putRunIndex(row, days);
    };
    await it.over(execution);
    expect(await it.tries()).toMatchObject({ model_a: [1, 2] });
    expect(await it.aws.ledger.readRun(KEY)).toMatchObject({ round: 2 });
    expect(failures).toBeLessThan(1);
  });
});

describe("a redriven consumer whose round does not come", () => {
  it("F14: where another run has the lock it says so, and redrives its run once, not with each turn", async () => {
    const it = new Redriven({ model_a: thrice });
    const execution = await it.start();
    const consumer = it.aws.consumers().get("model_a")!;
    await it.aws.start("run-2");
    await it.aws.clock.advance(1_000);
    await it.redrive(consumer.arn);
    await it.aws.clock.advance(60_000);
    expect(execution).toMatchObject({ status: "FAILED", redriveCount: 1, failure: { name: "RunLocked" } });
    expect(consumer).toMatchObject({ status: "FAILED", failure: { name: "NodeFailed" } });
    expect(consumer.failure!.cause).toContain("Run run-2 holds the lock");
  });

  it("G12: of a run that somebody stopped since it is red, and does not redrive what was stopped", async () => {
    const behaviour = { model_a: { failures: 9, message: "Compilation Error in model" }, model_x: thrice };
    const it = new Redriven(behaviour);
    const execution = await it.begin({ retryDelaySeconds: 300 });
    await it.aws.clock.advance(HOUR, () => it.aws.consumers().get("model_a")?.status === "FAILED");
    expect(execution.status).toBe("RUNNING");
    const consumer = it.aws.consumers().get("model_a")!;
    await it.redrive(consumer.arn);
    await it.aws.clock.advance(10_000);
    const run = (await it.aws.ledger.readRun(KEY))!;
    expect(run.requests).toHaveLength(1);
    await it.aws.ledger.requestStop(run, { atMs: it.aws.clock.nowMs(), reason: "enough" });
    await it.over(execution);
    expect(await it.aws.ledger.readRun(KEY)).toMatchObject({ round: 1, state: "stopped" });
    expect(execution.redriveCount).toBe(0);
    expect(consumer).toMatchObject({ status: "FAILED", redriveCount: 1 });
  });
});

describe("a person's clock that runs ahead of ours", () => {
  it("G12: a stop that was obeyed counts: the run is stopped, and nothing opens a round of itself", async () => {
    const it = new Redriven({ model_a: { failures: 9, message: "Database Error" } });
    const execution = await it.begin({ runRetries: 3, retryDelaySeconds: 300 });
    await it.aws.clock.advance(HOUR, () => it.aws.consumers().get("model_x")?.status === "SUCCEEDED");
    await it.aws.clock.advance(20_000);
    const run = (await it.aws.ledger.readRun(KEY))!;
    await it.aws.ledger.requestStop(run, { atMs: it.aws.clock.nowMs() + 90_000, reason: "enough", by: "ada" });
    await it.over(execution);
    expect(await it.aws.ledger.readRun(KEY)).toMatchObject({ round: 1, state: "stopped" });
  });

  it("G8: who asks for a round after a stop has seen it: the wish comes after it", () => {
    const stopped = { stopRequestedAtMs: 90, round: 1 };
    const wish = { round: 1, by: "person" as const, downstream: false, force: false, fullRefresh: false };
    const requests = [{ ...wish, atMs: wishedAtMs(stopped, 50) }];
    expect(pendingRequests({ ...stopped, requests })).toHaveLength(1);
    expect(wishedAtMs({}, 50)).toBe(50);
  });
});

describe("automatic rounds", () => {
  const world = async (failures: number, runRetries: number, message = "Database Error") => {
    const policy = { runRetries, runRetryDelaySeconds: 600 };
    const project = { ...shop({ model_a: { failures, message } }) };
    const it = new SimulatedWorld({ seed: 3, project: { ...project, policy: { ...project.policy, ...policy } } });
    it.begin("run-1");
    await it.settled();
    await expectSound(it);
    return { it, run: (await it.ledger.readRun(KEY))! };
  };

  it("G9: a red run goes on by itself, after its delay, and its state is right afterwards", async () => {
    const { it, run } = await world(2, 1);
    expect(it.ends.get("run-1")).toMatchObject({ state: "green" });
    expect(run).toMatchObject({ round: 2, state: "green", opening: { by: "run_retry" } });
    expect(run.rounds).toMatchObject([{ round: 1, state: "red", summaryKey: expect.any(String) }]);
    const second = (await it.rows("run-1")).tasks.find((task) => task.round === 2)!;
    expect(second.claimedAtMs - run.rounds![0]!.endedAtMs).toBeGreaterThanOrEqual(600_000);
  });

  it("G9: as often as the policy says", async () => {
    const { it, run } = await world(100, 2);
    expect(it.ends.get("run-1")).toMatchObject({ state: "red" });
    expect(run).toMatchObject({ round: 3, state: "red" });
  });

  it("G16: not for what comes to the same each time", async () => {
    const { run } = await world(100, 2, "Compilation Error in model");
    expect(run).toMatchObject({ round: 1, state: "red" });
  });

  it("G9: not beyond the run's time", async () => {
    const project = shop({ model_a: { failures: 100, message: "Database Error" } });
    const policy = { ...project.policy, runRetries: 9, runRetryDelaySeconds: 3_600, runTimeoutMinutes: 150 };
    const it = new SimulatedWorld({ seed: 3, project: { ...project, policy } });
    it.begin("run-1");
    await it.settled();
    expect(await it.ledger.readRun(KEY)).toMatchObject({ round: 3, state: "red" });
  });
});

it("G25, G9: a round for named nodes is followed by none for the rest, although the run retries itself", async () => {
  const broken = { failures: Number.POSITIVE_INFINITY, message: "Database Error" };
  const it = new Redriven({ model_a: broken, model_x: broken });
  const execution = await it.begin({ runRetries: 1, runRetryDelaySeconds: 60 });
  await it.over(execution);
  const seen = (await it.aws.ledger.readRun(KEY))!;
  expect(seen).toMatchObject({ round: 2, state: "red" });
  const before = (await it.tries()).model_x;
  const wish = { round: 2, by: "person" as const, downstream: false, force: false, fullRefresh: false };
  await it.aws.ledger.requestRound(KEY, { ...wish, nodes: ["model_a"], atMs: it.aws.clock.nowMs() });
  await it.redrive(execution.arn);
  await it.over(execution);
  expect(await it.aws.ledger.readRun(KEY)).toMatchObject({ round: 3, state: "red" });
  expect((await it.tries()).model_x).toEqual(before);
});

describe("a step of a larger machine, by its runKey", () => {
  const attempt = async (it: Redriven, runId: string, input: Record<string, unknown> = {}) => {
    const { executionArn } = await it.aws.machines.start(RUN_MACHINE.arn, runId, {
      project: "shop",
      runKey: "k",
      ...input,
    });
    return it.aws.machines.executions.get(executionArn)!;
  };

  it("G13: its machine's own retry goes on with the attempt before; after a green one there is nothing to do", async () => {
    const it = new Redriven({ model_a: { failures: 4, message: "Database Error" } });
    expect((await it.over(await attempt(it, "run-1"))).status).toBe("FAILED");
    expect((await it.over(await attempt(it, "run-2"))).status).toBe("FAILED");
    const third = await it.over(await attempt(it, "run-3"));
    expect(third).toMatchObject({ status: "SUCCEEDED", output: { state: "green" } });
    const rows = await it.aws.ledger.readVertices({ project: "shop", runId: "run-3" });
    const tries = Object.fromEntries(rows.map((row) => [row.uniqueId, row.tryTasks]));
    expect(tries).toMatchObject({ model_a: [1, 2, 3, 4, 5], model_x: [1], model_c: [5] });
    const fourth = await it.over(await attempt(it, "run-4"));
    expect(fourth).toMatchObject({
      status: "SUCCEEDED",
      output: { state: "skipped", verdict: "Run run-3 of the same runKey is green: nothing is left to do." },
    });
  });

  it("G13: beside an attempt that has not ended it fails, and never passes for green; with other options it is refused", async () => {
    const it = new Redriven({ model_a: { failures: Number.POSITIVE_INFINITY, message: "Database Error" } });
    const first = await attempt(it, "run-1");
    await it.aws.clock.advance(1_000);
    const beside = await attempt(it, "run-2");
    await it.aws.clock.advance(1_000);
    expect(beside).toMatchObject({ status: "FAILED", failure: { name: "StillRunning" } });
    await it.over(first);
    const odd = await it.over(await attempt(it, "run-3", { threads: 7 }));
    expect(odd).toMatchObject({ status: "FAILED", failure: { name: "InputError" } });
    expect(odd.failure!.cause).toContain('runKey = "k": run run-1 had it with other options');
  });
});

describe("a run that goes on with another", () => {
  const resumed = async (it: Redriven, resume: Record<string, unknown>, more: Record<string, unknown> = {}) => {
    const input = { project: "shop", resume: { run: "run-1", ...resume }, ...more };
    const { executionArn } = await it.aws.machines.start(RUN_MACHINE.arn, "run-2", input);
    return it.over(it.aws.machines.executions.get(executionArn)!);
  };
  const second = { project: "shop", runId: "run-2" };
  const triesOf = async (it: Redriven) =>
    Object.fromEntries((await it.aws.ledger.readVertices(second)).map((row) => [row.uniqueId, row.tryTasks]));

  it("G8: adopts its plan and what is good, and builds the rest", async () => {
    const it = new Redriven({ model_a: thrice });
    await it.start();
    const execution = await resumed(it, { who: "ada", reason: "older than 14 days" });
    expect(execution).toMatchObject({ status: "SUCCEEDED", output: { state: "green" } });
    expect(await triesOf(it)).toMatchObject({ model_a: [1, 2, 3], model_b: [3], model_c: [3], model_x: [1] });
    const run = (await it.aws.ledger.readRun(second))!;
    expect(run).toMatchObject({ round: 1, state: "green", resumed: "run-1", opening: { by: "resume", who: "ada" } });
    expect(run.rounds).toMatchObject([{ round: 0, state: "red" }]);
    expect(await it.aws.ledger.readRun(KEY)).toMatchObject({ round: 1, state: "red" });
    const started = [...it.aws.consumers().values()].filter(
      (one) => (one.input as { runId: string }).runId === "run-2",
    );
    expect(started.map((one) => [(one.input as { uniqueId: string }).uniqueId, one.status])).toEqual([
      ["model_a", "SUCCEEDED"],
      ["model_b", "SUCCEEDED"],
      ["model_c", "SUCCEEDED"],
    ]);
  });

  it("G8 F13: its consumers hear of their nodes at once, though those of a later round of that one waited on the same rows", async () => {
    const it = new Redriven({ model_a: { failures: 4, message: "Database Error" } });
    const before = await it.start();
    await it.redrive(before.arn);
    await it.over(before);
    expect(await it.aws.ledger.readRun(KEY)).toMatchObject({ round: 2, state: "red" });
    expect(await resumed(it, {})).toMatchObject({ status: "SUCCEEDED", output: { state: "green" } });
    const ends = [...it.aws.machines.executions.values()]
      .filter(({ input }) => (input as { runId?: string; uniqueId?: string }).runId === "run-2")
      .flatMap(({ input, status }) => ((input as { uniqueId?: string }).uniqueId ? [status] : []));
    expect(ends).toEqual(["SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]);
  });

  it("G8: is refused where rows of that one may have expired: what is good would be taken for not built", async () => {
    const it = new Redriven({ model_a: thrice });
    await it.start();
    const { settings } = (await it.aws.ledger.readRun(KEY))!;
    await it.aws.clock.advance((settings.policy.ttlDays + 1) * 24 * HOUR);
    const execution = await resumed(it, {});
    expect(execution).toMatchObject({ status: "FAILED", failure: { name: "InputError" } });
    expect(execution.failure!.cause).toContain("its rows have expired (ttlDays): npx stepwatch run shop --rerun run-1");
  });

  it("G8: can be redriven itself", async () => {
    const it = new Redriven({ model_a: { failures: 4, message: "Database Error" } });
    await it.start();
    const execution = await resumed(it, {});
    expect(execution.status).toBe("FAILED");
    await it.redrive(execution.arn);
    await it.over(execution);
    expect(execution.status).toBe("SUCCEEDED");
    expect(await triesOf(it)).toMatchObject({ model_a: [1, 2, 3, 4, 5], model_x: [1] });
  });

  it("G25: builds a good node of a green run again where a person names it, and nothing else", async () => {
    const it = new Redriven({});
    const execution = await it.start();
    expect(execution.status).toBe("SUCCEEDED");
    const { executionArn } = await it.aws.machines.start(RUN_MACHINE.arn, "run-2", {
      project: "shop",
      resume: { run: "run-1", nodes: ["model_x"] },
    });
    const again = it.aws.machines.executions.get(executionArn)!;
    await it.aws.clock.advance(HOUR, () => again.status !== "RUNNING");
    expect(again.status).toBe("SUCCEEDED");
    expect(it.aws.warehouse.violations).toEqual([
      expect.stringContaining("model_x was good and is built again"),
      expect.stringContaining("test.x was good and is built again"),
    ]);
    expect(await triesOf(it)).toMatchObject({ model_a: [1], model_b: [1], model_c: [1], model_x: [1, 2] });
  });

  it.each([
    [{ run: "nowhere" }, {}, 'resume.run = "nowhere": project shop has no such run'],
    [{}, { select: ["model_a"] }, "select: a run that goes on with another has the options of that one"],
    [{ nodes: [] }, {}, "resume.nodes"],
  ])("G8: %j with %j is refused before anything is started", async (resume, more, words) => {
    const it = new Redriven({ model_a: thrice });
    await it.start();
    const execution = await resumed(it, resume, more);
    expect(execution).toMatchObject({ status: "FAILED", failure: { name: "InputError" } });
    expect(execution.failure!.cause).toContain(words);
    expect(await it.aws.ledger.readRun(second)).toBeNull();
  });
});
