import { counted } from "#core/counted.ts";
import type { AdapterResponse } from "#core/dbt/adapter-response.ts";
import type { Attempt } from "#core/run/reporting/attempts.ts";
import type { Root, RunWhy, Some } from "#core/run/reporting/why.ts";
import type { NextCommand } from "../why-commands.ts";
import { firstLine, nodeName } from "./node-table.ts";
import { cut, duration, type Paint } from "./style.ts";
import { withoutWhose } from "./summary-text.ts";
import { wrapped, wrappedCommand } from "./wrapped.ts";

/** What the text of `why` is made of, beside the answer itself. */
export interface WhyText {
  readonly why: RunWhy;
  /** The roots that are told: all of the run's, or those of one node. */
  readonly roots: readonly Root[];
  /** Of one node: its id, its own line, and what the warehouse said of its last statement. */
  readonly about: {
    readonly uniqueId: string;
    readonly words: string;
    readonly response: AdapterResponse | null;
  } | null;
  readonly live: readonly string[];
  readonly next: readonly NextCommand[];
  /** The words of the shell command that calls dbt so. */
  readonly dbt: (args: readonly string[]) => readonly string[];
  /** Variables that dbt needs in its environment. */
  readonly variables: readonly string[];
}

/** Roots that are told in full, and further ones in a line each. */
const MOST_IN_FULL = 4;
const MOST_IN_A_LINE = 8;
const MOST_MESSAGE_LINES = 12;

/** `stepwatch why` for people, for a terminal of this width. */
export function whyText(text: WhyText, width: number, paint: Paint): string[] {
  const { why, about, next } = text;
  const groups = alike(text.roots);
  const blocks = groups.slice(0, MOST_IN_FULL).flatMap((group) => ["", ...rootBlock(group, text, width, paint)]);
  return [
    ...headLines(text, width, paint),
    ...(about === null ? [] : aboutLines(about, width)),
    ...blocks,
    ...furtherLines(groups.slice(MOST_IN_FULL), width, paint),
    ...text.live,
    ...tableLines(why, width),
    ...(next.length === 0 ? [] : ["", "Next:", ...next.flatMap((command) => nextLines(command, width, paint))]),
  ];
}

const aboutLines = ({ uniqueId, words, response }: NonNullable<WhyText["about"]>, width: number): string[] => {
  const said = Object.entries(response ?? {}).map(([name, value]) => `${name} ${value}`);
  const warehouse = said.length === 0 ? [] : wrapped(`warehouse: ${said.join(", ")}`, width, "  ");
  return ["", ...wrapped(`${uniqueId}: ${words}`, width, ""), ...warehouse];
};

const MARKS: Readonly<Record<string, readonly [string, "green" | "red" | "blue" | "dim"]>> = {
  green: ["✔ green", "green"],
  running: ["▸ running", "blue"],
  skipped: ["- skipped", "dim"],
};

function headLines({ why, roots }: WhyText, width: number, paint: Paint): string[] {
  const [mark, tone] = MARKS[why.state] ?? [`✘ ${why.state}`, "red"];
  const round = why.round > 1 ? `, round ${why.round}` : "";
  const head = `${paint(tone, mark)}  run ${paint("bold", why.runId)} of ${why.project}${round}`;
  return [head, ...wrapped(headSentence(why, roots), width, "  ")];
}

function headSentence({ state, verdict }: RunWhy, roots: readonly Root[]): string {
  const causes = counted(roots.length, "root cause");
  if (state === "running")
    return roots.length === 0 ? "Nothing has failed so far." : `It goes on, with ${causes} so far.`;
  const sentence = verdict?.split("\n")[0] ?? "";
  if (roots.length === 0) return sentence;
  const below = roots.reduce((sum, root) => sum + root.notBuilt.count, 0);
  const not =
    below === 0
      ? ""
      : `, ${counted(below, "vertex", "vertices")} not built because of ${roots.length === 1 ? "it" : "them"}`;
  return state === "stopped" ? `${sentence} ${causes} beside that${not}.` : `${causes}${not}.`;
}

