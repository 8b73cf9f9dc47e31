import { isCancelCode } from "./dbt-code.ts";
import { isDbt2 } from "./dbt-version.ts";
import { type FatalKind, fatalKind } from "./fatal-kind.ts";
import type { FatalEvent, HookEvent, HookTextEvent, LogEvent } from "./log-events.ts";
import { cutMessage, withoutNoise } from "./message-text.ts";
import { type BuildFacts, readingOf } from "./read-record.ts";
import { classOfStatus, isTerminal } from "./status.ts";
import type { VertexReading } from "./vertex-reading.ts";
import { addToRecord, newVertexRecord, type VertexRecord } from "./vertex-record.ts";

/** What has to be written now. */
export interface Change {
  uniqueId: string;
  what: "started" | "ended" | "message" | "batch";
  vertex: VertexReading;
}

export interface HookFailure {
  name: string;
  message: string | null;
  phase: "start" | "end" | "unknown";
  /** When dbt wrote that it failed; null where the line has no time. */
  atMs: number | null;
}

/**
 * Everything one invocation of dbt has said, in memory proportional to its vertices. Read it freely; it is changed by
 * `applyEvent`, `markSignalled`, `reconcile` and `closeBuildLog` alone.
 */
export interface BuildLog {
  vertices: Map<string, VertexReading>;
  /** What the readings are made of. */
  records: Map<string, VertexRecord>;
  dbtVersion: string | null;
  invocationId: string | null;
  /** Number of vertices dbt set out to run, unit tests included, where it said so. */
  nodeCount: number | null;
  sawLastSummary: boolean;
  /** What `CommandCompleted` says; null where it was not printed (1.x at info). */
  success: boolean | null;
  /** dbt 1 says that a signal interrupted it. */
  keyboardInterrupt: boolean;
  /** dbt 2 cancelled a running vertex: after a signal, or by fail-fast. */
  tasksCancelled: boolean;
  hookFailures: HookFailure[];
  /** On-run-end hooks that are done, by name. */
  endHooksDone: string[];
  /** Texts of dbt 2 about hooks that failed, before each is joined to its hook. */
  hookTexts: HookTextEvent[];
  fatal: { text: string; kind: FatalKind; atMs: number; isTrace: boolean } | null;
  /** dbt cancelled what was running: fail-fast or an interrupt. */
  cancelled: boolean;
  /** dbt 2 says that it cancels all that is left: by fail-fast, or by a signal. */
  allCancelled: boolean;
  /** dbt says that it skips because of fail-fast, or was started with that flag. */
  failFast: boolean;
  /** A vertex has failed: under fail-fast, dbt cancels the others then. */
  sawFailure: boolean;
  /** … and the log says why, or dbt's word is one that it has for no cancelled vertex. */
  sawOwnFailure: boolean;
  /** A line has a code of dbt 2, which tells the version where its own line is lost. */
  sawCode: boolean;
  emptySelection: boolean;
  /** dbt masked a secret in ids or in JSON: what it said there of a vertex is lost. */
  masked: boolean;
  /** Relations that 1.x skipped without an id (children of an ephemeral model that failed); the id once it is known. */
  skippedWithoutId: { relation: string; schema: string; uniqueId: string | null }[];
  signalledAtMs: number | null;
  /** The last error and warning texts, oldest first, at most {@link LAST_LINES}. */
  lastLines: string[];
}

/** How many error and warning texts are kept for the sentence that tells why a build ended. */
export const LAST_LINES = 20;

const LAST_LINE_CHARACTERS = 500;

export function newBuildLog(): BuildLog {
  return {
    vertices: new Map(),
    records: new Map(),
    dbtVersion: null,
    invocationId: null,
    nodeCount: null,
    sawLastSummary: false,
    success: null,
    keyboardInterrupt: false,
    tasksCancelled: false,
    hookFailures: [],
    endHooksDone: [],
    hookTexts: [],
    fatal: null,
    cancelled: false,
    allCancelled: false,
    failFast: false,
    sawFailure: false,
    sawOwnFailure: false,
    sawCode: false,
    emptySelection: false,
    masked: false,
    skippedWithoutId: [],
    signalledAtMs: null,
    lastLines: [],
  };
}

/**
 * Takes one event in and returns what changed for a vertex: nothing for a line that was there before. Lines of another
 * invocation than the first one seen, or of none, are not of this build and are ignored: dbt names its invocation in
 * every line, while a Python model may print any text to the same stdout.
 */
