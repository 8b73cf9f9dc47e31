import { buildEventOf } from "./build-line.ts";
import { codeOf, saysCancelled } from "./dbt-code.ts";
import { hookOf } from "./hook-line.ts";
import { type Fields, fieldsOf, messageOf, numberOf, textOf, timeOf } from "./line-fields.ts";
import type {
  BatchEvent,
  EndedEvent,
  LineFacts,
  LogEvent,
  LogLevel,
  MessageEvent,
  StartedEvent,
  VertexFacts,
} from "./log-events.ts";
import { cutMessage, stripColours } from "./message-text.ts";
import { MASK } from "./secrets.ts";
import { classOfStatus, isKnownStatus, isTerminal } from "./status.ts";
import { statusOf } from "./status-of-line.ts";

/** Longest line worth parsing: 1.x debug lines reach 81 kB with 200 nodes. A caller may drop what is longer. */
export const MAX_LINE_CHARACTERS = 4_000_000;

/**
 * One line of dbt's stdout as an event; null for a line that is none of dbt's (not JSON, a bare value, no `info.name`).
 * Never throws: what a future dbt prints must not stop a build.
 */
export function readLine(text: string): LogEvent | null {
  const start = text.trimStart();
  if (start.startsWith("{")) {
    const parsed = parsedOf(start);
    if (parsed !== undefined) return eventFrom(parsed);
  }
  return gluedEvent(start);
}

/** Where dbt's JSON begins: `data` comes first in 1.x, `info` in 2.0. */
const EVENT_START = /\{"(?:data|info)": ?\{/g;

/** Nobody prints so many beginnings of events into one line; a line of many would cost its length for each. */
const MOST_STARTS = 16;

/**
 * The event at the end of a line that begins with other text: a Python model runs inside dbt and prints to the same
 * stdout, and what it prints without a line's end stands before dbt's next event, which must not be lost.
 */
function gluedEvent(text: string): LogEvent | null {
  let tried = 0;
  for (const { index } of text.matchAll(EVENT_START)) {
    if (++tried > MOST_STARTS) return null;
    const parsed = index === 0 ? undefined : parsedOf(text.slice(index));
    if (parsed !== undefined) return eventFrom(parsed);
  }
  return tried > 0 && text.includes(MASK) ? brokenByMask(text) : null;
}

/** An event that dbt masked into something that is no JSON. Whose it is its invocation still says. */
function brokenByMask(text: string): LogEvent {
  const invocationId = /"invocation_id": ?"([^"]+)"/.exec(text)?.[1] ?? null;
  return { ...lineFacts("", {}), invocationId, kind: "masked" };
}

function parsedOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function eventFrom(parsed: unknown): LogEvent | null {
  const info = fieldsOf(fieldsOf(parsed)?.info);
  const name = textOf(info?.name);
  if (info === null || name === "") return null;
  return eventOf(lineFacts(name, info), fieldsOf(fieldsOf(parsed)?.data) ?? {});
}

const LEVELS: Readonly<Record<string, LogLevel>> = { debug: "debug", warn: "warn", warning: "warn", error: "error" };

function lineFacts(name: string, info: Fields): LineFacts {
  const text = cutMessage(stripColours(textOf(info.msg)));
  return {
    name,
    level: LEVELS[textOf(info.level)] ?? "info",
    text,
    code: codeOf({ name, code: textOf(info.code), text }),
    atMs: timeOf(info.ts),
    thread: textOf(info.thread) || null,
    invocationId: textOf(info.invocation_id) || null,
  };
}

function vertexOf(data: Fields): VertexFacts | null {
  const node = fieldsOf(data.node_info);
  const uniqueId = textOf(node?.unique_id);
  if (node === null || uniqueId === "") return null;
  return {
    uniqueId,
    resourceType: textOf(node.resource_type) || uniqueId.slice(0, Math.max(0, uniqueId.indexOf("."))),
    materialized: textOf(node.materialized),
    name: textOf(node.node_name),
    relationName: textOf(fieldsOf(node.node_relation)?.relation_name) || null,
    checksum: textOf(node.node_checksum) || null,
    startedAtMs: timeOf(node.node_started_at),
    endedAtMs: timeOf(node.node_finished_at),
  };
}

function eventOf(line: LineFacts, data: Fields): LogEvent {
  const vertex = vertexOf(data);
  if (vertex?.uniqueId.includes(MASK) === true) return { ...line, kind: "masked" };
  const isHook = vertex?.resourceType === "operation" || line.name === "DatabaseErrorRunningHook";
  const event = isHook ? hookOf(line, data, vertex) : vertex === null ? null : vertexEventOf(line, data, vertex);
  return event ?? buildEventOf(line, data) ?? { ...line, kind: "text" };
}

/** Lines that dbt prints about one vertex, the end of the vertex first. */
function vertexEventOf(line: LineFacts, data: Fields, vertex: VertexFacts): LogEvent | null {
  if (line.name === "LogStartOverload") return startOf(line, data, vertex, "executing");
  if (line.name === "LogOverloadResult") return overloadOf(line, data, vertex);
  if (line.name === "LogStartBatch" || line.name === "LogBatchResult") return batchOf(line, data, vertex);
  if (line.name === "LogStartLine" || line.name === "NodeStart") return startOf(line, data, vertex, "started");
  if (line.name === "NodeCompiling") return startOf(line, data, vertex, "compiling");
  if (line.name === "NodeExecuting") return startOf(line, data, vertex, "executing");
  if (line.name === "NodeFinished" || line.name === "SkippingDetails" || /^Log\w*Result$/.test(line.name)) {
    return endOf(line, data, vertex);
  }
  return textAbout(line, data, vertex);
}

