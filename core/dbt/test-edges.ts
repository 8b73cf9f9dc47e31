import { Descendants } from "./descendants.ts";
import type { ManifestNode } from "./manifest.ts";
import { GATED_BY_TESTS, TEST_TYPES } from "./resource-types.ts";
import { testedBy } from "./tested-nodes.ts";

/**
 * Adds to `gates` each test that everything under what it tests must wait for. Tests of the same nodes gate the same, and
 * are looked at once: to walk below each test's nodes anew took 3,000 nodes with 20,000 tests eight seconds.
 */
export function addTestEdges(
  tests: readonly ManifestNode[],
  nodes: readonly ManifestNode[],
  parents: ReadonlyMap<string, readonly string[]>,
  gates: ReadonlyMap<string, Set<string>>,
): void {
  const untested = nodes.filter((node) => !TEST_TYPES.has(node.resourceType));
  const below = new Descendants(new Map(untested.map(({ uniqueId }) => [uniqueId, parents.get(uniqueId) ?? []])));
  const gated = new Set(nodes.filter((node) => GATED_BY_TESTS.has(node.resourceType)).map((node) => node.uniqueId));
  const testsOf = Map.groupBy(tests, ({ uniqueId }) => [...(parents.get(uniqueId) ?? [])].sort().join("\n"));
  for (const alike of testsOf.values()) {
    const tested = parents.get(alike[0]!.uniqueId) ?? [];
    for (const id of nearestBelow(tested, below, parents, gated))
      for (const { uniqueId } of alike) gates.get(id)?.add(uniqueId);
  }
}

/**
 * The first vertices that tests can gate below all of these, on each way down: what lies below one of them waits with it.
 */
function nearestBelow(
  tested: readonly string[],
  below: Descendants,
  parents: ReadonlyMap<string, readonly string[]>,
  gated: ReadonlySet<string>,
): string[] {
  const [first] = tested;
  if (first === undefined) return [];
  const isCommon = (id: string) => tested.every((above) => below.isBelow(id, above));
  const found: string[] = [];
  const walked = new Set<string>(below.childrenOf(first));
  // A set that grows while it is walked visits what was added.
  for (const id of walked) {
    if (gated.has(id) && isCommon(id)) found.push(id);
    else for (const child of below.childrenOf(id)) walked.add(child);
  }
  return found.filter((id) => !parents.get(id)?.some((parent) => gated.has(parent) && isCommon(parent)));
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
