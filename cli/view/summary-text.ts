import { counted } from "#core/counted.ts";
import type { NodeReport, VertexReport } from "#core/run/reporting/report.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { costText } from "./cost-text.ts";
import { nodeName, nodeTable, type TableSize } from "./node-table.ts";
import { roundLines } from "./rounds-text.ts";
import { duration, type Paint } from "./style.ts";

const MAX_CAUSES = 10;
const MAX_MESSAGE_LINES = 6;

/**
 * `status` for people: the table of nodes, then the verdict with what stands behind it.
 * @param ended how the run's machine ended, where it did so without a verdict
 */
export function statusText(
  summary: RunSummary,
  size: TableSize,
  paint: Paint,
  nowMs: number,
  ended: string | null = null,
): string[] {
  return [
    `${paint("bold", `run ${summary.runId}`)} of ${summary.project}${summary.job === null ? "" : `, job ${summary.job}`}${summary.round > 1 ? `, round ${summary.round}` : ""}`,
    "",
    ...(summary.nodes.length === 0 ? [] : [...nodeTable(summary.nodes, size, paint, nowMs), ""]),
    ...verdictText(summary, paint, nowMs, ended),
  ];
}

/** Verdict, counts, times, what was retried and what went wrong. */
export function verdictText(
  summary: RunSummary,
  paint: Paint,
  nowMs = Date.now(),
  ended: string | null = null,
): string[] {
  return [
    ended === null ? verdictLine(summary, paint) : `${paint("red", "✘ no verdict")}  ${ended}`,
    `  ${countsLine(summary)}`,
    `  ${timesLine(summary)}`,
    ...costLines(summary),
    ...roundLines(summary),
    ...(ended === null ? aliveLines(summary, paint, nowMs) : []),
    ...retriedLines(summary),
    ...causeLines(summary, paint),
    ...foundLines(summary),
    ...summary.warnings.map((warning) => `  ${paint("yellow", "warning")}  ${warning}`),
    ...driftLines(summary, paint),
  ];
}

function stoppingSentence({ by, requestedAt, reason, afterCurrent }: NonNullable<RunSummary["stop"]>): string {
  const at = `${requestedAt.slice(0, 19).replace("T", " ")} UTC`;
  const who = by === null ? `since ${at}` : `by ${by} since ${at}`;
  return `${who}${afterCurrent ? ", after what builds now" : ""}: ${reason}`;
}

function verdictLine(summary: RunSummary, paint: Paint): string {
  const sentence = verdictSentence(summary);
  switch (summary.state) {
    case "green":
      return `${paint("green", "✔ green")}  ${sentence}`;
    case "running":
      if (summary.stop !== null) return `${paint("yellow", "▸ stopping")}  ${stoppingSentence(summary.stop)}`;
      return `${paint("blue", "▸ running")}  ${sentence}`;
    case "skipped":
      return `${paint("dim", "- skipped")}  ${sentence}`;
    default:
      return `${paint("red", `✘ ${summary.state}`)}  ${sentence}`;
  }
}

/**
 * The verdict's first line. That of a red run goes on with its first cause, which stands below in full: it is left out
 * here, unless there is nothing else to say.
 */
function verdictSentence(summary: RunSummary): string {
  const verdict = (summary.verdict ?? "The run is not over yet.").replace(/^Stopped:? (?:stopped )?/, "");
  const cause = summary.causes[0]?.sentence ?? "";
  const before = cause === "" ? -1 : verdict.indexOf(`: ${cause}`);
  const kept = before > 0 ? `${verdict.slice(0, before)}.` : verdict;
  return kept.split("\n")[0] ?? "";
}

/** Classes that people read in other words than the contract has. */
const SPOKEN: Readonly<Record<string, string>> = { not_built: "not built", doomed: "upstream failed" };