function startOf(line: LineFacts, data: Fields, vertex: VertexFacts, status: string): StartedEvent {
  return {
    ...line,
    kind: "started",
    vertex,
    status,
    proves: line.name === "LogStartLine" || line.name === "NodeExecuting" || /Overload/.test(line.name),
    total: numberOf(data.total),
  };
}

function endOf(line: LineFacts, data: Fields, vertex: VertexFacts): EndedEvent | StartedEvent {
  const status = statusOf(line, data);
  if (!isTerminal(status)) return { ...startOf(line, data, vertex, "started"), proves: false };
  const result = fieldsOf(data.run_result) ?? {};
  return {
    ...line,
    kind: "ended",
    vertex,
    status,
    source: line.name === "NodeFinished" ? "finish" : "line",
    message: messageOf(result.message),
    executionSeconds: numberOf(data.execution_time) ?? numberOf(result.execution_time),
    failures: numberOf(data.num_failures) ?? numberOf(result.num_failures),
    rowsAffected: numberOf(fieldsOf(result.adapter_response)?.rows_affected) ?? rowsIn(textOf(data.status)),
    index: numberOf(data.index),
    total: numberOf(data.total) ?? numberOf(data.num_models),
  };
}

/** The warehouse's own word for a statement, which dbt shows on its line: `SELECT 12`, `INSERT 0 12`, `MERGE 3`. */
const rowsIn = (said: string): number | null => {
  const [, rows] = /^(?:SELECT|INSERT(?: \d+)?|MERGE|UPDATE|DELETE) (\d+)$/.exec(said) ?? [];
  return rows === undefined ? null : Number(rows);
};

function batchOf(line: LineFacts, data: Fields, vertex: VertexFacts): BatchEvent {
  const description = textOf(data.description);
  const index = numberOf(data.batch_index);
  const name = /^batch (.+?) of /.exec(description)?.[1] ?? (index === null ? description : `batch ${index}`);
  const status = line.name === "LogStartBatch" ? "started" : statusOf(line, data);
  return { ...line, kind: "batch", vertex, batch: { name, index, total: numberOf(data.total_batches), status } };
}

/**
 * One overload of a function is made (dbt 1.12): never the end of the function, which has a line of its own after its
 * last overload. One that failed fails the function, whatever else is printed.
 */
function overloadOf(line: LineFacts, data: Fields, vertex: VertexFacts): StartedEvent | MessageEvent {
  const word = textOf(data.status);
  if (word === "skipped" || (isKnownStatus(word) && classOfStatus(word) !== "failed"))
    return startOf(line, data, vertex, "executing");
  const message = messageOf(data.description) ?? messageOf(line.text);
  return { ...line, kind: "message", vertex, says: "failed", final: false, weight: 6, message, compiledPath: null };
}

/**
 * Texts in which dbt says of a vertex that it never ran it, though it prints them as errors. The whole text is this one
 * line: a model's own message may hold the same words.
 */
const NEVER_RAN =
  /^\s*(?:Skipping due to fail_fast|Compilation Error in .+, caused by compilation error in referenced ephemeral model .+)\s*$/;

function textAbout(line: LineFacts, data: Fields, vertex: VertexFacts): MessageEvent | null {
  const base = {
    ...line,
    kind: "message" as const,
    vertex,
    compiledPath: null,
    final: line.name.startsWith("RunResult"),
  };
  const saysFailed = NEVER_RAN.test(line.text) ? "skipped" : "failed";
  switch (line.name) {
    case "RunResultError":
      return { ...base, says: saysFailed, weight: 5, message: messageOf(data.msg) ?? messageOf(line.text) };
    case "RunResultFailure":
    case "RunResultErrorNoMessage":
      return { ...base, says: saysFailed, weight: 0, message: null };
    case "RunResultWarningMessage":
      return { ...base, says: null, weight: 4, message: messageOf(data.msg) };
    case "GenericExceptionOnRun":
    case "InternalErrorOnRun":
    case "CatchableExceptionOnRun":
      return { ...base, says: null, weight: 2, message: messageOf(data.exc) };
    case "SQLCompiledPath":
      return { ...base, says: null, weight: 0, message: null, compiledPath: textOf(data.path) || null };
    default:
      return errorAbout(line, base);
  }
}

/**
 * Any other line of the level error. dbt 2 calls it `Generic`, or by the name of its code since 2.0.0-preview.201, of
 * which there are hundreds; of an error that is neither the version of dbt decides.
 */
function errorAbout(line: LineFacts, base: Omit<MessageEvent, "says" | "weight" | "message">): MessageEvent | null {
  if (line.level !== "error") return null;
  const isOfDbt2 = line.name === "Generic" || line.code !== null;
  const says = saysCancelled(line.code, line.text) ? "cancelled" : isOfDbt2 ? "failed" : "failedInDbt2";
  return { ...base, says, weight: 3, message: messageOf(line.text) };
}
