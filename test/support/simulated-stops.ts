import { expect } from "vitest";
import type { SimulatedProject } from "./simulated-project.ts";
import { Random } from "./simulated-random.ts";
import type { SimulatedWorld } from "./simulated-world.ts";

/** Milliseconds of simulated time within which most runs end: a stop may come at any moment of one, or too late. */
const LONGEST_MS = 100_000;

const SWEEP_MS = 15 * 60_000;

/** More sweeps than any scenario needs. */
const MOST_SWEEPS = 40;

const key = { project: "shop", runId: "run-1" };

/**
 * Stops run-1 at a moment that the seed tells: by the flag, at once or after the current builds, or by ending its
 * machine, of which the event comes once, twice, late, or never; a sweep comes each quarter of an hour.
 */
export function stopSomehow(world: SimulatedWorld, seed: number, redriven: boolean): void {
  const random = new Random(seed ^ 0x5709);
  const atMs = random.below(LONGEST_MS);
  const how = random.pick(["at once", "after current", "ended", "both"] as const);
  world.later(atMs, async () => {
    if (how !== "ended") await requestStop(world, how === "after current");
    if (how === "ended" || how === "both") endMachine(world, random);
  });
  if (redriven) world.later(atMs + random.pick([random.below(1_000), random.below(60_000)]), () => redriveOnce(world));
  world.later(0, () => sweepUntilOver(world));
}

/** A person at the Redrive button: presses it again until the execution has ended. */
async function redriveOnce(world: SimulatedWorld): Promise<void> {
  for (let n = 0; n < MOST_SWEEPS && !world.redrive(key.runId); n++) await world.schedule.pause(20_000);
}

async function requestStop(world: SimulatedWorld, afterCurrent: boolean): Promise<void> {
  const run = await world.ledger.readRun(key);
  const stop = { atMs: world.schedule.nowMs, reason: "a test asked for it.", by: "ada", afterCurrent };
  if (run) await world.ledger.requestStop(run, stop);
}

function endMachine(world: SimulatedWorld, random: Random): void {
  const ended = { runId: key.runId, redriveCount: 0 };
  if (!world.abort(key.runId)) return;
  const events = random.pick([0, 1, 1, 2]);
  for (let n = 0; n < events; n++)
    world.later(random.pick([0, random.below(2_000), random.below(400_000)]), () => world.stopRun(ended));
}

async function sweepUntilOver(world: SimulatedWorld): Promise<void> {
  for (let n = 0; n < MOST_SWEEPS; n++) {
    await world.schedule.pause(SWEEP_MS);
    await world.sweep();
    const tasks = await world.ledger.readTasks(key);
    const run = await world.ledger.readRun(key);
    const lock = await world.ledger.readLock("shop", "default");
    if (run?.state !== "running" && lock === null && tasks.every((task) => task.state === "over")) return;
  }
}

/** A run that was stopped somehow has a verdict that is true, and nothing of it goes on. */
export async function expectEnded(world: SimulatedWorld, project: SimulatedProject): Promise<void> {
  const { tasks, vertices } = await world.rows(key.runId);
  const run = await world.ledger.readRun(key);
  expect(tasks.filter((task) => task.state !== "over")).toEqual([]);
  expect(await world.ledger.listWaiting("shop")).toEqual([]);
  if (run === null) return;
  expect(run.state, "the run has its verdict").not.toBe("running");
  // Nobody stops it a second time: what is stopped then was stopped by a word of the round before.
  if (world.redriven(key.runId)) expect(run.state, `round ${run.round}: ${run.verdict}`).not.toBe("stopped");
  const statuses = new Map(vertices.map((row) => [row.uniqueId, row.status ?? ""]));
  const isGood = (id: string) => ["success", "pass"].includes(statuses.get(id) ?? "");
  const built = project.plan.vertices.filter((one) => one.builds);
  const bad = built.filter((one) => !isGood(one.uniqueId));
  if (run.state === "green") expect(bad, run.verdict).toEqual([]);
  // Without its plan a run is never green, nor one that found nothing; an ephemeral model may be what is not good.
  else if (run.planKey && built.length > 0 && built.length === project.plan.vertices.length)
    expect(bad, run.verdict).not.toEqual([]);
  for (const { outcome, reference } of world.consumers.values())
    expect(outcome, `the consumer of ${reference.uniqueId}`).not.toBeNull();
}
