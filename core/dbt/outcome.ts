import type { EndByLog } from "./build-end.ts";
import type { BuildLog } from "./build-log.ts";
import { NOT_REPORTED } from "./close-log.ts";
import { silentEphemerals } from "./ephemeral-doubt.ts";
import type { PlannedVertex } from "./planned-vertex.ts";
import type { RunResults } from "./run-results.ts";
import type { VertexClass } from "./status.ts";
import type { VertexReading } from "./vertex-reading.ts";

/** What one build alone says of a vertex when it is over. */
export interface VertexOutcome extends Omit<VertexReading, "class"> {
  class: VertexClass;
  /** False for a vertex that the plan does not have; true when there is no plan. */
  planned: boolean;
}

export interface OutcomeInput {
  /** What was to be built. Without it only what dbt reported is told. */
  plan?: readonly PlannedVertex[];
  /** Closed by {@link closeBuildLog}. */
  log: BuildLog;
  end: EndByLog;
  /** Of the same invocation; names vertices that the log never mentions. */
  runResults?: RunResults | null;
}

export const NOTHING_TO_BUILD = "nothing to build";

/** How the message of a planned vertex begins that a build in order left out for no reason. */
export const NOT_SELECTED = "Not selected by dbt.";

const EPHEMERAL_FAILED =
  "dbt skipped what is below it: it could not be compiled. dbt prints no more at its default level.";
const EPHEMERAL_IN_DOUBT =
  "dbt skipped what is below it, since it or an ephemeral model beside it could not be compiled; dbt does not name it.";

/** Every planned vertex in one class, and what dbt reported beside the plan. Plan order, then the rest. */
export function outcomes(input: OutcomeInput): VertexOutcome[] {
  const { plan, log, end } = input;
  const planned = new Map(plan?.map((vertex) => [vertex.uniqueId, vertex]));
  const known = new Map<string, VertexOutcome>();
  for (const vertex of log.vertices.values()) {
    if (vertex.class === null || (plan === undefined && end.inOrder && isOnlyMentioned(vertex))) continue;
    const isPlanned = plan === undefined || planned.has(vertex.uniqueId);
    known.set(vertex.uniqueId, { ...vertex, class: vertex.class, planned: isPlanned });
  }
  for (const { vertex, failed } of silentEphemerals(log, planned)) {
    const why = failed ? EPHEMERAL_FAILED : EPHEMERAL_IN_DOUBT;
    known.set(vertex.uniqueId, told(vertex, NOT_REPORTED, failed ? "failed" : "not_built", why));
  }
  for (const id of planned.keys()) unreported(id, planned, known, input);
  const inPlanOrder = [...planned.keys()].flatMap((id) => known.get(id) ?? []);
  const others = [...known.values()].filter((outcome) => !planned.has(outcome.uniqueId));
  return [...inPlanOrder, ...others, ...(plan === undefined ? onlyInFile(input, known) : [])];
}

/** dbt ended in order, never began it and said no last word of it: it was not selected (compiled for a test's sake). */
function isOnlyMentioned(vertex: VertexReading): boolean {
  return vertex.status === NOT_REPORTED && !vertex.evidence;
}

/** Fills `known` for a planned vertex that dbt never ended, its gate parents first. */
function unreported(
  id: string,
  planned: ReadonlyMap<string, PlannedVertex>,
  known: Map<string, VertexOutcome>,
  input: OutcomeInput,
): void {
  const stack = [id];
  const visiting = new Set<string>();
  for (let at = stack.at(-1); at !== undefined; at = stack.at(-1)) {
    const vertex = planned.get(at);
    const open = vertex?.gateParents.filter(
      (parent) => planned.has(parent) && !known.has(parent) && !visiting.has(parent),
    );
    if (vertex !== undefined && !known.has(at) && open !== undefined && open.length > 0 && !visiting.has(at)) {
      visiting.add(at);
      stack.push(...open);
      continue;
    }
    stack.pop();
    if (vertex !== undefined && !known.has(at)) known.set(at, silent(vertex, known, input));
  }
}

/** The outcome of a planned vertex of which dbt said nothing: never green unless there was nothing to build (F9, F10). */
function silent(vertex: PlannedVertex, known: ReadonlyMap<string, VertexOutcome>, input: OutcomeInput): VertexOutcome {
  const { log, end } = input;
  const parent = vertex.gateParents.find((id) => known.has(id) && known.get(id)?.class !== "good");
  const missing = vertex.gateParents.find((id) => !known.has(id) && input.plan?.some((other) => other.uniqueId === id));
  const blocker = parent ?? missing;
  if (blocker !== undefined) return told(vertex, NOT_REPORTED, "not_built", `Its gate parent ${blocker} is not good.`);
  if (!end.inOrder) return told(vertex, NOT_REPORTED, "not_built", "The build ended before dbt reached it.");
  if (log.failFast || log.cancelled) return told(vertex, NOT_REPORTED, "not_built", "dbt stopped early (fail-fast).");
  if (isStoppedByHook(log)) return told(vertex, NOT_REPORTED, "not_built", "A hook failed and dbt built nothing.");
  if (!vertex.builds && !log.emptySelection) return told(vertex, NOTHING_TO_BUILD, "good", null);
  const why = log.emptySelection ? "The selection found nothing." : "dbt did not select it: check the selection.";
  return told(vertex, NOT_REPORTED, "failed", `${NOT_SELECTED} ${why}`);
}

function isStoppedByHook(log: BuildLog): boolean {
  const built = [...log.vertices.values()].some((vertex) => vertex.evidence);
  return !built && log.hookFailures.some((hook) => hook.phase !== "end");
}

function told(vertex: PlannedVertex, status: string, vertexClass: VertexClass, message: string | null): VertexOutcome {
  return { ...blank(vertex.uniqueId, vertex.resourceType), status, class: vertexClass, message, planned: true };
}

/** Vertices that run_results.json alone names: dbt meant to build them and never began. Not built, whatever it says. */
function onlyInFile(input: OutcomeInput, known: ReadonlyMap<string, VertexOutcome>): VertexOutcome[] {
  const file = input.runResults ?? null;
  if (file === null || file.invocationId === null || file.invocationId !== input.log.invocationId) return [];
  return file.results
    .filter(({ uniqueId }) => !known.has(uniqueId) && isVertexId(uniqueId))
    .map((result) => ({
      ...blank(result.uniqueId, result.uniqueId.slice(0, Math.max(0, result.uniqueId.indexOf(".")))),
      message: result.message,
    }));
}

/** Hooks and macros are no vertices; of `dbt run-operation` dbt 2 writes the macro's bare name. */
function isVertexId(id: string): boolean {
  return /^(?!operation\.|macro\.)\w+\./.test(id);
}

function blank(uniqueId: string, resourceType: string): VertexOutcome {
  return {
    uniqueId,
    resourceType,
    materialized: "",
    status: NOT_REPORTED,
    class: "not_built",
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
    planned: true,
  };
}
