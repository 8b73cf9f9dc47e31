import { OUTSIDE_CAUSES } from "#core/contracts/cause.ts";
import type { BuildEnd } from "#core/contracts/ledger.ts";
import { type BuildLog, cancelsTasks } from "./build-log.ts";
import { causeOf, type DbtCause, type ProcessEnd, wasInterrupted } from "./cause.ts";
import { isDbt2, isUnsupportedDbt, OLDEST_DBT } from "./dbt-version.ts";
import type { VertexReading } from "./vertex-reading.ts";

/** What dbt's log and process alone say of a build's end; the rest of {@link BuildEnd} is its supervisor's. */
export interface EndByLog extends Pick<BuildEnd, "inOrder" | "retryableLaunch"> {
  cause: DbtCause;
}

/** How a build ended, and why. Call it after `reconcile`, which may end vertices that the log left open. */
export function buildEnded(log: BuildLog, end: ProcessEnd): EndByLog {
  const cause = isUnsupportedDbt(log.dbtVersion ?? "") ? unsupported(log) : causeOf(log, end);
  const didNothing = ![...log.vertices.values()].some((vertex) => vertex.evidence);
  const curable = OUTSIDE_CAUSES.has(cause.kind);
  return { inOrder: endedInOrder(log, end), cause, retryableLaunch: didNothing && curable && !end.signalledByUs };
}

function unsupported(log: BuildLog): DbtCause {
  return {
    kind: "unsupported_dbt",
    sentence: `dbt ${log.dbtVersion} is older than ${OLDEST_DBT}, the oldest that stepwatch reads.`,
    nextStep: `Install dbt ${OLDEST_DBT} or later.`,
    lines: [],
  };
}

/**
 * The end of a recorded log, of which nobody knows the exit code: what the last lines say. dbt 2 often ends without any
 * once fail-fast has cancelled the rest.
 */
export function endOfRecording(log: BuildLog): ProcessEnd {
  const failedFast =
    log.failFast && [...log.records.values()].some((one) => one.saidFailed !== null || isFailed(log, one));
  const complete = log.sawLastSummary || log.emptySelection || log.fatal !== null || failedFast;
  return { exitCode: null, signal: complete ? null : "unknown", signalledByUs: log.signalledAtMs !== null };
}

const isFailed = (log: BuildLog, { uniqueId }: { uniqueId: string }) => log.vertices.get(uniqueId)?.class === "failed";

function endedInOrder(log: BuildLog, end: ProcessEnd): boolean {
  if (end.signal !== null || end.signalledByUs || end.outOfMemory === true) return false;
  if (wasInterrupted(log) || cancelsTasks(log) || isUnsupportedDbt(log.dbtVersion ?? "")) return false;
  if (log.masked || (!log.sawLastSummary && !log.emptySelection)) return false;
  // dbt 2 builds nothing then, and says nothing of it either.
  if (isDbt2(log.dbtVersion ?? "") && log.hookFailures.some((hook) => hook.phase === "start")) return false;
  if (log.fatal !== null && end.exitCode !== 0) return false;
  const red = [...log.vertices.values()].some(isRed) || log.hookFailures.length > 0 || log.skippedWithoutId.length > 0;
  // Whether vertices and hooks tell why dbt ended so: 0 for all good, 1 for something red, 2 never.
  if (end.exitCode !== null) return end.exitCode === (red ? 1 : 0);
  return red || log.success !== false;
}

/** dbt does not count skipped exposures. */
function isRed(vertex: VertexReading): boolean {
  if (vertex.class === "not_built") return vertex.resourceType !== "exposure";
  return vertex.class !== null && vertex.class !== "good" && vertex.class !== "skipped";
}
