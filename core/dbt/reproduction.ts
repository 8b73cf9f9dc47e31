import { type BuildOptions, recoveryOptions, showArgv, spokenArgv } from "./argv.ts";
import { isDbt1 } from "./dbt-version.ts";
import { exactSelection, type SelectableVertex } from "./exact-selection.ts";
import { TEST_TYPES } from "./resource-types.ts";

/** What a person needs to see for himself what stepwatch's build of one vertex saw. */
export interface ReproductionInput {
  readonly vertex: SelectableVertex;
  readonly dbtVersion: string;
  /** Those of the run. */
  readonly options: BuildOptions;
  /** Of a microbatch model: the window that its fallback has. */
  readonly eventWindow?: { readonly start: string; readonly end: string } | null;
}

/**
 * The arguments of dbt that build one vertex as its fallback does: the same options, that vertex and no other. A fallback
 * of dbt 1 selects by a file that only its own container has; the four-part criterion is as exact, and takes no file.
 */
export function buildsAlone({ vertex, dbtVersion, options, eventWindow }: ReproductionInput): string[] {
  const selection = selectionOf(vertex, dbtVersion, recoveryOptions(options));
  const { failFast: _, threads: __, ...kept } = selection.options;
  const window = eventWindow ? { eventTimeStart: eventWindow.start, eventTimeEnd: eventWindow.end } : {};
  return spokenArgv(TEST_TYPES.has(vertex.resourceType) ? "test" : "build", { ...kept, ...window }, selection.args);
}

/** Rows that `dbt show` is asked for. */
const SHOWN_ROWS = 5;

/** The arguments of dbt that show what a data test found: from where it keeps the rows, or by its query. */
export function showsFailures(
  { vertex, dbtVersion, options }: ReproductionInput,
  relation: string | undefined,
): string[] {
  if (relation !== undefined) return showArgv(options, ["--inline", `select * from ${relation}`], SHOWN_ROWS);
  const [select = "", criterion = ""] = selectionOf(vertex, dbtVersion, options).args;
  return showArgv(options, [select, criterion], SHOWN_ROWS);
}

const selectionOf = (vertex: SelectableVertex, dbtVersion: string, options: BuildOptions) =>
  exactSelection({ dbtVersion: isDbt1(dbtVersion) ? null : dbtVersion, vertices: [vertex], stateDir: "", options });
