import type { BatchEvent, EndedEvent, MessageEvent, StartedEvent, VertexFacts } from "./log-events.ts";
import { classOfStatus, isTerminal, type VertexClass } from "./status.ts";

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

/** The worse of two words. */
export function worse(a: LastWord | null, b: LastWord | null): LastWord | null {
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

/** The earlier of two moments; null is none. */
export function earliest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}

/** The lesser of two texts: which one does not matter, that it does not depend on the order does. */
function lesser(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return a <= b ? a : b;
}
