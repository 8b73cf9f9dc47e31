import type { ManifestNode } from "./manifest.ts";
import { GATED_BY_TESTS } from "./resource-types.ts";
import { testedBy } from "./tested-nodes.ts";

/** Adds to `gates` each test that everything under what it tests must wait for. */
export function addTestEdges(
  tests: readonly ManifestNode[],
  nodes: readonly ManifestNode[],
  parents: ReadonlyMap<string, readonly string[]>,
  gates: ReadonlyMap<string, Set<string>>,
): void {
  const below = descendantsIn(nodes, parents);
  const gated = new Set(nodes.filter((node) => GATED_BY_TESTS.has(node.resourceType)).map((node) => node.uniqueId));
  for (const test of tests) {
    const [first, ...others] = (parents.get(test.uniqueId) ?? []).map(below);
    if (first === undefined) continue;
    const common = others.length === 0 ? first : new Set([...first].filter((id) => others.every((set) => set.has(id))));
    for (const id of common) {
      const isNearest = !parents.get(id)?.some((parent) => common.has(parent) && gated.has(parent));
      if (gated.has(id) && isNearest) gates.get(id)?.add(test.uniqueId);
    }
  }
}

/** Everything below a vertex, by reference; each vertex's answer is kept, since many tests hang on few nodes. */
function descendantsIn(nodes: readonly ManifestNode[], parents: ReadonlyMap<string, readonly string[]>) {
  const children = new Map<string, string[]>(nodes.map((node) => [node.uniqueId, []]));
  for (const [id, list] of parents) for (const parent of list) children.get(parent)?.push(id);
  const known = new Map<string, ReadonlySet<string>>();
  return (id: string): ReadonlySet<string> => {
    const before = known.get(id);
    if (before !== undefined) return before;
    const found = new Set<string>(children.get(id));
    for (const next of found) for (const child of children.get(next) ?? []) found.add(child);
    known.set(id, found);
    return found;
  };
}

/** A unit test waits for what its model waits for, and its model waits for it. */
export function addUnitTests(unitTests: readonly ManifestNode[], gates: Map<string, Set<string>>): void {
  const byModel = Map.groupBy(unitTests, (test) => testedBy(test)[0] ?? "");
  for (const [model, tests] of byModel) {
    const gatesOfModel = [...(gates.get(model) ?? [])];
    for (const test of tests) {
      gates.set(test.uniqueId, new Set(gatesOfModel));
      gates.get(model)?.add(test.uniqueId);
    }
  }
}