/** Roots that differ in their vertex alone are one thing to mend, and one block. */
function alike(roots: readonly Root[]): Root[][] {
  const key = (root: Root, at: number) =>
    root.uniqueId === null || root.message === null ? `${at}` : withoutWhose(`: ${root.message}`);
  const entries = roots.map((root, at) => ({ root, key: key(root, at) }));
  return [...Map.groupBy(entries, (entry) => entry.key).values()].map((group) => group.map(({ root }) => root));
}

function rootBlock([root, ...others]: readonly Root[], text: WhyText, width: number, paint: Paint): string[] {
  const { uniqueId, message, lines, decision, advice } = root!;
  const label = (name: string, body: string) => labelled(name, wrapped(body, width, INDENT));
  return [
    titleOf(root!, paint),
    ...(others.length === 0 ? [] : label("the same", namesOf(others.map((other) => other.uniqueId!)))),
    ...messageLines([message ?? "dbt gave no message.", ...lines].join("\n"), width, uniqueId === null),
    ...(decision === null ? [] : label("decision", decision)),
    ...(advice === null ? [] : label("→", advice)),
    ...labelled(
      "tried",
      root!.tried.flatMap((attempt) => attemptLines(attempt, root!, text.why.round, width)),
    ),
    ...(root!.table === null ? [] : label("table", root!.table.words)),
    ...(root!.notBuilt.count === 0 ? [] : label("not built", `${someWords(root!.notBuilt)} because of it`)),
    ...foundLines(root!, text, width),
    ...reproduceLines(root!, text, width),
  ];
}

const INDENT = "             ";

/** `  label      first line`, and the rest below it. */
const labelled = (label: string, lines: readonly string[]): string[] =>
  lines.map((line, at) => (at === 0 ? `  ${label.padEnd(INDENT.length - 2)}${line.trimStart()}` : line));

function titleOf({ uniqueId, resourceType, status }: Root, paint: Paint): string {
  if (uniqueId === null) return paint("red", "✘ the run itself");
  const type = (resourceType ?? "").replace("_", " ");
  return `${paint("red", `✘ ${nodeName(uniqueId)}`)}  ${type}  ${paint("red", status ?? "no result")}`;
}

function messageLines(message: string, width: number, isWhole: boolean): string[] {
  const lines = wrapped(message, width, "    ");
  const most = isWhole ? 2 * MOST_MESSAGE_LINES : MOST_MESSAGE_LINES;
  return lines.length <= most ? lines : [...lines.slice(0, most - 2), "    …", lines.at(-1)!];
}

function attemptLines(attempt: Attempt, root: Root, runRound: number, width: number): string[] {
  const { task, kind, round, startedAt, tookMs, status, message, build, goesOn } = attempt;
  const which = runRound > 1 || round === 0 ? `, round ${round}` : "";
  const at = startedAt === null ? "" : `  ${startedAt.slice(11, 19)}`;
  const took = tookMs === null ? "" : `  ${duration(tookMs)}`;
  const word = status ?? (goesOn ? "goes on" : build === null ? "failed (what dbt said was not kept)" : "cut off");
  const line = `task ${task} ${kind}${which}${at}${took}  ${word}`;
  const other = build ?? (message !== null && message !== root.message ? firstLine(message) : null);
  return [...wrapped(line, width, INDENT), ...(other === null ? [] : wrapped(other, width, `${INDENT}  `))];
}

/** What a failed test found, and how to see it. */
function foundLines({ failures, relation, rows, showArgs }: Root, { dbt }: WhyText, width: number): string[] {
  const kept = relation === null ? "" : `, kept in ${relation}`;
  const found =
    failures === null || failures === 0
      ? []
      : labelled("found", wrapped(`${counted(failures, "row")}${kept}`, width, INDENT));
  const some = rows === null ? [] : sampleLines(rows, width);
  if (showArgs === null) return [...found, ...some];
  return [
    ...found,
    ...some,
    rows === null ? "  see them:" : "  see more:",
    ...wrappedCommand(dbt(showArgs), width, "    "),
  ];
}

