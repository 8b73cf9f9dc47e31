import { type Fields, fieldsOf, messageOf, textOf } from "./line-fields.ts";
import type { HookEvent, LineFacts, VertexFacts } from "./log-events.ts";
import { statusOf } from "./status-of-line.ts";

/** Lines about a hook (`operation.*`): never a vertex. */
export function hookOf(line: LineFacts, data: Fields, vertex: VertexFacts | null): HookEvent | null {
  const hookName = textOf(data.statement) || (vertex?.name ?? textOf(data.hook_type));
  const base = { ...line, kind: "hook" as const, hookId: vertex?.uniqueId ?? "", hookName, phase: phaseOf(hookName) };
  if (line.name === "LogHookStartLine" || line.name === "NodeStart")
    return { ...base, status: "started", message: null };
  if (line.name === "LogHookEndLine" || line.name === "NodeFinished") {
    return { ...base, status: statusOf(line, data), message: messageOf(fieldsOf(data.run_result)?.message) };
  }
  if (line.name === "RunResultError") return { ...base, status: "error", message: messageOf(data.msg) };
  if (line.level === "error" && (line.name === "Generic" || line.code !== null))
    return { ...base, status: "error", message: messageOf(line.text) };
  const failed = line.name === "RunResultFailure" || line.name === "DatabaseErrorRunningHook";
  return failed ? { ...base, status: "error", message: null } : null;
}

/** When a hook runs, from whatever names it. */
export function phaseOf(text: string): HookEvent["phase"] {
  if (text.includes("on-run-start")) return "start";
  return text.includes("on-run-end") ? "end" : "unknown";
}
