import { expect } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runProject } from "./cli.ts";
import { endedExecution } from "./consumers.ts";
import type { Deployed } from "./e2e-setup.ts";
import { askPostgres } from "./warehouse.ts";

/** unique_id of a model of the orchard. */
export const orchardId = (name: string) => `model.orchard.${name}`;
export const vars = (value: unknown) => ["--vars", JSON.stringify(value)];
export const nodeOf = (summary: RunSummary, name: string) =>
  summary.nodes.find((node) => node.uniqueId === orchardId(name))!;
export const kindsOf = (summary: RunSummary) => summary.tasks.map((task) => task.kind);

/** How often the warehouse itself saw each model built in a run, by rows in the models' own transactions. */
export async function orchardBuilds(deployed: Deployed, runId: string): Promise<Record<string, number>> {
  const sql = `select name, count(*) from orchard.builds where run_id = '${runId}' group by 1`;
  return Object.fromEntries(await askPostgres(deployed, sql));
}

export const BELOW_APPLE = ["apple", "apple_juice", "apple_cider", "mixed_jam"];
export const BESIDE_APPLE = ["pear", "pear_tart", "plum", "plum_cake", "quince", "quince_jelly"];
export const once = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 1]));

/** A run whose apple fails in its fallback too, so that it is red. */
export async function redOrchard(deployed: Deployed): Promise<RunSummary> {
  const { code, summary } = await runProject(deployed, "orchard", vars({ fail: { apple: 2 } }));
  expect(code).toBe(1);
  expect(await orchardBuilds(deployed, summary.runId)).toEqual(once(BESIDE_APPLE));
  return summary;
}

export async function expectRepaired(deployed: Deployed, summary: RunSummary): Promise<void> {
  expect(summary).toMatchObject({ state: "green", round: 2, rounds: [{ round: 1, state: "red" }] });
  expect(kindsOf(summary)).toEqual(["producer", "fallback", "recovery"]);
  expect(nodeOf(summary, "apple").tries).toBe(3);
  expect(await orchardBuilds(deployed, summary.runId)).toEqual(once([...BESIDE_APPLE, ...BELOW_APPLE]));
  expect(await endedExecution(deployed, summary.executionArn)).toBe("SUCCEEDED");
}
