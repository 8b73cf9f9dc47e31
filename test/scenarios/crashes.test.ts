import { describe, expect, it } from "vitest";
import type { PlanVertex } from "#core/run/planning/plan.ts";
import { dataTest, vertex } from "../support/run-builders.ts";
import { expectSound, expectTruth } from "../support/simulated-checks.ts";
import type { SimulatedVertex } from "../support/simulated-dbt.ts";
import { projectOf as projectUnder, type SimulatedProject } from "../support/simulated-project.ts";
import { SimulatedWorld } from "../support/simulated-world.ts";

const policy = {
  launchFailures: 20,
  losses: 6,
  retryDelaySeconds: 1,
  orphanGraceSeconds: 0,
  lostAfterSeconds: 10,
  runTimeoutMinutes: 600,
};

const projectOf = (vertices: readonly PlanVertex[], behaviour: Record<string, Partial<SimulatedVertex>> = {}) =>
  projectUnder(vertices, behaviour, policy);

/** A root that fails once, one that kills its build once, tests over one and both of them, and what they gate. */
const eventful = projectOf(
  [
    vertex("model_a"),
    vertex("model_k"),
    dataTest("test.a", ["model_a"]),
    dataTest("test.ak", ["model_a", "model_k"]),
    vertex("model_b", ["model_a", "test.a"]),
    vertex("model_c", ["model_b", "model_k", "test.ak"]),
  ],
  { model_a: { failures: 1, message: "Database Error" }, model_k: { kills: 1 } },
);

const forgetful = { refusedPercent: 0, neverStartedPercent: 0, forgottenTokenPercent: 100, most: 0 };

async function play(
  seed: number,
  project: SimulatedProject,
  crashAt?: { write: number; after: boolean },
): Promise<SimulatedWorld> {
  const faults = { crashes: 0, refusals: 0, ...(crashAt ? { crashAt } : {}) };
  const world = new SimulatedWorld({ seed, project, faults, troubles: forgetful });
  world.begin("run-1");
  await world.settled();
  return world;
}

describe("a function that dies at one of its calls", () => {
  it.each([
    ["before", false],
    ["after", true],
  ])("D2: at every point, %s the call takes effect: nothing is built twice, the verdict is right", async (_, after) => {
    const { writes } = (await play(1, eventful)).calls;
    expect(writes).toBeGreaterThan(50);
    for (let write = 1; write <= writes; write++) {
      const world = await play(1, eventful, { write, after });
      try {
        expect(world.calls.crashed).toBe(1);
        await expectSound(world);
        await expectTruth(world, eventful, "run-1");
      } catch (error) {
        throw new Error(
          `Died ${after ? "after" : "before"} write ${write}: ${error instanceof Error ? error.message : error}`,
          { cause: error },
        );
      }
    }
  });
});

describe("a run from start to end", () => {
  it("G6: a root that failed once and its ten descendants: two tries, and one recovery build", async () => {
    const below = Array.from({ length: 10 }, (_, n) => vertex(`model_${n}`, [n < 5 ? "model_root" : `model_${n - 5}`]));
    const project = projectOf([vertex("model_root"), ...below], {
      model_root: { failures: 1, message: "Database Error" },
    });
    const world = await play(2, project);
    await expectSound(world);
    expect(world.ends.get("run-1")!.state).toBe("green");
    const { tasks, vertices } = await world.rows("run-1");
    expect(tasks.map((task) => task.kind)).toEqual(["producer", "fallback", "recovery"]);
    expect(vertices.map((row) => row.tryTasks.length).sort()).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
  });

  it("D4: killed in the middle: what was good is not run again, what ran is rebuilt alone first", async () => {
    const names = Array.from({ length: 10 }, (_, n) => `model_${n}`);
    const project = projectOf(
      names.map((id, n) => vertex(id, n === 0 ? [] : [names[n - 1]!])),
      { model_3: { kills: 1 } },
    );
    const world = await play(5, project);
    await expectSound(world);
    expect(world.ends.get("run-1")!.state).toBe("green");
    const { tasks, vertices } = await world.rows("run-1");
    // Killed before its plan was told, a task of its own makes it.
    const builds = tasks.filter(({ kind }) => kind !== "plan");
    expect(builds.map((task) => [task.kind, task.setSize ?? 0])).toEqual([
      ["producer", 0],
      ["fallback", 1],
      ["recovery", 6],
    ]);
    expect(vertices.find((row) => row.uniqueId === "model_3")).toMatchObject({ lostTasks: [1] });
  });

  it("F16: a consumer that is stopped by hand changes nothing", async () => {
    const world = new SimulatedWorld({ seed: 4, project: eventful });
    world.begin("run-1");
    const stopAll = async () => {
      for (const consumer of world.consumers.values()) consumer.stopped = true;
    };
    for (let n = 1; n < 150; n++) world.later(n * 1_000, stopAll);
    await world.settled();
    expect([...world.consumers.values()].some((one) => one.stopped)).toBe(true);
    await expectSound(world);
    await expectTruth(world, eventful, "run-1");
  });

  it("G12: stopped at any moment: nothing more is launched, every task ends, consumers end, the lock is free, never green by half", async () => {
    const states = new Set<string>();
    for (let n = 0; n < 40; n++) {
      const world = new SimulatedWorld({ seed: 100 + n, project: eventful, lingering: 0.5 });
      world.begin("run-1");
      world.later(50 + n * 4_000, async () => await requestStop(world));
      await world.settled();
      await expectSound(world);
      const { tasks, vertices } = await world.rows("run-1");
      expect(tasks.filter((task) => task.state !== "over")).toEqual([]);
      const run = (await world.ledger.readRun({ project: "shop", runId: "run-1" }))!;
      states.add(run.state);
      const good = eventful.plan.vertices.every((one) =>
        vertices.find((row) => row.uniqueId === one.uniqueId && ["success", "pass"].includes(row.status ?? "")),
      );
      expect(run.state === "green", `stopped at turn ${n}: ${run.verdict}`).toBe(good);
      for (const consumer of world.consumers.values()) expect(consumer.outcome).not.toBeNull();
    }
    expect([...states].sort()).toEqual(["green", "stopped"]);
  });

  it("G10: two runs of one project: the second waits until the first and all its tasks have ended", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const project = projectOf([vertex("model_a"), vertex("model_b", ["model_a"])], { model_a: { kills: 1 } });
      const world = new SimulatedWorld({ seed, project, faults: { crashes: 0.03, refusals: 0.03 } });
      world.begin("run-1");
      world.begin("run-2", 2_000);
      await world.settled();
      expect(world.errors).toEqual([]);
      expect(world.warehouse.violations.filter((words) => words.includes("of another run"))).toEqual([]);
      expect([...world.ends.values()].map((end) => end.state)).toEqual(["green", "green"]);
      expect(await world.ledger.readLock("shop", "default")).toBeNull();
    }
  });
});

/** As the CLI's stop: by now there may be no run yet, or none any more. */
async function requestStop(world: SimulatedWorld): Promise<void> {
  const key = { project: "shop", runId: "run-1", round: 1 };
  if (await world.ledger.readRun(key))
    await world.ledger.requestStop(key, { atMs: world.schedule.nowMs, reason: "a test asked for it." });
}
