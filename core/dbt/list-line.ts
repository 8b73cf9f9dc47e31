import { fieldsOf } from "./line-fields.ts";
import type { Manifest } from "./manifest.ts";

/** What `dbt ls` is asked for of each vertex; a line of its list has these keys and no other. */
export const LIST_KEYS = ["unique_id", "fqn", "resource_type", "original_file_path"] as const;

/** One entry of dbt's list. */
export interface ListedVertex {
  uniqueId: string;
  resourceType: string;
  originalFilePath: string;
  fqn: string[];
}

/**
 * A line of `dbt ls` as an entry of its list; null for anything else. While dbt parses, macros of the project print to
 * the same stdout (dbt 2 always, dbt 1 where it does not take the parse of the last time), JSON with a `unique_id` among
 * it: an entry has all the keys that were asked for.
 */
export function readListLine(line: string): ListedVertex | null {
  if (!line.startsWith("{")) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return null;
  }
  const entry = fieldsOf(parsed);
  if (entry === null || Object.keys(entry).sort().join() !== LIST_KEYS.toSorted().join()) return null;
  const { unique_id: uniqueId, resource_type: resourceType, original_file_path: originalFilePath, fqn } = entry;
  const isWhole =
    typeof uniqueId === "string" &&
    typeof resourceType === "string" &&
    typeof originalFilePath === "string" &&
    Array.isArray(fqn) &&
    fqn.every((part) => typeof part === "string");
  return isWhole ? { uniqueId, resourceType, originalFilePath, fqn: fqn as string[] } : null;
}

/**
 * Whether an entry is what the manifest of the same dbt says of that vertex. One that the manifest does not have stays:
 * it is told as a warning of the plan, and is never planned. Files are not compared: dbt 2 lists a generic test by the
 * file that it makes of it below target, and a package's model by its place in the project, where its manifest names the
 * YAML file and the place in the package.
 */
export function agreesWithManifest(entry: ListedVertex, manifest: Manifest): boolean {
  const node = manifest.nodes.get(entry.uniqueId);
  if (node === undefined) return true;
  return node.resourceType === entry.resourceType && node.fqn.join("\0") === entry.fqn.join("\0");
}
