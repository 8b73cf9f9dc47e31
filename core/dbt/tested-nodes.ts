import type { Manifest, ManifestNode } from "./manifest.ts";
import { NODE_TYPES, TEST_TYPES } from "./resource-types.ts";

/** A unit test tests its first parent; what else it names are its inputs, which it does not read. */
export function testedBy(test: ManifestNode): string[] {
  return test.resourceType === "unit_test" ? test.dependsOn.slice(0, 1) : test.dependsOn;
}

/** Nodes (never sources) that a test is about. Empty for a test of sources alone, and for what is no test. */
export function nodesOf(manifest: Manifest, testId: string): string[] {
  const test = manifest.nodes.get(testId);
  if (test === undefined || !TEST_TYPES.has(test.resourceType)) return [];
  return testedBy(test).filter((id) => NODE_TYPES.has(manifest.nodes.get(id)?.resourceType ?? ""));
}
