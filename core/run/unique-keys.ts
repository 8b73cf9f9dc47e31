import { z } from "zod";
import type { Manifest, ManifestNode } from "#core/dbt/manifest.ts";

const nodeSchema = z.object({ config: z.object({ unique_key: z.unknown() }) });
const fileSchema = z.object({ nodes: z.record(z.string(), z.unknown()) });

/** An incremental model of which only its `unique_key` says whether a second build finds its rows again. */
export const needsUniqueKey = (node: ManifestNode): boolean =>
  node.resourceType === "model" && node.materialized === "incremental" && node.incrementalStrategy !== "microbatch";

/**
 * Models of a manifest that have a `unique_key`. The text is read only where a model needs it: most projects of views
 * and tables are spared a second look at a file of many megabytes.
 */
export function readUniqueKeys(manifest: Manifest, text: string): ReadonlySet<string> {
  const asking = [...manifest.nodes.values()].filter(needsUniqueKey);
  if (asking.length === 0) return new Set();
  const { nodes } = fileSchema.parse(JSON.parse(text));
  return new Set(asking.map((node) => node.uniqueId).filter((id) => hasKey(nodes[id])));
}

function hasKey(entry: unknown): boolean {
  const key = nodeSchema.safeParse(entry).data?.config.unique_key;
  return (typeof key === "string" && key !== "") || (Array.isArray(key) && key.length > 0);
}
