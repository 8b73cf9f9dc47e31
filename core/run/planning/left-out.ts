import { dbtGraph } from "#core/dbt/dbt-graph.ts";
import type { Manifest, ManifestNode } from "#core/dbt/manifest.ts";
import { isBuilt, TEST_TYPES } from "#core/dbt/resource-types.ts";
import { parentsFirst } from "#core/run/planning/parents-first.ts";

/**
 * Selected vertices that read nothing but stale sources and what is left out by them, each with the reason (behaviour H1).
 * A clean parent keeps its children: a seed, a source that is fresh or that nobody asks about, and a node that is not
 * selected, which this run knows nothing of. What dbt never builds (an ephemeral model) is as what it reads. A test goes
 * with what it is on; a test on a source alone stays as long as something that is built reads that source.
 */
export function leftOutBy(
  manifest: Manifest,
  selectedIds: readonly string[],
  stale: ReadonlyMap<string, string>,
): Map<string, string> {
  const selected = new Set(selectedIds);
  const { parents } = dbtGraph(manifest);
  const roots = new Map<string, ReadonlySet<string>>([...stale.keys()].map((id) => [id, new Set([id])]));
  const tests: ManifestNode[] = [];
  for (const id of parentsFirst(parents)) {
    const node = manifest.nodes.get(id);
    if (node === undefined || node.resourceType === "source") continue;
    if (TEST_TYPES.has(node.resourceType)) tests.push(node);
    else if (selected.has(id) || !isBuilt(node)) addRoots(id, parents.get(id) ?? [], roots);
  }
  const read = new Set(
    selectedIds.flatMap((id) => (roots.has(id) || isTest(manifest, id) ? [] : sourcesReadBy(id, parents, manifest))),
  );
  for (const { uniqueId, resourceType } of tests) {
    const on = parents.get(uniqueId) ?? [];
    const tested = resourceType === "unit_test" ? on.slice(0, 1) : on;
    if (!tested.some((id) => read.has(id))) addRoots(uniqueId, tested, roots);
  }
  return new Map(
    selectedIds.flatMap((id) => {
      const of = roots.get(id);
      return of === undefined || stale.has(id) ? [] : [[id, reasonOf([...of].sort(), stale)] as const];
    }),
  );
}

const isTest = (manifest: Manifest, id: string) => TEST_TYPES.has(manifest.nodes.get(id)?.resourceType ?? "");

function addRoots(id: string, parents: readonly string[], roots: Map<string, ReadonlySet<string>>): void {
  if (parents.length === 0 || !parents.every((parent) => roots.has(parent))) return;
  roots.set(id, new Set(parents.flatMap((parent) => [...(roots.get(parent) ?? [])])));
}

/** Sources that a vertex reads by itself, or through what dbt builds into it. */
function sourcesReadBy(id: string, parents: ReadonlyMap<string, readonly string[]>, manifest: Manifest): string[] {
  return (parents.get(id) ?? []).flatMap((parent) => {
    const node = manifest.nodes.get(parent);
    if (node?.resourceType === "source") return [parent];
    return node !== undefined && !isBuilt(node) ? sourcesReadBy(parent, parents, manifest) : [];
  });
}

const MOST_NAMED = 3;

function reasonOf(sources: readonly string[], stale: ReadonlyMap<string, string>): string {
  const named = sources.slice(0, MOST_NAMED).map((id) => `${id} is stale (${stale.get(id)})`);
  const more = sources.length - named.length;
  return `freshness gate: ${named.join("; ")}${more > 0 ? `; and ${more} more` : ""}.`;
}