export function applyEvent(log: BuildLog, event: LogEvent): Change[] {
  log.invocationId ??= event.invocationId;
  if (event.invocationId !== log.invocationId) return [];
  keepLine(log, event);
  const reread = rereadIfDoubtful(log, () => applyToBuild(log, event));
  if (!("vertex" in event)) return reread;
  return [...reread, ...changeVertex(log, event.vertex.uniqueId, (record) => addToRecord(record, event))];
}

/** What is learned of the build as a whole may throw a light on what was printed of vertices before. */
function rereadIfDoubtful(log: BuildLog, change: () => void): Change[] {
  const before = buildFacts(log);
  change();
  const after = buildFacts(log);
  const isTheSame = (fact: keyof BuildFacts) => before[fact] === after[fact];
  if (isTheSame("isDbt2") && isTheSame("cutShort") && isTheSame("doubtsErrors")) return [];
  return [...log.records.keys()].flatMap((uniqueId) => changeVertex(log, uniqueId, () => {}));
}

/**
 * dbt 2, cut short by fail-fast or a signal, ends vertices as good that it had only compiled, and as errors what it was
 * running. What it runs it names by `NodeExecuting` before; what failed has an error line of its own. Under fail-fast a
 * vertex failed first: as long as none has such a line, the errors are believed.
 */
function buildFacts(log: BuildLog): BuildFacts {
  const ofDbt2 = log.dbtVersion === null ? log.sawCode : isDbt2(log.dbtVersion);
  const cutShort = ofDbt2 && ((log.failFast && log.sawFailure) || log.cancelled || cancelsTasks(log));
  return {
    signalledAtMs: log.signalledAtMs,
    isDbt2: ofDbt2,
    cutShort,
    doubtsErrors: cutShort && (!log.failFast || log.sawOwnFailure),
  };
}

/**
 * Whether dbt 2 cancelled tasks itself. A database cancels statements as well (a timeout), which it tells by the same
 * code: there dbt goes on to its last line, and never says that the whole operation was cancelled.
 */
export function cancelsTasks(log: BuildLog): boolean {
  return log.tasksCancelled && (log.allCancelled || !log.sawLastSummary);
}

/** Changes one vertex's record and tells what became of its reading. */
export function changeVertex(log: BuildLog, uniqueId: string, change: (record: VertexRecord) => void): Change[] {
  const record = log.records.get(uniqueId) ?? newVertexRecord(uniqueId);
  log.records.set(uniqueId, record);
  change(record);
  const before = log.vertices.get(uniqueId);
  const after = readingOf(record, buildFacts(log));
  log.vertices.set(uniqueId, after);
  const what = difference(before, after);
  return what === null ? [] : [{ uniqueId, what, vertex: after }];
}

function difference(before: VertexReading | undefined, after: VertexReading): Change["what"] | null {
  if (after.class !== null && (after.class !== before?.class || after.status !== before.status)) return "ended";
  if (JSON.stringify(before?.batches ?? []) !== JSON.stringify(after.batches)) return "batch";
  if (after.evidence && !before?.evidence) return "started";
  return before === undefined || JSON.stringify(before) === JSON.stringify(after) ? null : "message";
}

/**
 * The supervisor has sent its own signal at this time: what had not ended by then is interrupted, whatever is printed
 * later (1.x prints `error` for what it cancels, 2.0 even a false `success`).
 */
export function markSignalled(log: BuildLog, atMs: number): Change[] {
  log.signalledAtMs ??= atMs;
  return [...log.records.keys()].flatMap((uniqueId) => changeVertex(log, uniqueId, () => {}));
}

function applyToBuild(log: BuildLog, event: LogEvent): void {
  noteFailure(log, event);
  if (event.kind === "masked") log.masked = true;
  if ((event.kind === "started" || event.kind === "ended") && event.total !== null) {
    log.nodeCount = Math.max(log.nodeCount ?? 0, event.total);
  }
  if (event.kind === "version") log.dbtVersion ??= versionOf(event.version);
  if (event.kind === "concurrency") log.nodeCount = Math.max(log.nodeCount ?? 0, event.nodeCount ?? 0) || null;
  if (event.kind === "hook") applyHook(log, event);
  if (event.kind === "hookText") applyHookText(log, event);
  if (event.kind === "fatal") applyFatal(log, event);
  if (event.kind === "cancel") {
    log.cancelled = true;
    log.allCancelled ||= event.all;
  }
  if (event.kind === "failFast" || (event.kind === "args" && event.failFast)) log.failFast = true;
  if (event.kind === "emptySelection") log.emptySelection ||= event.part === "nothing";
  if (event.kind === "skippedWithoutId") {
    const { relation, schema } = event;
    const isKnown = log.skippedWithoutId.some((one) => one.relation === relation && one.schema === schema);
    if (!isKnown) log.skippedWithoutId.push({ relation, schema, uniqueId: null });
  }
  if (event.kind === "summary") {
    log.sawLastSummary ||= event.part !== "end";
    log.keyboardInterrupt ||= event.keyboardInterrupt;
    if (event.success !== null) log.success = event.success;
  }
}

