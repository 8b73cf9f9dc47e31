import { expect } from "vitest";
import type { VertexRow } from "#core/contracts/ledger.ts";
import { canBeGood } from "./simulated-oracle.ts";
import type { SimulatedProject } from "./simulated-project.ts";
import type { SimulatedWorld } from "./simulated-world.ts";

/** What must hold of every world at its end, whatever went wrong in it. */
export async function expectSound(world: SimulatedWorld): Promise<void> {
  expect(world.errors).toEqual([]);
  expect(world.warehouse.violations).toEqual([]);
  for (const [task, times] of world.fences) expect(times, `containers that built task ${task}`).toBe(1);
  expect(await world.ledger.readLock("shop", "default"), "the lock is free").toBeNull();
}

/** Where a run is green nothing that it built is older than what it was built from, tests of it included. */
export function expectOrder(world: SimulatedWorld, project: SimulatedProject, runId: string): void {
  if (world.ends.get(runId)?.state !== "green") return;
  const isBuilt = (id: string) => !id.startsWith("unit_test.") && project.vertices.get(id)!.builds;
  for (const { uniqueId, gateParents } of project.plan.vertices)
    for (const parent of gateParents.filter((id) => isBuilt(uniqueId) && isBuilt(id))) {
      const isYounger = world.warehouse.table(parent).builtAt < world.warehouse.table(uniqueId).builtAt;
      expect(isYounger, `${uniqueId} was built after ${parent}`).toBe(true);
    }
}

/** The verdict of a run is as the project's behaviours allow. */
export function expectVerdict(world: SimulatedWorld, project: SimulatedProject, runId: string): void {
  const able = [...canBeGood(project).values()];
  const end = world.ends.get(runId)!;
  expect(end.state, end.words).toBe(able.length > 0 && able.every(Boolean) ? "green" : "red");
}

/** Whether everything can be good at some time: nothing fails for ever, or kills each of its builds. */
export function isCurable(project: SimulatedProject): boolean {
  const planned = project.plan.vertices.map((one) => project.vertices.get(one.uniqueId)!);
  const able = ({ failures, kills, unreported, builds }: (typeof planned)[number]) =>
    Number.isFinite(failures) && Number.isFinite(kills) && (!unreported || !builds);
  return planned.length > 0 && planned.every(able);
}

/** After so many rounds: green if everything can be good at some time, and nobody waits any more. */
export async function expectCured(world: SimulatedWorld, project: SimulatedProject, runId: string): Promise<void> {
  const end = world.ends.get(runId)!;
  expect(end.state, end.words).toBe(isCurable(project) ? "green" : "red");
  for (const [name, one] of world.consumers)
    expect(one.stopped || one.outcome !== null, `${name} has ended`).toBe(true);
}

/** After a person's marks and rounds: the last run is green, and each table that can stand does. */
export async function expectAllGood(world: SimulatedWorld, project: SimulatedProject): Promise<void> {
  const last = world.ends.get("run-2") ?? world.ends.get("run-1")!;
  expect(last.state, last.words).toBe(project.plan.vertices.length > 0 ? "green" : "red");
  for (const { uniqueId, builds } of project.plan.vertices)
    if (builds) expect(world.warehouse.table(uniqueId).good, `${uniqueId} stands`).toBe(true);
  for (const [name, one] of world.consumers)
    expect(one.stopped || one.outcome !== null, `${name} has ended`).toBe(true);
}

/** Verdict and consumers of a run are as the project's behaviours allow. */
export async function expectTruth(world: SimulatedWorld, project: SimulatedProject, runId: string): Promise<void> {
  expectVerdict(world, project, runId);
  const able = canBeGood(project);
  const { vertices } = await world.rows(runId);
  for (const [id, good] of able) expect(world.warehouse.table(id).good, `${id} stands`).toBe(good);
  expectConsumers(world, project, runId, vertices, able);
}

function expectConsumers(
  world: SimulatedWorld,
  project: SimulatedProject,
  runId: string,
  rows: readonly VertexRow[],
  able: ReadonlyMap<string, boolean>,
): void {
  const planned = new Map(project.plan.vertices.map((one) => [one.uniqueId, one]));
  const reached = rows
    .filter((row) => row.tryTasks.length > 0 && row.uniqueId.startsWith("model_"))
    .map((row) => row.uniqueId);
  const ours = [...world.consumers.values()].filter((one) => one.reference.runId === runId);
  expect(new Set(ours.map((one) => one.reference.uniqueId))).toEqual(new Set(reached));
  for (const { reference, outcome, stopped } of ours) {
    if (stopped) continue;
    const tests = project.plan.vertices.filter(
      (one) => one.nodes.includes(reference.uniqueId) && one.resourceType === "test",
    );
    const failed = tests.some(
      (one) => !able.get(one.uniqueId) && planned.get(one.uniqueId)!.gateParents.every((id) => able.get(id)),
    );
    const expected = able.get(reference.uniqueId) && !failed ? "green" : "red";
    expect(outcome, `the consumer of ${reference.uniqueId}`).toBe(expected);
    expect(rows.find((row) => row.uniqueId === reference.uniqueId)!.outcome).toBe(expected);
  }
}
