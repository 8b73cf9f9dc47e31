import { stripVTControlCharacters } from "node:util";
import { duration } from "./view/style.ts";

/**
 * A line of a container's log for people: dbt's JSON events as dbt would print them, its colours on a terminal alone;
 * the supervisor's own as `stepwatch: <what happened>` with its facts; anything else as it is.
 */
export function readable(text: string, colours: boolean): string {
  if (!text.startsWith("{")) return text;
  const line = parsed(text);
  if (typeof line?.info?.msg === "string") {
    const message = colours ? line.info.msg : stripVTControlCharacters(line.info.msg);
    return `${clock(line.info.ts)}  ${message.replaceAll("\n", `\n${" ".repeat(10)}`)}`.trimEnd();
  }
  if (typeof line?.stepwatch?.event === "string") return supervisorLine(line.stepwatch);
  return text;
}

interface LogLine {
  readonly info?: { readonly ts?: unknown; readonly msg?: unknown };
  readonly stepwatch?: Readonly<Record<string, unknown>>;
}

function parsed(text: string): LogLine | null {
  try {
    return JSON.parse(text) as LogLine | null;
  } catch {
    return null;
  }
}

/** `06:00:09` of an ISO time; dbt and the supervisor both write UTC. */
const clock = (at: unknown): string => (typeof at === "string" ? at.slice(11, 19) : " ".repeat(8));

/** `06:00:09  stepwatch: planned (vertices 51, nodes 20, source manifest)`; a sentence stands by itself. */
function supervisorLine({ event, at, sentence, ...facts }: Readonly<Record<string, unknown>>): string {
  const told = Object.entries(facts).flatMap(([name, value]) => factText(name, value));
  const behind = told.length === 0 ? "" : ` (${told.join(", ")})`;
  const said = typeof sentence === "string" ? `: ${sentence}` : "";
  return `${clock(at)}  stepwatch: ${event}${said}${behind}`;
}

const ASKED_FOR: ReadonlySet<string> = new Set(["project", "run", "runId", "task"]);

/** The run and the task are those that were asked for; what is not known or empty says nothing. */
function factText(name: string, value: unknown): string[] {
  if (ASKED_FOR.has(name) || value === null || value === "") return [];
  if (Array.isArray(value)) return value.length === 0 ? [] : [`${words(name)} ${value.map(valueText).join(" ")}`];
  if (name.endsWith("Ms") && typeof value === "number") return [`${words(name.slice(0, -2))} ${duration(value)}`];
  return [`${words(name)} ${valueText(value)}`];
}

const valueText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** `exitCode` → `exit code`. */
const words = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** Whether a line is about a vertex: it names the whole id, not one that begins with it. */
export function aboutVertex(uniqueId: string): (text: string) => boolean {
  const escaped = uniqueId.replace(/[^\w]/g, "\\$&");
  const named = new RegExp(`(?<![\\w.])${escaped}(?![\\w-]|\\.\\w)`);
  // In a raw line of JSON a colour or a line's end stands right before an id, as `[31m` or `\\n`.
  return (text) => named.test(text.replaceAll(/\\u001b\[\d*m|\\n/g, " "));
}
