/** Nodes: what has a table or view of its own, hence an execution of its own in a run. */
export const NODE_TYPES: ReadonlySet<string> = new Set(["model", "seed", "snapshot"]);

/** Tests of either kind, as dbt's options name them. */
export const testTypes = ["test", "unit_test"] as const;

/** Tests of either kind. */
export const TEST_TYPES: ReadonlySet<string> = new Set(testTypes);

/** What `dbt build` selects and runs nothing for; some versions say `no-op` of it, others nothing. */
export const NO_OPS: ReadonlySet<string> = new Set(["exposure", "saved_query"]);

/**
 * Types of `dbt build`, hence of a plan; each version leaves some of them without an event. `dbt ls` also lists sources,
 * metrics, analyses and semantic models.
 */
export const plannedTypes = [
  "model",
  "seed",
  "snapshot",
  "test",
  "unit_test",
  "function",
  "exposure",
  "saved_query",
] as const;

/** {@link plannedTypes}, to be asked. */
export const PLANNED_TYPES: ReadonlySet<string> = new Set(plannedTypes);

/** Types of `manifest.nodes` that dbt gates by tests; exposures, metrics and the like it does not. */
export const GATED_BY_TESTS: ReadonlySet<string> = new Set([...NODE_TYPES, "analysis", "operation"]);

/** Types that dbt lists and passes over where their file holds no SQL; a seed is never empty. */
export const HOLLOW_TYPES: ReadonlySet<string> = new Set(["model", "snapshot", "test"]);

/** What {@link isBuilt} asks of a vertex; a line of dbt's log does not tell whether its file is hollow. */
interface Buildable {
  readonly resourceType: string;
  readonly materialized: string;
  readonly hollow?: boolean;
}

/** Whether dbt runs something for such a vertex: not for an ephemeral model, a file without SQL, an exposure. */
export function isBuilt({ resourceType, materialized, hollow }: Buildable): boolean {
  if (!PLANNED_TYPES.has(resourceType) || NO_OPS.has(resourceType)) return false;
  return materialized !== "ephemeral" && hollow !== true;
}