/** `26 good, 1 failed, 4 upstream failed (12 models, 3 seeds, 20 tests)`: zeroes are left out. */
export function countsLine(summary: RunSummary): string {
  const counts = Object.entries(summary.counts)
    .filter(([, count]) => count > 0)
    .map(([word, count]) => `${count} ${SPOKEN[word] ?? word}${word === "good" ? reusedWords(summary) : ""}`);
  const types = new Map<string, number>();
  for (const vertex of [...summary.nodes, ...summary.tests, ...summary.others]) {
    const type = vertex.resourceType.replace("_", " ");
    types.set(type, (types.get(type) ?? 0) + 1);
  }
  const parts = [...types].map(([type, count]) => counted(count, type));
  const isCommand = summary.tasks.length > 0 && summary.tasks.every(({ kind }) => kind === "command");
  if (counts.length === 0 && isCommand) return counted(summary.tasks.length, "command of dbt's", "commands of dbt's");
  if (counts.length === 0 && summary.state === "running") return "not planned yet: dbt reads the project";
  return counts.length === 0 ? "nothing planned" : `${counts.join(", ")} (${parts.join(", ")})`;
}

/** What dbt had already, and how long that took when it was last built. */
function reusedWords({ reused, savedMs }: RunSummary): string {
  if (reused === 0) return "";
  return `, ${reused} of them reused${savedMs === null ? "" : ` (${duration(savedMs)} of building saved)`}`;
}

/** Sign of life that is late by so much is worth a line: six heartbeats by default. Milliseconds. */
const SILENT_MS = 60_000;

/** What is on its way to dbt, and what has not been heard of for a while, of a run that goes on. */
function aliveLines(summary: RunSummary, paint: Paint, nowMs: number): string[] {
  if (summary.state !== "running") return [];
  return summary.tasks.flatMap((task) => {
    if (task.state === "over") return [];
    const name = `task ${task.task} (${task.kind})`;
    if (task.startedAt === null) return [`  ${name} is being started: its container has not begun`];
    const silentMs = nowMs - Date.parse(task.heartbeatAt ?? task.startedAt);
    if (silentMs < SILENT_MS) return [];
    const words = `${name} has been silent for ${duration(silentMs)}: the run's next turns ask ECS what became of it`;
    return [`  ${paint("yellow", "silent")}  ${words}`];
  });
}

function timesLine(summary: RunSummary): string {
  const { wallMs, dbtMs, tailMs } = summary.timings;
  const tail = tailMs === null ? "" : `, last result to end ${duration(tailMs)}`;
  return `wall clock ${duration(wallMs)}, of which dbt ${duration(dbtMs)} in ${counted(summary.tasks.length, "dbt build")}${tail}`;
}

/** `cost about $0.021: Fargate $0.014, …`: parts that come to nothing are left out. */
function costLines({ cost }: RunSummary): string[] {
  if (cost === null) return [];
  return [`  ${costText(cost)}`];
}

function retriedLines(summary: RunSummary): string[] {
  const retried = [...summary.nodes, ...summary.tests].filter((vertex) => vertex.tries > 1);
  return firstOf(
    retried.map((vertex) => `  retried  ${nodeName(vertex.uniqueId)}: ${vertex.tries} tries, ${outcomeOf(vertex)}`),
    "retried",
  );
}

/** Lines of one kind that a person reads; the rest of them is a number. */
const MOST_ALIKE = 8;

const firstOf = (lines: readonly string[], kind: string): string[] =>
  lines.length <= MOST_ALIKE
    ? [...lines]
    : [...lines.slice(0, MOST_ALIKE - 1), `  … and ${lines.length - MOST_ALIKE + 1} more ${kind}: use --json for all`];

const outcomeOf = (vertex: VertexReport | NodeReport): string =>
  vertex.class === "good" ? "good in the end" : (SPOKEN[vertex.class] ?? vertex.class);

