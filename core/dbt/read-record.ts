import { isBuilt, TEST_TYPES } from "./resource-types.ts";
import { isCancelled } from "./status.ts";
import type { BatchReading, VertexReading } from "./vertex-reading.ts";
import { bareWord, earliest, type LastWord, type VertexRecord, worse } from "./vertex-record.ts";

/**
 * When dbt said that the vertex failed; null where it did not. What was cancelled in a build that nobody cut short, the
 * database cancelled: a failure like any other.
 */
function saidFailure(record: VertexRecord, build: BuildFacts): { atMs: number | null; final: boolean } | null {
  if (record.saidFailed !== null || !build.isDbt2) return record.saidFailed;
  const said = record.saidFailedInDbt2 ?? (build.cutShort ? null : record.saidCancelled);
  return said === null ? null : { atMs: said.atMs, final: false };
}

/** What the log alone says of the vertex's end, before any signal of ours is thought of. */
function printedWord(record: VertexRecord, build: BuildFacts): LastWord | null {
  const saidFailed = saidFailure(record, build);
  // 1.x prints NodeFinished for each batch of a microbatch model, under the model's own id.
  const finish = record.batches.size > 0 ? null : record.finish;
  const printed = detailed(worse(record.line, finish), record.line, finish);
  if (printed !== null) {
    const failed = saidFailed !== null && printed.class !== "failed" && printed.class !== "interrupted";
    return failed
      ? { ...printed, status: "error", class: "failed", atMs: earliest(printed.atMs, saidFailed.atMs) }
      : printed;
  }
  if (saidFailed?.final) return bareWord("error", "failed", saidFailed.atMs);
  return record.saidSkipped === null ? null : bareWord("skipped", "not_built", record.saidSkipped.atMs);
}

/** The winning word with what only the other line knows. */
function detailed(winner: LastWord | null, line: LastWord | null, finish: LastWord | null): LastWord | null {
  if (winner === null || line === null || finish === null) return winner;
  const status = line.class === finish.class ? line.status : winner.status;
  return {
    ...winner,
    status,
    atMs: line.class === finish.class ? earliest(line.atMs, finish.atMs) : winner.atMs,
    endedAtMs: line.endedAtMs ?? finish.endedAtMs,
    failures: line.failures ?? finish.failures,
    executionSeconds: line.executionSeconds ?? finish.executionSeconds,
    rowsAffected: line.rowsAffected ?? finish.rowsAffected,
    thread: line.thread ?? finish.thread,
  };
}

/** What the build as a whole says of every vertex's end. */
export interface BuildFacts {
  /** When the supervisor sent its own signal; null when it did not. */
  signalledAtMs: number | null;
  isDbt2: boolean;
  /** dbt 2 was cut short: it prints successes of what it had only compiled. */
  cutShort: boolean;
  /** … and errors of what it was running, without a line that tells an error. */
  doubtsErrors: boolean;
}

const NO_OP_MESSAGE = "dbt ended it as no-op: it was cancelled before anything was built.";
const CANCELLED_MESSAGE = "dbt cancelled it: it was running when the build was cut short.";
const NEVER_RUN_MESSAGE = "dbt printed a success and had never run it: it was cancelled before anything was built.";

/** The printed word, unless dbt 2 printed it of what it cancelled: a good one of what was never run, or an error. */
function believedWord(record: VertexRecord, build: BuildFacts): LastWord | null {
  const word = printedWord(record, build);
  if (word === null || !isBuilt(record)) return word;
  if (isVictim(record, word, build)) {
    return { ...word, status: "cancelled", class: "interrupted", message: CANCELLED_MESSAGE };
  }
  if (word.class !== "good") return word;
  const isNoOp = isCancelled(word.status, record);
  const neverRan = build.cutShort && !record.executed && word.status !== "reused";
  if (!isNoOp && !neverRan) return word;
  return { ...word, status: "cancelled", class: "interrupted", message: isNoOp ? NO_OP_MESSAGE : NEVER_RUN_MESSAGE };
}

/**
 * Whether dbt 2 ended by its own hand what it was running: since 2.0.0-preview.203 with the word `error`, mostly without
 * a line of an error, and before with a success. Its skips stand, and so does a failure that has its own line.
 */
function isVictim(record: VertexRecord, word: LastWord, build: BuildFacts): boolean {
  if (!build.cutShort || word.class === "not_built" || saidFailure(record, build) !== null) return false;
  return record.saidCancelled !== null || (build.doubtsErrors && word.status === "error");
}

/** The vertex's last word with the supervisor's own signal in mind; null while it has none. */
function lastWord(record: VertexRecord, build: BuildFacts): LastWord | null {
  const { signalledAtMs } = build;
  const word = believedWord(record, build) ?? record.filled;
  if (signalledAtMs === null) return word ?? record.closed;
  if (word !== null && word.atMs !== null && word.atMs <= signalledAtMs) return word;
  const wasRunning = record.proved && (record.startedAtMs === null || record.startedAtMs <= signalledAtMs);
  if (word === null) return wasRunning || record.proved ? interrupted("started", record) : record.closed;
  if (word.class === "not_built" && !wasRunning) return word;
  return { ...word, class: "interrupted" };
}

function interrupted(status: string, record: VertexRecord): LastWord {
  return record.closed ?? bareWord(status, "interrupted", null);
}

/** What is told of the vertex. `evidence`: dbt really began it; a start that ended in a skip is none. */
export function readingOf(record: VertexRecord, build: BuildFacts): VertexReading {
  const word = lastWord(record, build);
  return {
    uniqueId: record.uniqueId,
    resourceType: record.resourceType,
    materialized: record.materialized,
    status: word?.status ?? "started",
    class: word?.class ?? null,
    evidence: word === null ? record.proved : word.class !== "not_built" && word.class !== "skipped",
    startedAtMs: record.startedAtMs,
    endedAtMs: word?.endedAtMs ?? null,
    message: textFor(record, build) ?? word?.message ?? null,
    failures: word?.failures ?? null,
    executionSeconds: word?.executionSeconds ?? null,
    rowsAffected: word?.rowsAffected ?? null,
    relationName: relationFor(record, build),
    checksum: record.checksum,
    compiledPath: record.compiledPath,
    thread: word?.thread ?? record.startThread,
    batches: batchesOf(record),
  };
}

/** dbt 2 prints of each test where it would keep its failures; only the file says whether it did. */
function relationFor(record: VertexRecord, { isDbt2 }: BuildFacts): string | null {
  return isDbt2 && TEST_TYPES.has(record.resourceType) && !record.relationIsSure ? null : record.relationName;
}

function textFor(record: VertexRecord, { isDbt2 }: BuildFacts): string | null {
  const { text, saidFailedInDbt2 } = record;
  if (isDbt2 && saidFailedInDbt2?.message && (text === null || text.weight < 3)) return saidFailedInDbt2.message;
  return text?.message ?? null;
}

function batchesOf(record: VertexRecord): BatchReading[] {
  return [...record.batches]
    .sort(([nameA, a], [nameB, b]) => a.index - b.index || nameA.localeCompare(nameB))
    .map(([name, { status }]) => ({ name, status }));
}
