import type { BatchEvent, EndedEvent, MessageEvent, StartedEvent, VertexFacts } from "./log-events.ts";
import { classOfStatus, isBuilt, isCancelled, isTerminal, type VertexClass } from "./status.ts";
import { isTestType } from "./tested-nodes.ts";
import type { BatchReading, VertexReading } from "./vertex-reading.ts";

/** One of dbt's final words on a vertex. */
export interface LastWord {
  status: string;
  class: VertexClass;
  /** When dbt wrote it; null when the line has no time. */
  atMs: number | null;
  endedAtMs: number | null;
  message: string | null;
  failures: number | null;
  executionSeconds: number | null;
  rowsAffected: number | null;
  thread: string | null;
}

/**
 * Everything one invocation has said of one vertex, kept apart by who said it, so that the sum does not depend on the
 * order in which the lines came (row A8). Every join below is commutative and idempotent.
 */
export interface VertexRecord {
  uniqueId: string;
  resourceType: string;
  materialized: string;
  relationName: string | null;
  /** run_results.json has spoken of the relation. */
  relationIsSure: boolean;
  checksum: string | null;
  startedAtMs: number | null;
  /** A start was printed that is more than 1.x's `NodeStart`. */
  proved: boolean;
  startThread: string | null;
  /** `NodeExecuting` was printed: dbt 2 prints it of everything that it really runs. */
  executed: boolean;
  /** From `Log…Result` and `SkippingDetails`. */
  line: LastWord | null;
  /** From `NodeFinished`. */
  finish: LastWord | null;
  /** From run_results.json, where the log holds a start and no end. */
  filled: LastWord | null;
  /** Set when the build is over, for what never ended. */
  closed: LastWord | null;
  /** An error line of dbt's names the vertex. `final`: dbt prints nothing more about it (1.x's `RunResult…`). */
  saidFailed: { atMs: number | null; final: boolean } | null;
  /** An error line that nobody knows: a failure only of dbt 2. */
  saidFailedInDbt2: { atMs: number | null; message: string | null } | null;
  /** An error line says that dbt cancelled it. */
  saidCancelled: { atMs: number | null } | null;
  saidSkipped: { atMs: number | null } | null;
  text: { weight: number; message: string } | null;
  compiledPath: string | null;
  batches: Map<string, { index: number; status: string }>;
}

export function newVertexRecord(uniqueId: string): VertexRecord {
  return {
    uniqueId,
    resourceType: "",
    materialized: "",
    relationName: null,
    relationIsSure: false,
    checksum: null,
    startedAtMs: null,
    proved: false,
    startThread: null,
    executed: false,
    line: null,
    finish: null,
    filled: null,
    closed: null,
    saidFailed: null,
    saidFailedInDbt2: null,
    saidCancelled: null,
    saidSkipped: null,
    text: null,
    compiledPath: null,
    batches: new Map(),
  };
}

/** Takes one line about the vertex in. */
export function addToRecord(record: VertexRecord, event: StartedEvent | EndedEvent | MessageEvent | BatchEvent): void {
  addFacts(record, event.vertex);
  if (event.kind === "started") {
    record.startedAtMs = earliest(record.startedAtMs, event.vertex.startedAtMs ?? event.atMs);
    record.proved ||= event.proves;
    record.executed ||= event.status === "executing";
    record.startThread = lesser(record.startThread, event.thread);
  } else if (event.kind === "ended") {
    const word = wordOf(event);
    if (event.source === "line") record.line = worse(record.line, word);
    else record.finish = worse(record.finish, word);
    addText(record, 1, event.message);
  } else if (event.kind === "batch") {
    addBatch(record, event);
  } else {
    addMessage(record, event);
  }
}

function addMessage(record: VertexRecord, event: MessageEvent): void {
  record.compiledPath = lesser(record.compiledPath, event.compiledPath);
  if (event.says === "failedInDbt2") {
    const before = record.saidFailedInDbt2;
    const atMs = earliest(before?.atMs ?? null, event.atMs);
    record.saidFailedInDbt2 = { atMs, message: lesser(before?.message ?? null, event.message) };
    return;
  }
  // What dbt says of its own cancelling is less than any reason for a failure.
  addText(record, event.says === "cancelled" ? 0 : event.weight, event.message);
  if (event.says === "failed") addFailure(record, event);
  if (event.says === "cancelled")
    record.saidCancelled = { atMs: earliest(record.saidCancelled?.atMs ?? null, event.atMs) };
  if (event.says === "skipped") record.saidSkipped = { atMs: earliest(record.saidSkipped?.atMs ?? null, event.atMs) };
}

