import type { Manifest } from "./manifest.ts";
import { addTestEdges, addUnitTests } from "./test-edges.ts";

/** dbt's graph of the whole project: each vertex's parents, unit tests and test edges included. */
export interface DbtGraph {
  manifest: Manifest;
  /** Parents by reference alone (`depends_on`). */
  parents: ReadonlyMap<string, readonly string[]>;
  /** Parents as `dbt build` gates: `parents` plus test → children of what it tests, plus unit test → its model. */
  gates: ReadonlyMap<string, readonly string[]>;
}

/**
 * dbt's graph from the manifest. Test edges follow dbt-core's `Linker.add_test_edges_1` (its default): a test gates a
 * node if everything the test depends on is an ancestor of the node. Where dbt adds an edge to every such node, only
 * the nearest ones get one here, which gates the same. Unit tests run just before their model, gated as it is.
 */
export function dbtGraph(manifest: Manifest): DbtGraph {
  const parents = new Map<string, string[]>();
  for (const node of manifest.nodes.values()) {
    parents.set(
      node.uniqueId,
      [...new Set(node.dependsOn)].filter((id) => manifest.nodes.has(id)),
    );
  }
  const gates = new Map([...parents].map(([id, list]) => [id, new Set(list)]));
  const nodes = [...manifest.nodes.values()];
  addTestEdges(
    nodes.filter((node) => node.resourceType === "test"),
    nodes,
    parents,
    gates,
  );
  addUnitTests(
    nodes.filter((node) => node.resourceType === "unit_test"),
    gates,
  );
  return { manifest, parents, gates: new Map([...gates].map(([id, set]) => [id, [...set]])) };
}
