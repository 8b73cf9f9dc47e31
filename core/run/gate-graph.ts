import type { DbtGraph, ManifestNode } from "#core/dbt/manifest.ts";
import type { PlannedVertex } from "#core/dbt/outcome.ts";

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

/**
 * Types of `dbt build`, hence of a plan; each version leaves some of them without an event. `dbt ls` also lists sources,
 * metrics, analyses and semantic models.
 */
export const PLANNED_TYPES: ReadonlySet<string> = new Set([
  "model",
  "seed",
  "snapshot",
  "test",
  "unit_test",
  "exposure",
  "saved_query",
  "function",
]);

/** Whether dbt runs something for it. Exposures and saved queries are at most told to be `no-op`. */
export function isBuilt(node: ManifestNode): boolean {
  if (node.resourceType === "exposure" || node.resourceType === "saved_query") return false;
  return node.materialized !== "ephemeral" && !node.hollow;
}

/** Every id with its parents before it. dbt refuses cycles; an edge of one would be left out. */
function parentsFirst(gates: ReadonlyMap<string, readonly string[]>): string[] {
  const children = new Map<string, string[]>();
  const open = new Map<string, number>();
  for (const [id, parents] of gates) {
    open.set(id, parents.length);
    for (const parent of parents) {
      const list = children.get(parent);
      if (list === undefined) children.set(parent, [id]);
      else list.push(id);
    }
  }
  const ready = [...gates.keys()].filter((id) => open.get(id) === 0);
  for (const id of ready) {
    for (const child of children.get(id) ?? []) {
      const left = (open.get(child) ?? 0) - 1;
      open.set(child, left);
      if (left === 0) ready.push(child);
    }
  }
  return ready;
}