/** A small table; what is wider than the terminal is cut at its end. */
function sampleLines({ columns, rows }: NonNullable<Root["rows"]>, width: number): string[] {
  const oneLine = (value: string | null) => (value ?? "null").replace(/\s+/g, " ");
  const cells = [columns, ...rows.map((row) => row.map(oneLine))];
  const widths = columns.map((_, at) =>
    Math.min(MOST_CELL_CHARACTERS, Math.max(...cells.map((row) => (row[at] ?? "").length))),
  );
  return cells.map((row) => {
    const line = widths.map((most, at) => cut(row[at] ?? "", most).padEnd(most)).join("  ");
    return `    ${cut(line.trimEnd(), width - 4)}`;
  });
}

const MOST_CELL_CHARACTERS = 30;

function reproduceLines({ reproduceArgs }: Root, { dbt, variables }: WhyText, width: number): string[] {
  if (reproduceArgs === null) return [];
  const needs = variables.length === 0 ? "" : ` (with ${variables.join(", ")} in the environment)`;
  return [...wrapped(`do it again${needs}:`, width, "  "), ...wrappedCommand(dbt(reproduceArgs), width, "    ")];
}

function furtherLines(groups: readonly (readonly Root[])[], width: number, paint: Paint): string[] {
  const lines = groups.slice(0, MOST_IN_A_LINE).flatMap(([root, ...others]) => {
    const more = others.length === 0 ? "" : ` and ${others.length} more`;
    const name = root!.uniqueId === null ? "the run itself" : nodeName(root!.uniqueId);
    const [first = "", ...rest] = wrapped(`${name}${more}: ${firstLine(root!.message)}`, width, "  ");
    return [`${paint("red", "✘")} ${first.trimStart()}`, ...rest];
  });
  const left = groups.length - MOST_IN_A_LINE;
  const told = left > 0 ? [`  … and ${counted(left, "more cause")}: use --json for all of them`] : [];
  return lines.length === 0 ? [] : ["", ...lines, ...told];
}

/** What stands in the warehouse, where that is not all of this run. */
function tableLines({ tables, roots, live }: RunWhy, width: number): string[] {
  if (live !== null || (roots.length === 0 && tables.stale.count === 0)) return [];
  const { fresh, stale, perhaps_replaced: replaced, unknown } = tables;
  const lines = [
    fresh.count > 0 ? `${counted(fresh.count, "node")} built by this run` : "",
    stale.count > 0 ? `${someWords(stale)} as an earlier run left it` : "",
    replaced.count > 0 ? `${someWords(replaced)} perhaps replaced, and failed` : "",
    unknown.count > 0 ? `${someWords(unknown)} failed or cut off: not known` : "",
  ].filter((line) => line !== "");
  return lines.length === 0 ? [] : ["", "Tables:", ...lines.flatMap((line) => wrapped(line, width, "  "))];
}

/** `4 (customers, orders_by_day, 2 more)`. */
export function someWords({ count, first }: Some): string {
  const names = namesOf(first, count);
  return names === "" ? `${count}` : `${count} (${names})`;
}

const MOST_NAMED = 3;

function namesOf(ids: readonly string[], count = ids.length): string {
  const names = ids.slice(0, MOST_NAMED).map(nodeName);
  const left = count - names.length;
  return names.length === 0 ? "" : [...names, ...(left > 0 ? [`${left} more`] : [])].join(", ");
}

function nextLines({ words, does }: NextCommand, width: number, paint: Paint): string[] {
  return [...wrappedCommand(words, width, "  "), ...wrapped(does, width, "      ").map((line) => paint("dim", line))];
}
