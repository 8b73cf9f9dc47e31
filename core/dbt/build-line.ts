import { phaseOf } from "./hook-line.ts";
import { type Fields, fieldsOf, messageOf, numberOf, textOf } from "./line-fields.ts";
import type { LineFacts, LogEvent } from "./log-events.ts";

/** Lines about the build as a whole. */
export function buildEventOf(line: LineFacts, data: Fields): LogEvent | null {
  switch (line.name) {
    case "MainReportVersion":
      return { ...line, kind: "version", version: /=\s*v?(\S+)/.exec(line.text)?.[1] ?? textOf(data.version) };
    case "MainReportArgs":
      return { ...line, kind: "args", failFast: /--fail-fast\b|\s-x\s|'fail_fast': 'True'/.test(argsText(line, data)) };
    case "ConcurrencyLine":
      return {
        ...line,
        kind: "concurrency",
        nodeCount: numberOf(data.node_count) || null,
        threads: numberOf(data.num_threads),
      };
    case "StatsLine":
    case "FreshnessCheckComplete":
      return { ...line, kind: "summary", part: "counts", success: null, keyboardInterrupt: false };
    case "EndOfRunSummary":
      return {
        ...line,
        kind: "summary",
        part: "end",
        success: null,
        keyboardInterrupt: data.keyboard_interrupt === true,
      };
    case "CommandCompleted": {
      const success = typeof data.success === "boolean" ? data.success : null;
      return { ...line, kind: "summary", part: "command", success, keyboardInterrupt: false };
    }
    default:
      return troubleOf(line, data);
  }
}

function argsText(line: LineFacts, data: Fields): string {
  return `${line.text} ${textOf(fieldsOf(data.args)?.invocation_command)} `;
}

function troubleOf(line: LineFacts, data: Fields): LogEvent | null {
  switch (line.name) {
    case "LogSkipBecauseError":
      return {
        ...line,
        kind: "skippedWithoutId",
        relation: textOf(data.relation),
        schema: textOf(data.schema),
        index: numberOf(data.index),
      };
    case "LogCancelLine":
      return { ...line, kind: "cancel", uniqueId: textOf(data.conn_name) || null };
    case "MainEncounteredError":
      return { ...line, kind: "fatal", part: "error", message: messageOf(data.exc) ?? line.text.trim() };
    case "MainStackTrace":
      return { ...line, kind: "fatal", part: "trace", message: messageOf(data.stack_trace) ?? line.text };
    case "NoNodesForSelectionCriteria":
      return { ...line, kind: "emptySelection", part: "criterion" };
    case "NothingToDo":
      return { ...line, kind: "emptySelection", part: "nothing" };
    case "RunResultError":
      return withoutId(line, data);
    case "Generic":
      return genericOf(line);
    default:
      return null;
  }
}

/** 1.8 names a failed hook in the text alone; 1.11 and later say at debug level that a vertex was left out. */
function withoutId(line: LineFacts, data: Fields): LogEvent | null {
  const phase = phaseOf(line.text);
  if (/^\s*Skipping due to fail_fast\s*$/.test(line.text)) return { ...line, kind: "failFast" };
  if (phase === "unknown" || line.level === "debug") return null;
  return {
    ...line,
    kind: "hook",
    hookId: "",
    hookName: phase === "start" ? "on-run-start" : "on-run-end",
    phase,
    status: "error",
    message: messageOf(data.msg),
  };
}

/** dbt 2 says most things about the build as `Generic` text; the code at its beginning is the only handle. */
function genericOf(line: LineFacts): LogEvent | null {
  const code = /^\[\w+\] \[(\w+) \(dbt\d+\)\]/.exec(line.text.trim())?.[1] ?? "";
  if (code === "NoNodesSelected") return { ...line, kind: "emptySelection", part: "nothing" };
  if (code === "NoNodesForSelectionCriteria") return { ...line, kind: "emptySelection", part: "criterion" };
  if (line.level !== "error") return null;
  if (code === "OperationCanceled" || code === "TaskCancelled") return { ...line, kind: "cancel", uniqueId: null };
  return { ...line, kind: "fatal", part: "error", message: line.text.trim() };
}
