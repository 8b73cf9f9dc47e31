import type { Manifest, ManifestNode } from "./manifest.ts";

/** Whether a resource type is a test of either kind. */
export function isTestType(resourceType: string): boolean {
  return resourceType === "test" || resourceType === "unit_test";
}

/** A unit test tests its first parent; what else it names are its inputs, which it does not read. */
export function testedBy(test: ManifestNode): string[] {
  return test.resourceType === "unit_test" ? test.dependsOn.slice(0, 1) : test.dependsOn;
}

/** Nodes (never sources) that a test is about. Empty for a test of sources alone, and for what is no test. */
export function nodesOf(manifest: Manifest, testId: string): string[] {
  const test = manifest.nodes.get(testId);
  if (test === undefined || !isTestType(test.resourceType)) return [];
  return testedBy(test).filter((id) =>
    ["model", "seed", "snapshot"].includes(manifest.nodes.get(id)?.resourceType ?? ""),
  );
}