/** dbt 2 calls itself `dbt-fusion=2.0.0-preview.196`; a version is kept as its number. */
function versionOf(text: string): string | null {
  return /\d+\.\d+\S*/.exec(text)?.[0] ?? null;
}

function noteFailure(log: BuildLog, event: LogEvent): void {
  log.sawCode ||= event.code !== null;
  if (event.kind === "ended") {
    log.sawFailure ||= classOfStatus(event.status) === "failed";
    log.sawOwnFailure ||= event.status === "fail";
  }
  if (event.kind !== "message") return;
  // By its code alone: a model's own text may hold the adapter's words.
  log.tasksCancelled ||= isCancelCode(event.code);
  log.sawOwnFailure ||= event.says === "failed" || event.says === "failedInDbt2";
}

function applyHook(log: BuildLog, event: HookEvent): void {
  const isDone = isTerminal(event.status) && classOfStatus(event.status) === "good";
  if (isDone && event.phase === "end" && !log.endHooksDone.some((name) => sameHook(name, event.hookName)))
    log.endHooksDone.push(event.hookName);
  if (!isTerminal(event.status) || ["good", "not_built", "interrupted"].includes(classOfStatus(event.status))) return;
  const known = log.hookFailures.find((hook) => hook.phase === event.phase && sameHook(hook.name, event.hookName));
  const { hookName: name, message, phase, atMs } = event;
  if (known === undefined) log.hookFailures.push({ name, message, phase, atMs });
  else known.message ??= event.message;
  joinHookTexts(log);
}

function applyHookText(log: BuildLog, event: HookTextEvent): void {
  if (!log.hookTexts.some((one) => one.message === event.message && one.atMs === event.atMs)) log.hookTexts.push(event);
  joinHookTexts(log);
}

/**
 * Joins dbt 2's texts to the hooks that failed, each in its order: a text stands before its hook's end since
 * 2.0.0-preview.205, and behind it before, at the very end of the log for an on-run-end hook.
 */
function joinHookTexts(log: BuildLog): void {
  const byTime = (a: { atMs: number | null }, b: { atMs: number | null }) => (a.atMs ?? 0) - (b.atMs ?? 0);
  const texts = log.hookTexts.map((one) => one.message);
  const open = log.hookFailures.filter((hook) => hook.message === null || texts.includes(hook.message)).sort(byTime);
  const told = log.hookTexts.toSorted((a, b) => byTime(a, b) || (a.message < b.message ? -1 : 1));
  for (const [n, hook] of open.entries()) hook.message = told[n]?.message ?? null;
}

/** 1.8 names a failed hook by its phase, 1.11 by its name (`harbour-on-run-start-0`). */
function sameHook(a: string, b: string): boolean {
  const [x, y] = [a.replaceAll(".", "-"), b.replaceAll(".", "-")];
  return x === y || x.includes(y) || y.includes(x);
}

/** Of several such lines the earliest of a known kind counts, in whatever order they come; a trace only alone. */
function applyFatal(log: BuildLog, event: FatalEvent): void {
  if (event.part === "trace" && log.fatal !== null) return;
  const isTrace = event.part === "trace";
  const found = {
    text: event.message,
    kind: fatalKind(event.message, event.code),
    atMs: event.atMs ?? Infinity,
    isTrace,
  };
  if (log.fatal === null || fatalRank(found, log.fatal) < 0) log.fatal = found;
}

function fatalRank(a: NonNullable<BuildLog["fatal"]>, b: NonNullable<BuildLog["fatal"]>): number {
  const unknown = (one: typeof a) => Number(one.kind === "unknown");
  return (
    Number(a.isTrace) - Number(b.isTrace) ||
    unknown(a) - unknown(b) ||
    a.atMs - b.atMs ||
    (a.text < b.text ? -1 : Number(a.text > b.text))
  );
}

function keepLine(log: BuildLog, event: LogEvent): void {
  const failed = event.kind === "ended" && classOfStatus(event.status) === "failed";
  if (event.level !== "error" && event.level !== "warn" && !failed) return;
  if (event.kind === "fatal" && event.part === "trace" && log.fatal !== null) return;
  const line = cutMessage(withoutNoise(event.text.trim()), LAST_LINE_CHARACTERS);
  if (line === "" || log.lastLines.includes(line)) return;
  log.lastLines.push(line);
  if (log.lastLines.length > LAST_LINES) log.lastLines.shift();
}
