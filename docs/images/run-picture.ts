import { text } from "node:stream/consumers";
import type { NodeReport, TaskReport } from "#core/run/reporting/report.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";

/**
 * Draws a run as the README shows it: `npx stepwatch status <run> --json | node docs/images/run-picture.ts > run.svg`.
 * One lane a task, one bar a node from its last start to its end, green or red as the node ended.
 */
const ROW = 19;
const LEFT = 210;
const WIDTH = 980;
const COLOURS: Readonly<Record<string, string>> = {
  good: "#2da44e",
  failed: "#cf222e",
  doomed: "#cf222e",
  interrupted: "#bf8700",
  task: "#8c959f",
};

const summary = JSON.parse(await text(process.stdin)) as RunSummary;
const startMs = Date.parse(summary.timings.startedAt);
const endMs = startMs + summary.timings.wallMs;
const x = (ms: number) => LEFT + ((ms - startMs) / (endMs - startMs)) * (WIDTH - LEFT - 100);
const xml = (words: string) => words.replace(/[<&>]/g, (sign) => ({ "<": "&lt;", "&": "&amp;", ">": "&gt;" })[sign]!);

interface Bar {
  readonly label: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly colour: string;
  readonly note: string;
}

const taskBar = (task: TaskReport): Bar => ({
  label: `task ${task.task}: ${task.kind}`,
  from: task.startedAt,
  to: task.finishedAt,
  colour: COLOURS.task!,
  note: task.vertices === null ? "dbt build" : `${task.vertices} ${task.vertices === 1 ? "vertex" : "vertices"}`,
});

const nodeBar = (node: NodeReport): Bar => ({
  label: node.uniqueId.split(".").slice(2).join("."),
  from: node.startedAt,
  to: node.finishedAt,
  colour: COLOURS[node.class] ?? COLOURS.task!,
  note: node.tries > 1 ? `${node.tries} tries` : node.class === "doomed" ? "upstream failed" : "",
});

function row(bar: Bar, index: number): string {
  const y = 44 + index * ROW;
  const label = `<text x="${LEFT - 10}" y="${y + 12}" text-anchor="end">${xml(bar.label)}</text>`;
  if (bar.from === null || bar.to === null) {
    return `${label}<text x="${LEFT}" y="${y + 12}" fill="${bar.colour}">${xml(bar.note || "not built")}</text>`;
  }
  const from = x(Date.parse(bar.from));
  const wide = Math.max(3, x(Date.parse(bar.to)) - from);
  return `${label}<rect x="${from.toFixed(1)}" y="${y + 2}" width="${wide.toFixed(1)}" height="13" rx="2" fill="${bar.colour}"/><text x="${(from + wide + 6).toFixed(1)}" y="${y + 12}" fill="#57606a">${xml(bar.note)}</text>`;
}

const nodes = summary.nodes.filter((node) => node.tries > 0 || node.class === "doomed");
const byStart = nodes.toSorted(
  (a, b) =>
    Date.parse(a.startedAt ?? summary.timings.finishedAt ?? "") -
    Date.parse(b.startedAt ?? summary.timings.finishedAt ?? ""),
);
const bars = [...summary.tasks.map(taskBar), ...byStart.map(nodeBar)];
const height = 60 + bars.length * ROW;
const title = `${summary.project}: ${summary.state} after ${(summary.timings.wallMs / 1000).toFixed(0)} s, ${summary.tasks.length} dbt builds`;
process.stdout.write(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="ui-monospace, monospace" font-size="12">
<title>${xml(title)}</title>
<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
<text x="12" y="24" font-size="14" font-weight="bold" fill="${COLOURS[summary.state === "green" ? "good" : "failed"]}">${xml(title)}</text>
${bars.map(row).join("\n")}
</svg>
`);
