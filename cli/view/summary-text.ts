import type { NodeReport, VertexReport } from "#core/run/report.ts";
import type { RunSummary } from "#core/run/summary.ts";
import { nodeTable, type TableSize } from "./node-table.ts";
import { duration, type Paint } from "./style.ts";

const MAX_CAUSES = 10;
const MAX_MESSAGE_LINES = 6;

/** `status` for people: the table of nodes, then the verdict with what stands behind it. */
export function statusText(summary: RunSummary, size: TableSize, paint: Paint, nowMs: number): string[] {
  return [
    `${paint("bold", `run ${summary.runId}`)} of ${summary.project}${summary.round > 1 ? `, round ${summary.round}` : ""}`,
    "",
    ...(summary.nodes.length === 0 ? [] : [...nodeTable(summary.nodes, size, paint, nowMs), ""]),
    ...verdictText(summary, paint),
  ];
}

/** Verdict, counts, times, what was retried and what went wrong. */
export function verdictText(summary: RunSummary, paint: Paint): string[] {
  return [
    verdictLine(summary, paint),
    `  ${countsLine(summary)}`,
    `  ${timesLine(summary)}`,
    ...retriedLines(summary),
    ...causeLines(summary, paint),
    ...foundLines(summary),
    ...summary.warnings.map((warning) => `  ${paint("yellow", "warning")}  ${warning}`),
    ...driftLines(summary, paint),
  ];
}

function verdictLine(summary: RunSummary, paint: Paint): string {
  const sentence = verdictSentence(summary);
  switch (summary.state) {
    case "green":
      return `${paint("green", "✔ green")}  ${sentence}`;
    case "running":
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
  const verdict = summary.verdict ?? "The run is not over yet.";
  const cause = summary.causes[0]?.sentence ?? "";
  const before = cause === "" ? -1 : verdict.indexOf(`: ${cause}`);
  const kept = before > 0 ? `${verdict.slice(0, before)}.` : verdict;
  return kept.split("\n")[0] ?? "";
}

/** `26 good, 1 failed, 4 upstream failed (12 models, 3 seeds, 20 tests)`: zeroes are left out. */
export function countsLine(summary: RunSummary): string {
  const words: Readonly<Record<string, string>> = { not_built: "not built", doomed: "upstream failed" };
  const { reused } = summary;
  const counts = Object.entries(summary.counts)
    .filter(([, count]) => count > 0)
    .map(
      ([word, count]) =>
        `${count} ${words[word] ?? word}${word === "good" && reused > 0 ? `, ${reused} of them reused` : ""}`,
    );
  const types = new Map<string, number>();
  for (const vertex of [...summary.nodes, ...summary.tests, ...summary.others]) {
    const type = vertex.resourceType.replace("_", " ");
    types.set(type, (types.get(type) ?? 0) + 1);
  }
  const parts = [...types].map(([type, count]) => plural(count, type));
  return counts.length === 0 ? "nothing planned" : `${counts.join(", ")} (${parts.join(", ")})`;
}

/** `3 tests`, `1 saved query`, `2 saved queries`. */
const plural = (count: number, type: string): string =>
  `${count} ${count === 1 ? type : `${type.replace(/y$/, "ie")}s`}`;

function timesLine(summary: RunSummary): string {
  const { wallMs, dbtMs, tailMs } = summary.timings;
  const builds = summary.tasks.length === 1 ? "1 dbt build" : `${summary.tasks.length} dbt builds`;
  const tail = tailMs === null ? "" : `, last result to end ${duration(tailMs)}`;
  return `wall clock ${duration(wallMs)}, of which dbt ${duration(dbtMs)} in ${builds}${tail}`;
}

function retriedLines(summary: RunSummary): string[] {
  const retried = [...summary.nodes, ...summary.tests].filter((vertex) => vertex.tries > 1);
  return retried.map((vertex) => `  retried  ${vertex.uniqueId}: ${vertex.tries} tries, ${outcomeOf(vertex)}`);
}

const outcomeOf = (vertex: VertexReport | NodeReport): string =>
  vertex.class === "good" ? "good in the end" : vertex.class;

function causeLines(summary: RunSummary, paint: Paint): string[] {
  const shown = summary.causes.slice(0, MAX_CAUSES).flatMap((cause) => {
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
  const more = summary.causes.length - MAX_CAUSES;
  return more > 0 ? [...shown, `  … and ${more} more causes: use --json for all of them`] : shown;
}

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
  return found.map((test) => {
    const place = test.relation === null ? "" : `, kept in ${test.relation}`;
    return `  found  ${test.uniqueId}: ${test.failures} ${test.failures === 1 ? "failure" : "failures"}${place}`;
  });
}

function driftLines(summary: RunSummary, paint: Paint): string[] {
  const unknown = summary.drift.contradictions.filter((entry) => entry.knownReason === null);
  if (unknown.length === 0) return [];
  const note = `run_results.json contradicts the log for ${unknown.length} vertices in a way that no known dbt does; the log was believed`;
  return [`  ${paint("yellow", "drift")}  ${note}: ${unknown.map((entry) => entry.uniqueId).join(", ")}`];
}
