import type { ManifestNode } from "#core/dbt/manifest.ts";
import type { PlanVertex } from "#core/run/planning/plan.ts";

/** What may happen when a vertex is built a second time: see docs/adr/0028-what-may-be-built-twice.md. */
export type RepeatSafety = Pick<PlanVertex, "safeToRepeat" | "afterFailure" | "orphan">;

/** What of a run decides it, beside the node. */
export interface RepeatContext {
  readonly adapterType: string | null;
  /** The run builds incremental models anew (`--full-refresh`), as do its fallbacks. */
  readonly fullRefresh: boolean;
}

/**
 * Materializations of a model that leave the same rows when they are built twice, also after a first time that was cut
 * off. Of the other types: a seed is emptied first, with `full_refresh: false` too; a snapshot compares with what stands
 * in its table and adds only what differs from it; a test and a function leave nothing, or replace what they leave.
 */
const REPEATABLE: ReadonlySet<string> = new Set([
  "view",
  "table",
  "ephemeral",
  "materialized_view",
  "materializedview",
  "dynamic_table",
  "streaming_table",
  "external",
  "dictionary",
  "distributed_table",
]);

/** Strategies of an incremental model that find a row again by its key. */
const KEYED: ReadonlySet<string> = new Set(["merge", "delete+insert", "delete_insert"]);

/**
 * Adapters that use the key where a model names no strategy. The others append then, key or not (spark, trino, glue,
 * dremio), or overwrite partitions (athena).
 */
const KEYED_BY_DEFAULT: ReadonlySet<string> = new Set([
  "postgres",
  "redshift",
  "snowflake",
  "bigquery",
  "databricks",
  "duckdb",
  "sqlite",
  "clickhouse",
  "sqlserver",
  "fabric",
]);

/** Strategies that write whole partitions anew: a second build writes the same ones, once the first is at rest. */
const OVERWRITING: ReadonlySet<string> = new Set(["insert_overwrite", "replace_where"]);

/** Adapters whose microbatch strategy empties a batch, or merges by a key, before it fills it. */
const BATCHES_ARE_REPLACED: ReadonlySet<string> = new Set([
  "postgres",
  "redshift",
  "snowflake",
  "bigquery",
  "spark",
  "databricks",
  "duckdb",
  "trino",
  "athena",
  "clickhouse",
  "sqlserver",
  "fabric",
]);

/** Those of them whose batches are replaced whole by one statement: the later of two writes the same rows. */
const ATOMIC_BATCHES: ReadonlySet<string> = new Set(["bigquery", "spark", "databricks"]);

/** Adapters that build a model in one transaction, which dbt commits last of all but `transaction: false` post-hooks. */
const ONE_TRANSACTION: ReadonlySet<string> = new Set(["postgres", "duckdb", "sqlite"]);

/** Adapters whose main statement is all or nothing, and committed at once: what follows it may fail over its rows. */
const ATOMIC_STATEMENT: ReadonlySet<string> = new Set(["snowflake", "bigquery"]);

/**
 * Adapters on which a query that outlives its dbt changes nothing: its changes wait for a commit that only dbt sends
 * (dbt-snowflake sends `begin`, the statement and `commit` one by one), or it dies with dbt's own process.
 */
const ORPHANS_COMMIT_NOTHING: ReadonlySet<string> = new Set(["postgres", "snowflake", "duckdb", "sqlite"]);

/** Whether a vertex that failed, or whose build was killed, may be built again (behaviour D12, G28, G31). */
export function repeatSafety(node: ManifestNode, context: RepeatContext): RepeatSafety {
  const given = givenSafety(node.stepwatchMeta);
  if (given === true) return { safeToRepeat: true, afterFailure: "repeat", orphan: "harmless" };
  if (given === false) return { safeToRepeat: false, afterFailure: "unknown", orphan: "harmless" };
  return {
    safeToRepeat: isSafe(node, context),
    afterFailure: afterFailure(node, context),
    orphan: orphan(node, context),
  };
}

