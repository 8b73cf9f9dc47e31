import type { DbtGraph } from "#core/dbt/dbt-graph.ts";
import { isBuilt } from "#core/dbt/resource-types.ts";
import { parentsFirst } from "#core/run/planning/parents-first.ts";

/** For each selected vertex: the selected vertices that must be good before dbt builds it. */
export type GateGraph = ReadonlyMap<string, readonly string[]>;

/**
 * dbt's gate graph reduced to a selection: an edge through an unselected vertex is kept as an edge between its
 * selected neighbours, as dbt's `get_subset_graph` keeps it. What dbt never builds (ephemeral models, files without
 * SQL) gates and lets through at once, so that no vertex is ever held to be free because the nothing above it is.
 * Ids that the graph does not know are kept, without parents.
 */
export function gateGraph(graph: DbtGraph, selectedIds: readonly string[]): GateGraph {
  const selected = new Set(selectedIds);
  const nearest = new Map<string, Set<string>>();
  for (const id of parentsFirst(graph.gates)) {
    const found = new Set<string>();
    for (const parent of graph.gates.get(id) ?? []) {
      if (selected.has(parent)) found.add(parent);
      const node = graph.manifest.nodes.get(parent);
      const letsThrough = !selected.has(parent) || node === undefined || !isBuilt(node);
      if (letsThrough) for (const above of nearest.get(parent) ?? []) found.add(above);
    }
    nearest.set(id, found);
  }
  return new Map(selectedIds.map((id) => [id, [...(nearest.get(id) ?? [])].sort()]));
}
