import type { BuildLog } from "#core/dbt/build-log.ts";
import { NOT_REPORTED } from "#core/dbt/close-log.ts";
import type { RunResults } from "#core/dbt/run-results.ts";
import type { VertexClass } from "#core/dbt/status.ts";
import type { ToldEnd } from "#core/dbt/told-end.ts";
import type { VertexReading } from "#core/dbt/vertex-reading.ts";
import { loneBuild } from "#core/run/judging/lone-build.ts";
import { viewOfRow } from "#core/run/judging/planless.ts";
import { blockerSentence, silenceOf } from "#core/run/judging/silence.ts";
import { type VertexView, viewVertices } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { NOTHING_TO_BUILD, shownClass } from "#core/run/reporting/report.ts";

/** How a recorded build ended a vertex: what dbt said of it, in the class that a live run would see it in. */
export interface RecordedOutcome extends Omit<VertexReading, "class"> {
  class: VertexClass;
  /** False for a vertex that the plan does not have; true when there is no plan. */
  planned: boolean;
}

/** What is known of a recorded build. */
export interface Recording {
  /** Closed by `closeBuildLog`. */
  readonly log: BuildLog;
  readonly end: ToldEnd;
  /** What was to be built. Without it only what dbt reported is told. */
  readonly plan?: Plan;
  /** Of the same invocation; names vertices that the log never mentions. */
  readonly runResults?: RunResults | null;
}

/**
 * Every planned vertex in one class, and what dbt reported beside the plan, judged as a live run is: by `viewVertices`
 * over the rows that the build would have written. Plan order, then the rest.
 */
export function recordedOutcomes({ log, end, plan, runResults }: Recording): RecordedOutcome[] {
  const { rows, tasks } = loneBuild(log, end);
  const views = plan ? viewVertices(plan, rows, tasks) : new Map<string, VertexView>();
  const planned = (plan?.vertices ?? []).map(({ uniqueId }) => outcomeOf(log, views.get(uniqueId)!, views, true));
  const others = rows
    .filter((row) => !views.has(row.uniqueId))
    .map((row) => outcomeOf(log, viewOfRow(row, tasks), views, plan === undefined))
    .filter((outcome) => plan !== undefined || !end.inOrder || !isOnlyMentioned(outcome));
  return [...planned, ...others, ...(plan === undefined ? onlyInFile(log, runResults ?? null) : [])];
}

function outcomeOf(
  log: BuildLog,
  view: VertexView,
  views: ReadonlyMap<string, VertexView>,
  planned: boolean,
): RecordedOutcome {
  const { uniqueId, resourceType } = view.plan;
  const reading = log.vertices.get(uniqueId) ?? silent(uniqueId, resourceType);
  const nothingToBuild = view.class === "good" && view.row === null;
  const isNamedLate = log.skippedWithoutId.some((skip) => skip.uniqueId === uniqueId);
  return {
    ...reading,
    resourceType: reading.resourceType || resourceType,
    status: nothingToBuild ? NOTHING_TO_BUILD : reading.status,
    // The one task of the recording is over.
    class: shownClass(view) as VertexClass,
    message: reading.message ?? (isNamedLate ? blockerSentence(view, views) : silenceOf(view, views)),
    planned,
  };
}

/** dbt ended in order, never began it and said no last word of it: it was not selected (compiled for a test's sake). */
const isOnlyMentioned = ({ status, evidence }: RecordedOutcome): boolean => status === NOT_REPORTED && !evidence;

/** Vertices that run_results.json alone names: dbt meant to build them and never began. Not built, whatever it says. */
function onlyInFile(log: BuildLog, file: RunResults | null): RecordedOutcome[] {
  if (file === null || file.invocationId === null || file.invocationId !== log.invocationId) return [];
  return file.results
    .filter(({ uniqueId }) => !log.vertices.has(uniqueId) && isVertexId(uniqueId))
    .map(({ uniqueId, message }) => ({
      ...silent(uniqueId, uniqueId.slice(0, uniqueId.indexOf("."))),
      class: "not_built" as const,
      message,
      planned: true,
    }));
}

/** Hooks and macros are no vertices; of `dbt run-operation` dbt 2 writes the macro's bare name. */
const isVertexId = (id: string): boolean => /^(?!operation\.|macro\.)\w+\./.test(id);

/** A reading of a vertex of which dbt said nothing. */
function silent(uniqueId: string, resourceType: string): VertexReading {
  return {
    uniqueId,
    resourceType,
    materialized: "",
    status: NOT_REPORTED,
    class: null,
    evidence: false,
    startedAtMs: null,
    endedAtMs: null,
    message: null,
    failures: null,
    executionSeconds: null,
    rowsAffected: null,
    relationName: null,
    checksum: null,
    compiledPath: null,
    thread: null,
    batches: [],
  };
}
