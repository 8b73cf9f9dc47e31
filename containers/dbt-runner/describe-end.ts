import type { Cause } from "#core/contracts/cause.ts";
import type { BuildEnd } from "#core/contracts/ledger.ts";
import type { EndByLog } from "#core/dbt/build-end.ts";
import type { BuildLog } from "#core/dbt/build-log.ts";
import { compareReported } from "#core/dbt/exact-selection.ts";
import type { Reconciliation } from "#core/dbt/reconcile.ts";
import { isBuilt } from "#core/dbt/resource-types.ts";
import { LISTED, toldEnd } from "#core/dbt/told-end.ts";
import type { VertexReading } from "#core/dbt/vertex-reading.ts";
import type { FinishedBuild } from "./build.ts";
import type { StopRequest } from "./stop-switch.ts";

export interface EndFacts {
  readonly build: FinishedBuild;
  readonly ended: EndByLog;
  readonly reconciliation: Reconciliation;
  readonly stop: StopRequest | null;
  readonly failFastAsked: boolean;
  /** Models that dbt has run by the files that it left. */
  readonly ranFiles: number;
  /** Why there is no plan; null if there is one, or none was to be made. */
  readonly planProblem: string | null;
  /** The vertices that the task was to build; null for a producer, who owns whatever it builds. */
  readonly claimed: readonly string[] | null;
}

/** The end of a build as the ledger keeps it. */
export function describeEnd(facts: EndFacts): BuildEnd {
  const { build, ended, reconciliation } = facts;
  const ranUnseen = saidNothing(build.log) ? facts.ranFiles : 0;
  return {
    ...toldEnd(build.log, ended, facts.failFastAsked),
    endedAtMs: Date.now(),
    exitCode: build.end.exitCode,
    signal: build.end.signal,
    inOrder: ended.inOrder && build.notStarted === null,
    cause: withPlanProblem(ranUnseen > 0 ? unseen(causeOf(facts), ranUnseen) : causeOf(facts), facts.planProblem),
    retryableLaunch: ranUnseen === 0 && (ended.retryableLaunch || interruptedBeforeAnything(facts)),
    ranUnseen,
    filled: reconciliation.filled.slice(0, LISTED),
    contradictions: reconciliation.contradictions.slice(0, LISTED),
    strays: facts.claimed === null ? [] : straysOf(build.log, facts.claimed).slice(0, LISTED),
    ...(build.log.dbtVersion === null ? {} : { dbtVersion: build.log.dbtVersion }),
    dbtMs: build.tookMs,
    ...(build.longestQuietMs === undefined ? {} : { longestQuietMs: build.longestQuietMs }),
  };
}

/** dbt, or what stands between it and us, printed no line about any vertex, and yet it has run some. */
const saidNothing = (log: BuildLog): boolean => ![...log.vertices.values()].some((vertex) => vertex.evidence);

function unseen(cause: Cause, ran: number): Cause {
  const what = ran === 1 ? "one model" : `${ran} models`;
  return {
    ...cause,
    kind: cause.kind === "none" ? "unexplained_exit" : cause.kind,
    sentence: `Outcome unknown: dbt printed nothing of any node and has run ${what}, by the files that it left. ${cause.sentence}`,
    nextStep: "Look at the tables before you run again, and find out what keeps dbt's lines from its standard output.",
  };
}

/** Our own reasons first: what dbt says after it was stopped is a consequence. */
function causeOf({ build, ended, stop }: EndFacts): Cause {
  if (build.notStarted !== null) {
    return {
      kind: "environment",
      sentence: `dbt could not be started: ${build.notStarted}.`,
      nextStep: "Check STEPWATCH_DBT_EXECUTABLE and that the image has dbt installed.",
      lines: [],
    };
  }
  if (!stop || !build.end.signalledByUs || ended.cause.kind === "unsupported_dbt" || stop.reason === "unsupported_dbt")
    return ended.cause;
  if (stop.reason === "timeout" || stop.reason === "stopped")
    return { ...ended.cause, kind: stop.reason, sentence: stop.sentence };
  if (stop.reason === "stuck") return { ...ended.cause, kind: "killed", sentence: stop.sentence };
  return { ...ended.cause, kind: "terminated", sentence: stop.sentence };
}

/** A run without its plan is never green; a plan task may still make it, so that the cause of the build stays. */
function withPlanProblem(cause: Cause, problem: string | null): Cause {
  if (problem === null) return cause;
  const sentence = `The plan could not be made: ${problem}`;
  if (cause.kind !== "none") return { ...cause, lines: [...cause.lines, sentence].slice(-20) };
  return {
    ...cause,
    sentence,
    nextStep: "Run `dbt ls` with the same selection in the same image; it must list the selected nodes.",
  };
}

/** A Spot interruption, a stop by ECS, or an interruption of a dbt that said nothing, before any vertex began: another launch builds the same, from the start. */
function interruptedBeforeAnything({ build, stop }: EndFacts): boolean {
  return (
    (stop?.reason === "terminated" || stop?.reason === "stuck") &&
    ![...build.log.vertices.values()].some((vertex) => vertex.evidence)
  );
}

/**
 * The ledger refuses a task's words about what is not its own: what dbt harmed there is known from here alone. dbt 2
 * compiles, and reports, ephemeral parents that nobody selected: they have no table to harm.
 */
function straysOf(log: BuildLog, claimed: readonly string[]): BuildEnd["strays"] {
  const reported = compareReported(claimed, log.vertices.keys()).unexpected.map((id) => log.vertices.get(id)!);
  const isHarmed = (vertex: VertexReading) =>
    isBuilt(vertex) && vertex.evidence && (vertex.class === "failed" || vertex.class === "interrupted");
  return reported.filter(isHarmed).map(({ uniqueId, status }) => ({ uniqueId, status }));
}
