import { expect } from "vitest";
import { taskSetSchema } from "#core/contracts/task-set.ts";
import { classOfStatus } from "#core/dbt/status.ts";
import type { SimulatedProject } from "./simulated-project.ts";
import type { SimulatedWorld } from "./simulated-world.ts";

/**
 * Of a run under `hooks: once` that dbt has begun: hooks ran when no build was left, after the last of them, and were told
 * how every table stood (behaviour G30).
 */
export async function expectHooks(world: SimulatedWorld, project: SimulatedProject, runId: string): Promise<void> {
  const { tasks, vertices } = await world.rows(runId);
  if (!vertices.some((row) => row.status !== undefined) || project.plan.vertices.length === 0) return;
  const ran = tasks.filter((task) => task.kind === "hooks");
  const builds = tasks.filter((task) => task.kind !== "hooks" && task.startedAtMs !== undefined);
  const last = ran.at(-1);
  expect(last?.task, "hooks ran after the last build").toBeGreaterThan(Math.max(...builds.map((task) => task.task)));
  for (const task of ran)
    for (const build of builds.filter((one) => one.task < task.task))
      expect(build.state, `task ${build.task} was over before hooks ran`).toBe("over");
  expect(last!.end?.endHooksDone, "the hooks are done").toEqual(["publish"]);
  const { hooks } = taskSetSchema.parse(await world.artefacts.getJson(last!.setKey!));
  const told = new Map(hooks!.results.map((one) => [one.uniqueId, classOfStatus(one.status)]));
  for (const { uniqueId, builds: isBuilt } of project.plan.vertices) {
    if (!isBuilt) continue;
    const stands = world.warehouse.table(uniqueId).good ? "good" : "not good";
    expect(told.get(uniqueId) === "good" ? "good" : "not good", `hooks are told of ${uniqueId}`).toBe(stands);
  }
}
