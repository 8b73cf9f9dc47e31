import type { DbtGraph } from "#core/dbt/dbt-graph.ts";
import { makePlan } from "#core/run/planning/make-plan.ts";
import type { Plan } from "#core/run/planning/plan.ts";

/** The plan of a run that selects these; what dbt never runs (sources, disabled or unknown ids) is left out. */
export function planOfGraph({ manifest }: DbtGraph, selectedIds: readonly string[]): Plan {
  return makePlan({ project: "p", runId: "r", manifest, selectedIds, source: "manifest", dbtVersion: "1.11.0" });
}
