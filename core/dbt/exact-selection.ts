import type { BuildOptions } from "./argv.ts";
import { dbtVersionOf } from "./dbt-version.ts";

/** What the address of a vertex is made of; a plan's vertex and a manifest's node have all of it. */
export interface SelectableVertex {
  uniqueId: string;
  resourceType: string;
  packageName: string;
  originalFilePath: string;
  fqn: readonly string[];
}

export interface ExactSelectionInput {
  /** What dbt says it is, such as `1.11.16` or `2.0.0-preview.196`; null when nobody knows yet. */
  dbtVersion: string | null;
  /** The vertices to run: these and no other. */
  vertices: readonly SelectableVertex[];
  /** Folder for the synthetic state, absolute, own to this dbt process. */
  stateDir: string;
  options: BuildOptions;
}

export interface ExactSelection {
  way: "state" | "bare_ids" | "four_part";
  /** Stands for select, exclude, selector and indirect selection: the third argument of `buildArgv`. */
  args: string[];
  /** Files to write before dbt starts; paths are inside `stateDir`. */
  files: { path: string; content: string }[];
  /** The options to pass on: what `args` replaces is taken out. */
  options: BuildOptions;
}

/**
 * Environment variables that would narrow or widen an exact selection (dbt reads most options from `DBT_…`, and there
 * is no flag that takes some of them back): a build of an exact set runs without them.
 */
export const SELECTION_VARIABLES: readonly string[] = [
  "DBT_RESOURCE_TYPES",
  "DBT_EXCLUDE_RESOURCE_TYPES",
  "DBT_INDIRECT_SELECTION",
  "DBT_FAIL_FAST",
  "DBT_FAVOR_STATE",
  "DBT_FAVOR_STATE_MODE",
  "DBT_STATE",
  "DBT_ARTIFACT_STATE_PATH",
];

/**
 * Selects exactly these vertices, with the cheapest exact way of the version (row G1). dbt 1 has no method for an id,
 * and a name, an fqn or a file each match more than one vertex; but `result:error` matches what a run_results.json
 * lists as errors, by id, so that a file of our own is an exact list. dbt 2 takes bare ids. Where the version is not
 * known, the union of four-part intersections works in all, at a cost that grows with the square.
 */
export function exactSelection(input: ExactSelectionInput): ExactSelection {
  const major = dbtVersionOf(input.dbtVersion ?? "")?.major ?? null;
  if (major === null) return fourPart(input);
  return major >= 2 ? bareIds(input) : byState(input);
}

const ONLY_THESE = ["--indirect-selection", "empty"] as const;

function byState(input: ExactSelectionInput): ExactSelection {
  const options = withoutSelection(input.options);
  const { state: _, ...others } = options;
  // Also without `defer`: the environment may say that one (DBT_DEFER). dbt reads it for nothing else.
  const deferState = input.options.deferState ?? input.options.state;
  return {
    way: "state",
    args: ["--select", "result:error", "--state", input.stateDir, ...ONLY_THESE],
    files: [{ path: `${input.stateDir}/run_results.json`, content: syntheticResults(input.vertices) }],
    options: { ...others, ...(deferState === undefined ? {} : { deferState }) },
  };
}

function bareIds(input: ExactSelectionInput): ExactSelection {
  const ids = input.vertices.map((vertex) => vertex.uniqueId);
  return {
    way: "bare_ids",
    args: ["--select", ...ids, ...ONLY_THESE],
    files: [],
    options: withoutSelection(input.options),
  };
}

function fourPart(input: ExactSelectionInput): ExactSelection {
  const criteria = input.vertices.map(fourPartCriterion);
  const options = withoutSelection(input.options);
  return { way: "four_part", args: ["--select", ...criteria, ...ONLY_THESE], files: [], options };
}

/**
 * `fqn` alone is a prefix match (it takes a folder of the same name and the unit tests of a model), hence the other
 * three. The copies of a unit test for several versions of a model share one fqn: both are selected.
 */
function fourPartCriterion(vertex: SelectableVertex): string {
  const parts = [
    `fqn:${vertex.fqn.join(".")}`,
    `package:${vertex.packageName}`,
    `resource_type:${vertex.resourceType}`,
  ];
  const file = vertex.originalFilePath.split("/").at(-1) ?? "";
  return (/\.(sql|py|csv)$/.test(file) ? [...parts, `file:${file}`] : parts).join(",");
}

/** Kept: everything but what selects. In 2.0 `--state` serves defer alone. */
function withoutSelection(options: BuildOptions): BuildOptions {
  const { select, exclude, selector, indirectSelection, resourceTypes, excludeResourceTypes, ...kept } = options;
  if (kept.defer === true) return kept;
  const { state, deferState, ...others } = kept;
  return others;
}

/** As much of run_results.json (version 6) as dbt-core 1.8 to 1.12 insist on when they read it. */
function syntheticResults(vertices: readonly SelectableVertex[]): string {
  return JSON.stringify({
    metadata: { dbt_schema_version: "https://schemas.getdbt.com/dbt/run-results/v6.json" },
    results: vertices.map((vertex) => ({
      status: "error",
      timing: [],
      thread_id: "",
      execution_time: 0,
      adapter_response: {},
      message: null,
      failures: null,
      unique_id: vertex.uniqueId,
      compiled: null,
      compiled_code: null,
      relation_name: null,
    })),
    elapsed_time: 0,
    args: {},
  });
}

export interface ReportedComparison {
  /** Claimed and never reported by dbt. */
  missing: string[];
  /** Reported and never claimed: somebody else's vertex was built. */
  unexpected: string[];
}

/** Compares the ids that a build was told to run with those it reported, hooks left out. */
export function compareReported(claimed: readonly string[], reported: Iterable<string>): ReportedComparison {
  const told = new Set(claimed);
  const seen = new Set([...reported].filter((id) => !id.startsWith("operation.")));
  return {
    missing: [...told].filter((id) => !seen.has(id)).sort(),
    unexpected: [...seen].filter((id) => !told.has(id)).sort(),
  };
}
