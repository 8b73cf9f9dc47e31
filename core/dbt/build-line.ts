import { isCancelCode } from "./dbt-code.ts";
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
      return { ...line, kind: "cancel", all: false, uniqueId: textOf(data.conn_name) || null };
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
    default:
      return codedOf(line);
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

/** dbt 2 in a text of a hook: where the statement stands that it was running. */
const OF_A_HOOK = /<RUN_OPERATION>/;

/** dbt 2 says most things about the build in texts; the code is the only handle, whatever the line is called. */
function codedOf(line: LineFacts): LogEvent | null {
  if (line.name !== "Generic" && line.code === null) return null;
  if (line.code?.name === "NoNodesForSelectionCriteria") return { ...line, kind: "emptySelection", part: "criterion" };
  if (line.code?.name === "NoNodesSelected") return { ...line, kind: "emptySelection", part: "nothing" };
  if (line.level !== "error") return null;
  const message = line.text.trim();
  if (isCancelCode(line.code)) return { ...line, kind: "cancel", all: true, uniqueId: null };
  if (OF_A_HOOK.test(message)) return { ...line, kind: "hookText", message };
  return { ...line, kind: "fatal", part: "error", message };
}
