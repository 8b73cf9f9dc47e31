import { type BuildLog, type Change, changeVertex } from "./build-log.ts";
import { isDbt2 } from "./dbt-version.ts";
import { TEST_TYPES } from "./resource-types.ts";
import type { RunResult, RunResults } from "./run-results.ts";
import { classOfStatus, isCancelled, isTerminal } from "./status.ts";
import type { VertexReading } from "./vertex-reading.ts";
import { bareWord, type VertexRecord } from "./vertex-record.ts";

/** A vertex of which the file says something else than the log did. The log counts (row A19). */
export interface Contradiction {
  uniqueId: string;
  log: string;
  file: string;
  /** Where this difference is known of dbt: its reason in a few words; null for one that nobody has seen yet. */
  knownReason: string | null;
}

export interface Reconciliation {
  /** False when there was no file, or the file is of another invocation (row A17). */
  used: boolean;
  /** Vertices that printed a start but no end and were ended by the file. */
  filled: string[];
  contradictions: Contradiction[];
  /** What has to be written now: ends that the file supplied, and detail. */
  changes: Change[];
}

/**
 * Joins run_results.json into the log by rank: a printed end beats the file, which is wrong or absent in many cases
 * (fail-fast, a signal, no connection). The file ends only what printed a start and no end, and adds detail. A vertex
 * that never started is not built, whatever the file says. Changes `log`.
 */
export function reconcile(
  log: BuildLog,
  file: RunResults | null,
  options: { invocationId: string | null },
): Reconciliation {
  const outcome: Reconciliation = { used: false, filled: [], contradictions: [], changes: [] };
  if (file === null || file.invocationId === null || file.invocationId !== options.invocationId) return outcome;
  outcome.used = true;
  const untrusted = isWholesaleError(file)
    ? "dbt 2 writes every vertex as a compilation error when a build is cut short"
    : null;
  for (const result of file.results) {
    const vertex = log.vertices.get(result.uniqueId);
    if (vertex === undefined || !isTerminal(result.status)) continue;
    if (vertex.class === null) {
      if (!canFill(vertex, result, untrusted !== null)) continue;
      outcome.changes.push(...fill(log, result));
      outcome.filled.push(result.uniqueId);
    } else {
      const contradiction = compare(log, vertex, result, untrusted);
      if (contradiction === null) outcome.changes.push(...addDetail(log, result));
      else outcome.contradictions.push(contradiction);
    }
  }
  return outcome;
}

/** dbt 2 after fail-fast, a signal or a failed connection: one status and one message for all, right for none. */
function isWholesaleError(file: RunResults): boolean {
  return (
    isDbt2(file.dbtVersion ?? "") &&
    file.results.length > 0 &&
    file.results.every((r) => r.status === "error" && r.message === "Compilation Error")
  );
}

/** A skip in the file never ends what printed a start: it was cancelled half way, which is another thing. */
function canFill(vertex: VertexReading, result: RunResult, untrusted: boolean): boolean {
  if (untrusted || isCancelled(result.status, vertex)) return false;
  return vertex.evidence && classOfStatus(result.status) !== "not_built";
}

function fill(log: BuildLog, result: RunResult): Change[] {
  return changeVertex(log, result.uniqueId, (record) => {
    record.filled = {
      ...bareWord(result.status, classOfStatus(result.status), null),
      atMs: result.endedAtMs,
      endedAtMs: result.endedAtMs,
      message: result.message,
      failures: result.failures,
      executionSeconds: result.executionSeconds,
      rowsAffected: result.rowsAffected,
    };
    takeRelation(record, result);
  });
}

/** dbt 2 prints of each test where it would keep its failures: the file's word counts, also that it kept none. */
function takeRelation(record: VertexRecord, result: RunResult): void {
  record.relationIsSure = true;
  record.relationName = TEST_TYPES.has(record.resourceType)
    ? result.relationName
    : (record.relationName ?? result.relationName);
}

/** What the log did not say: the database's message, affected rows, failures. Never a status. */
function addDetail(log: BuildLog, result: RunResult): Change[] {
  return changeVertex(log, result.uniqueId, (record) => {
    const isNews =
      result.message !== null && !/^(?:Error|Fail|Pass|Warn|Succeeded|Skipped|Reused|OK)$/i.test(result.message);
    if (record.text === null && isNews) record.text = { weight: 1, message: result.message ?? "" };
    takeRelation(record, result);
    for (const word of [record.line, record.finish]) {
      if (word === null) continue;
      word.failures ??= result.failures;
      word.executionSeconds ??= result.executionSeconds;
      word.rowsAffected ??= result.rowsAffected;
    }
  });
}

function compare(
  log: BuildLog,
  vertex: VertexReading,
  result: RunResult,
  untrusted: string | null,
): Contradiction | null {
  if (vertex.class === null || vertex.class === classOfStatus(result.status)) return null;
  const knownReason = untrusted ?? knownReasonOf(log, vertex, result);
  return { uniqueId: vertex.uniqueId, log: vertex.status, file: result.status, knownReason };
}

/** The differences that were seen and understood; anything else is drift that a person should hear of. */
function knownReasonOf(log: BuildLog, vertex: VertexReading, result: RunResult): string | null {
  if (result.status === "skipped" && /fail_fast/.test(result.message ?? "")) {
    return "dbt 1 writes what it cancelled, or had not yet counted, as skipped by fail-fast";
  }
  if (vertex.status === "no-op" && result.status === "skipped") return "dbt 2 writes an ephemeral model as skipped";
  if (vertex.class === "interrupted" && log.signalledAtMs !== null) {
    return "the vertex was running when stepwatch stopped dbt";
  }
  const record = log.records.get(vertex.uniqueId);
  if (record?.saidFailed && classOfStatus(result.status) === "good") {
    return "dbt printed an error about the vertex and then its success";
  }
  return null;
}