/** `meta.stepwatch.safeToRepeat`, a person's word, which wins; null where there is none. */
function givenSafety(meta: unknown): boolean | null {
  const word = (meta as { safeToRepeat?: unknown } | null | undefined)?.safeToRepeat;
  return typeof word === "boolean" ? word : null;
}

/**
 * Not safe after a kill: an incremental model that appends, that has no `unique_key` to find its rows again, or that
 * overwrites partitions, which some warehouses do outside a transaction; and any materialization of the project's own.
 */
function isSafe(node: ManifestNode, context: RepeatContext): boolean {
  if (node.resourceType !== "model") return true;
  if (node.materialized !== "incremental") return REPEATABLE.has(node.materialized);
  if (isReplaced(node, context)) return true;
  const adapter = context.adapterType ?? "";
  if (node.incrementalStrategy === "microbatch") return BATCHES_ARE_REPLACED.has(adapter);
  const isKeyed =
    node.incrementalStrategy === null ? KEYED_BY_DEFAULT.has(adapter) : KEYED.has(node.incrementalStrategy);
  return isKeyed && node.hasUniqueKey;
}

/** A full refresh replaces the table. A model's own `full_refresh` wins over the run's option, as in dbt. */
const isReplaced = (node: ManifestNode, context: RepeatContext): boolean => node.fullRefresh ?? context.fullRefresh;

/**
 * What a failed build of it has left. dbt names the statement that failed in no message: whether it was the main one or
 * something after the commit follows from what there is to run after the commit.
 */
function afterFailure(node: ManifestNode, context: RepeatContext): PlanVertex["afterFailure"] {
  if (isSafe(node, context)) return "repeat";
  if (node.materialized !== "incremental") return "unknown";
  if (OVERWRITING.has(node.incrementalStrategy ?? "")) return "repeat";
  const adapter = context.adapterType ?? "";
  if (ONE_TRANSACTION.has(adapter)) return node.postHooks.some(runsAfterCommit) ? "unknown" : "rolled_back";
  const nothingFollows = node.postHooks.length === 0 && !node.hasGrants && !node.persistsDocs;
  return ATOMIC_STATEMENT.has(adapter) && nothingFollows ? "rolled_back" : "unknown";
}

/**
 * Whether a node's table may stand there anew although its build failed (behaviour B12): something follows after the
 * table was replaced for good, and dbt's message does not tell which of them failed.
 */
export function mayFailAfterReplacing(node: ManifestNode, adapterType: string | null): boolean {
  if (!["model", "seed", "snapshot"].includes(node.resourceType)) return false;
  if (ONE_TRANSACTION.has(adapterType ?? "")) return node.postHooks.some(runsAfterCommit);
  return node.postHooks.length > 0 || node.hasGrants || node.persistsDocs;
}

/** dbt reads `after_commit(…)` only when it runs the hook; a hook inside the transaction may end it by its own words. */
const runsAfterCommit = (hook: { readonly sql: string; readonly transaction: boolean }): boolean =>
  !hook.transaction || /\bafter_commit\b|\bcommit\b|"transaction"\s*:\s*false/i.test(hook.sql);

/**
 * Whether a second build of it may double rows, by all that dbt's own lines say: its words are written at once even
 * where others are held to the end, since a kill would take them away and it would be built again (behaviour E2, G28).
 */
export const mayDouble = (vertex: { readonly resourceType: string; readonly materialized: string }): boolean =>
  vertex.resourceType === "snapshot" || (vertex.resourceType === "model" && !REPEATABLE.has(vertex.materialized));

/** What a query that a killed dbt left running may still do to the rows of the next build (behaviour G31). */
function orphan(node: ManifestNode, context: RepeatContext): PlanVertex["orphan"] {
  const adapter = context.adapterType ?? "";
  const merges =
    node.resourceType === "snapshot" ||
    (node.materialized === "incremental" && node.resourceType === "model" && !isReplaced(node, context));
  if (!merges) return "harmless";
  if (node.resourceType === "snapshot" && adapter === "postgres") return "must_be_gone";
  if (node.incrementalStrategy === "microbatch" && ATOMIC_BATCHES.has(adapter)) return "harmless";
  return ORPHANS_COMMIT_NOTHING.has(adapter) ? "harmless" : "unknowable";
}
