import type { DbtGraph } from "#core/dbt/dbt-graph.ts";
import type { PlannedVertex } from "#core/dbt/planned-vertex.ts";
import { isBuilt, PLANNED_TYPES } from "#core/dbt/resource-types.ts";
import { gateGraph } from "#core/run/gate-graph.ts";

/** The selected vertices as {@link PlannedVertex}, what dbt never runs (sources, disabled or unknown ids) left out. */
export function plannedVertices(graph: DbtGraph, selectedIds: readonly string[]): PlannedVertex[] {
  const nodes = [...new Set(selectedIds)].flatMap((id) => graph.manifest.nodes.get(id) ?? []);
  const planned = nodes.filter((node) => PLANNED_TYPES.has(node.resourceType));
  const gates = gateGraph(
    graph,
    planned.map((node) => node.uniqueId),
  );
  return planned.map((node) => ({
    uniqueId: node.uniqueId,
    resourceType: node.resourceType,
    gateParents: gates.get(node.uniqueId) ?? [],
    builds: isBuilt(node),
  }));
}
