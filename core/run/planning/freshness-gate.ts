import { z } from "zod";
import type { Policy } from "#core/contracts/settings.ts";
import { InputError } from "#core/errors.ts";

/** One source of dbt's sources.json. */
const resultSchema = z.object({
  unique_id: z.string(),
  status: z.string(),
  max_loaded_at: z.string().nullish().catch(null),
  error: z.unknown().optional(),
});
const sourcesSchema = z.object({ results: z.array(resultSchema) });

/** What a project's own program says of its sources (behaviour H2). */
export const decisionSchema = z.strictObject({
  stale: z.array(z.string().min(1)).default([]),
  fresh: z.array(z.string().min(1)).default([]),
});
export type FreshnessDecision = z.infer<typeof decisionSchema>;

/** What is known of the sources when a run is planned. */
export interface SourcesSeen {
  /** dbt's sources.json, read; null where dbt was not asked. */
  readonly file: unknown;
  /** What the project's program has said; null without one. */
  readonly decision: FreshnessDecision | null;
}

/** Sources that are too old, each with the reason; and what a person should know beside. */
export interface StaleSources {
  readonly stale: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/**
 * Decides about each source: dbt's word, over it the program's, over it what settings or run input name. A source whose
 * freshness could not be taken is not stale: to leave out what reads it would be green and old; the run warns of it.
 * @param sourceIds of the manifest
 * @throws {InputError} for a name that no source has: what reads the one that was meant would be built; for a file of dbt's
 * that can not be read
 */
export function staleSources(
  freshness: Policy["freshness"],
  { file, decision }: SourcesSeen,
  sourceIds: readonly string[],
): StaleSources {
  const stale = new Map<string, string>();
  const warnings: string[] = [];
  for (const { unique_id: id, status, max_loaded_at: newest, error } of resultsOf(file)) {
    if (status === "error" || (status === "warn" && freshness.gate === "warn"))
      stale.set(id, `dbt says ${status}${newest ? `, newest row ${newest}` : ""}`);
    if (status === "runtime error")
      warnings.push(
        `The freshness of ${id} could not be taken, so that what reads it is built: ${String(error ?? status).split("\n")[0]}`,
      );
  }
  const said = [
    ["freshness.command", decision ?? { stale: [], fresh: [] }],
    ["policy.freshness", freshness],
  ] as const;
  for (const [by, { stale: old, fresh }] of said) {
    for (const id of idsOf(old, sourceIds, by)) stale.set(id, `${by} says so`);
    for (const id of idsOf(fresh, sourceIds, by)) stale.delete(id);
  }
  return { stale, warnings };
}

/** @throws {InputError} for a file of another shape: to take it for empty would let everything through */
function resultsOf(file: unknown): z.infer<typeof sourcesSchema>["results"] {
  if (file === null) return [];
  const parsed = sourcesSchema.safeParse(file);
  if (parsed.success) return parsed.data.results;
  throw new InputError("The freshness gate can not be told", ["dbt's sources.json is none that stepwatch can read"]);
}

/** Whole ids, or `source.table` as dbt's own selection has it. */
function idsOf(names: readonly string[], sourceIds: readonly string[], by: string): string[] {
  const wrong: string[] = [];
  const ids = names.flatMap((name) => {
    const found = sourceIds.filter((id) => id === name || id.split(".").slice(2).join(".") === name);
    if (found.length === 0) wrong.push(`${by}: the dbt project has no source ${name}`);
    return found;
  });
  if (wrong.length > 0) throw new InputError("The freshness gate can not be told", wrong);
  return ids;
}