function causeLines(summary: RunSummary, paint: Paint): string[] {
  const alike = grouped(summary.causes);
  const shown = alike.slice(0, MAX_CAUSES).flatMap((cause) => {
    const gated = cause.gates > 0 ? ` (${cause.gates} not built because of it)` : "";
    const [first = "", ...more] = cause.sentence.split("\n");
    const body = beginningAndEnd([...more, ...linesBeyond(cause)], MAX_MESSAGE_LINES).map((line) =>
      paint("dim", `         ${line}`.trimEnd()),
    );
    const next = cause.nextStep === undefined ? [] : [`         → ${cause.nextStep}`];
    // The verdict above is this sentence, word for word, where there is nothing else to say.
    const head =
      `${first}${gated}` === verdictSentence(summary) ? [] : [`  ${paint("red", "cause")}  ${first}${gated}`];
    return [...head, ...body, ...next];
  });
  const more = alike.length - MAX_CAUSES;
  return more > 0 ? [...shown, `  … and ${counted(more, "more cause")}: use --json for all of them`] : shown;
}

/** Ids that a cause of many names. */
const MOST_NAMED = 4;

/**
 * Causes that differ in their vertex alone are one line: eight nodes that name the same missing table are one thing to
 * mend. In order of the first of each.
 */
function grouped(causes: RunSummary["causes"]): RunSummary["causes"] {
  const byText = Map.groupBy(causes, ({ uniqueId = "", sentence }, at) => {
    const alone = uniqueId === "" || !sentence.startsWith(uniqueId);
    return alone ? `${at}` : withoutWhose(sentence.slice(uniqueId.length));
  });
  return [...byText.values()].map((alike) => {
    const [first] = alike;
    if (alike.length === 1) return first!;
    const names = alike.map((cause) => nodeName(cause.uniqueId!));
    const told =
      names.length <= MOST_NAMED ? names : [...names.slice(0, MOST_NAMED - 1), `${names.length - MOST_NAMED + 1} more`];
    const gates = alike.reduce((sum, cause) => sum + cause.gates, 0);
    return { ...first!, gates, sentence: `${told.join(", ")}${first!.sentence.slice(first!.uniqueId!.length)}` };
  });
}

/** dbt's head of a message names the vertex and its file: all that differs between failures of one cause. */
export const withoutWhose = (text: string): string => text.replace(/ Error in \w+ \S+ \([^)]*\)/, " Error");

/** The first lines and the last one, which alone tells what is wrong in a traceback. */
function beginningAndEnd(lines: readonly string[], most: number): readonly string[] {
  const told = lines.findLastIndex((line) => line.trim() !== "") + 1;
  return told <= most ? lines.slice(0, most) : [...lines.slice(0, most - 2), "…", lines[told - 1]!];
}

/** The log's lines behind a cause, without those that its sentence has already. */
function linesBeyond({ sentence, lines }: RunSummary["causes"][number]): string[] {
  const words = (text: string) => text.replace(/\s+/g, " ").trim();
  const said = words(sentence);
  return lines.flatMap((line) => line.split("\n")).filter((line) => !said.includes(words(line)));
}

/** What failed tests found, and where dbt keeps it for whoever asked it to (`--store-failures`). */
function foundLines(summary: RunSummary): string[] {
  const found = summary.tests.filter((test) => test.class === "failed" && (test.failures ?? 0) > 0);
  const lines = found.map((test) => {
    const place = test.relation === null ? "" : `, kept in ${test.relation}`;
    return `  found  ${nodeName(test.uniqueId)}: ${counted(test.failures ?? 0, "failure")}${place}`;
  });
  return firstOf(lines, "found");
}

function driftLines(summary: RunSummary, paint: Paint): string[] {
  const unknown = summary.drift.contradictions.filter((entry) => entry.knownReason === null);
  if (unknown.length === 0) return [];
  const note = `run_results.json contradicts the log for ${unknown.length} vertices in a way that no known dbt does; the log was believed`;
  return [`  ${paint("yellow", "drift")}  ${note}: ${unknown.map((entry) => entry.uniqueId).join(", ")}`];
}
