import type { NodeReport } from "#core/run/reporting/report.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { LiveRegion } from "./live-region.ts";
import { nodeState } from "./node-state.ts";
import { nodeLine, nodeTable, uniqueNames } from "./node-table.ts";
import { type Paint, type Terminal, widthOf } from "./style.ts";
import { countsLine } from "./summary-text.ts";

/** What shows a run while it goes on. */
export interface RunView {
  show(summary: RunSummary): void;
  /** A line that stays. */
  note(line: string): void;
  /** Leaves the last state on the screen. */
  close(): void;
}

export interface RunViewOptions {
  readonly terminal: Terminal;
  readonly paint: Paint;
  readonly now: () => number;
}

/** Lines of the screen that are not the table's: phases, a blank line, counts and the prompt. */
const OTHER_LINES = 9;

/** The table, as many lines as the terminal has room for, and the counts while the run goes on: its verdict has them too. */
export function tableFrame(summary: RunSummary, options: RunViewOptions): string[] {
  const { terminal, paint, now } = options;
  const size = { width: widthOf(terminal, 100) - 1, height: Math.max(4, (terminal.rows || 40) - OTHER_LINES) };
  const table = ["", ...nodeTable(summary.nodes, size, paint, now())];
  if (summary.state !== "running") return table;
  const tasks = summary.tasks.filter((task) => task.state !== "over");
  const alive = tasks.map((task) => `task ${task.task} (${task.kind})`).join(", ");
  return [
    ...table,
    "",
    paint("dim", `${countsLine(summary)}${alive === "" ? "" : ` · ${alive}`}`.slice(0, size.width)),
  ];
}

/** The right view for where it goes: a table redrawn in place, or one line for each change. */
export function runView(options: RunViewOptions): RunView {
  return options.terminal.isTTY === true ? tableView(options) : lineView(options);
}

const TICK_MS = 250;

function tableView(options: RunViewOptions): RunView {
  const region = new LiveRegion(options.terminal);
  let last: RunSummary | null = null;
  const draw = () => {
    if (last !== null) region.draw(tableFrame(last, options));
  };
  const timer = setInterval(draw, TICK_MS);
  return {
    show: (summary) => {
      last = summary;
      draw();
    },
    note: (line) => {
      region.print([line]);
      draw();
    },
    close: () => {
      clearInterval(timer);
      draw();
      region.close();
    },
  };
}

/** One plain line for each change: for pipes, CI logs and files. */
export function lineView(options: RunViewOptions): RunView {
  const nodes = new Map<string, string>();
  const tasks = new Map<number, string>();
  return {
    show: (summary) => {
      for (const line of [...changedTasks(summary, tasks), ...changedNodes(summary, nodes, options)])
        options.terminal.write(`${line}\n`);
    },
    note: (line) => void options.terminal.write(`${line}\n`),
    close: () => {},
  };
}

function changedTasks(summary: RunSummary, seen: Map<number, string>): string[] {
  return summary.tasks.flatMap((task) => {
    if (seen.get(task.task) === task.state) return [];
    seen.set(task.task, task.state);
    const what = task.state === "over" ? (task.end ?? "over") : task.reason;
    return [`task ${task.task} (${task.kind}) ${task.state}: ${what}`];
  });
}

function changedNodes(summary: RunSummary, seen: Map<string, string>, options: RunViewOptions): string[] {
  const nameOf = uniqueNames(summary.nodes);
  return summary.nodes.flatMap((node) => {
    const { word } = nodeState(node);
    const state = `${word} ${node.tries}`;
    const before = seen.get(node.uniqueId);
    seen.set(node.uniqueId, state);
    if (before === state || (before === undefined && word === "waiting")) return [];
    return [changeLine(node, nameOf, options)];
  });
}

/** Width of a name in line mode: lines come one by one, so that the longest is not known. */
const LINE_NAME_WIDTH = 32;
const LINE_WIDTH = 160;

function changeLine(node: NodeReport, nameOf: (uniqueId: string) => string, options: RunViewOptions): string {
  const layout = {
    nameOf,
    nameWidth: Math.max(LINE_NAME_WIDTH, nameOf(node.uniqueId).length),
    width: LINE_WIDTH,
    paint: options.paint,
    nowMs: options.now(),
  };
  return nodeLine(node, layout);
}