function addFacts(record: VertexRecord, vertex: VertexFacts): void {
  record.resourceType = lesser(record.resourceType || null, vertex.resourceType || null) ?? "";
  record.materialized = lesser(record.materialized || null, vertex.materialized || null) ?? "";
  record.relationName = lesser(record.relationName, vertex.relationName);
  record.checksum = lesser(record.checksum, vertex.checksum);
  record.startedAtMs = earliest(record.startedAtMs, vertex.startedAtMs);
}

function addFailure(record: VertexRecord, event: MessageEvent): void {
  const { final } = event;
  const before = record.saidFailed;
  record.saidFailed =
    before === null
      ? { atMs: event.atMs, final }
      : { atMs: earliest(before.atMs, event.atMs), final: before.final || final };
}

function addText(record: VertexRecord, weight: number, message: string | null): void {
  if (message === null) return;
  const before = record.text;
  const wins =
    before === null ||
    weight > before.weight ||
    (weight === before.weight && message.localeCompare(before.message) < 0);
  if (wins) record.text = { weight, message };
}

function addBatch(record: VertexRecord, event: BatchEvent): void {
  const { name, index, status } = event.batch;
  const before = record.batches.get(name);
  const after = { index: index ?? before?.index ?? 0, status };
  if (before === undefined || batchRank(status) > batchRank(before.status)) record.batches.set(name, after);
  if (isTerminal(status)) record.proved = true;
}

/** A batch's end beats its start; of two ends the worse one counts. */
function batchRank(status: string): number {
  return isTerminal(status) ? 1 + RANK[classOfStatus(status)] : 0;
}

/** Of two last words in one invocation the worse one counts: never green by a second line. */
const RANK: Readonly<Record<VertexClass, number>> = { good: 0, skipped: 1, not_built: 2, interrupted: 3, failed: 4 };

function worse(a: LastWord | null, b: LastWord | null): LastWord | null {
  if (a === null || b === null) return a ?? b;
  const difference = RANK[a.class] - RANK[b.class];
  if (difference !== 0) return difference > 0 ? a : b;
  return order(a) <= order(b) ? a : b;
}

/** A total order over equal words, so that joining does not depend on which line came first. */
function order(word: LastWord): string {
  const time = word.atMs === null ? "9".repeat(16) : String(word.atMs).padStart(16, "0");
  return `${time} ${word.status} ${word.executionSeconds ?? ""} ${word.failures ?? ""} ${word.thread ?? ""}`;
}

function wordOf(event: EndedEvent): LastWord {
  return {
    status: event.status,
    class: classOfStatus(event.status),
    atMs: event.atMs,
    endedAtMs: event.vertex.endedAtMs ?? event.atMs,
    message: event.message,
    failures: event.failures,
    executionSeconds: event.executionSeconds,
    rowsAffected: event.rowsAffected,
    thread: event.thread,
  };
}

/** A word without detail: for what is told by an error line, a file, or the end of the build. */
export function bareWord(status: string, vertexClass: VertexClass, atMs: number | null): LastWord {
  return {
    status,
    class: vertexClass,
    atMs,
    endedAtMs: atMs,
    message: null,
    failures: null,
    executionSeconds: null,
    rowsAffected: null,
    thread: null,
  };
}

/**
 * When dbt said that the vertex failed; null where it did not. What was cancelled in a build that nobody cut short, the
 * database cancelled: a failure like any other.
 */
function failureOf(record: VertexRecord, build: BuildFacts): { atMs: number | null; final: boolean } | null {
  if (record.saidFailed !== null || !build.isDbt2) return record.saidFailed;
  const said = record.saidFailedInDbt2 ?? (build.cutShort ? null : record.saidCancelled);
  return said === null ? null : { atMs: said.atMs, final: false };
}

/** What the log alone says of the vertex's end, before any signal of ours is thought of. */
function printedWord(record: VertexRecord, build: BuildFacts): LastWord | null {
  const saidFailed = failureOf(record, build);
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
  if (!build.cutShort || word.class === "not_built" || failureOf(record, build) !== null) return false;
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
  return isDbt2 && isTestType(record.resourceType) && !record.relationIsSure ? null : record.relationName;
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

function earliest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}

/** The lesser of two texts: which one does not matter, that it does not depend on the order does. */
function lesser(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return a <= b ? a : b;
}
