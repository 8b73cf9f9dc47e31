import { counted } from "#core/counted.ts";
import type { NodeReport } from "#core/run/reporting/report.ts";
import { isSettled, nodeState } from "./node-state.ts";
import { cut, duration, type Paint } from "./style.ts";

export interface TableSize {
  /** Columns of the terminal. */
  readonly width: number;
  /** Lines that the table may take; more nodes than that are folded into one line. */
  readonly height: number;
}

const STATE_WIDTH = 15;
const TYPE_WIDTH = 8;
const TIME_WIDTH = 12;
const MIN_NAME_WIDTH = 16;
const MAX_NAME_WIDTH = 44;
/** Shorter ones would be cut to nothing that helps. */
const MIN_NOTES_WIDTH = 8;

/** The part of a unique_id that a person calls the vertex: `model.shop.orders.v2` → `orders.v2`; of a test without its hash. */
export function nodeName(uniqueId: string): string {
  const [type, , ...name] = uniqueId.split(".");
  const shown = type === "test" && name.length > 1 ? name.slice(0, -1) : name;
  return shown.join(".") || uniqueId;
}

/** One line per node, in the plan's order. */
export function nodeTable(nodes: readonly NodeReport[], size: TableSize, paint: Paint, nowMs: number): string[] {
  const shown = fitting(nodes, size.height);
  const nameOf = uniqueNames(nodes);
  const nameWidth = Math.min(
    MAX_NAME_WIDTH,
    nodes.reduce((most, node) => Math.max(most, nameOf(node.uniqueId).length), MIN_NAME_WIDTH),
  );
  const lines = shown.map((node) => nodeLine(node, { nameWidth, nameOf, width: size.width, paint, nowMs }));
  return shown.length === nodes.length ? lines : [...lines, paint("dim", cut(folded(nodes, shown), size.width))];
}

/** What a person calls each node; those of one name in two packages are told apart by the package: `shop.orders`. */
export function uniqueNames(nodes: readonly NodeReport[]): (uniqueId: string) => string {
  const times = new Map<string, number>();
  for (const { uniqueId } of nodes) times.set(nodeName(uniqueId), (times.get(nodeName(uniqueId)) ?? 0) + 1);
  return (uniqueId) => {
    const name = nodeName(uniqueId);
    return (times.get(name) ?? 0) > 1 ? `${uniqueId.split(".")[1] ?? ""}.${name}` : name;
  };
}

interface LineLayout {
  /** What a person calls the node; its own name if absent. */
  readonly nameOf?: (uniqueId: string) => string;
  readonly nameWidth: number;
  readonly width: number;
  readonly paint: Paint;
  readonly nowMs: number;
}

/** `✘ fct_orders          model    red              1.2 s  2 tries  Binder Error: …` */
export function nodeLine(node: NodeReport, layout: LineLayout): string {
  const { paint } = layout;
  const state = nodeState(node);
  const columns = columnsOf(layout);
  const name = cut((layout.nameOf ?? nodeName)(node.uniqueId), columns.name).padEnd(columns.name);
  const type = columns.type ? `${paint("dim", node.resourceType.padEnd(TYPE_WIDTH))} ` : "";
  const time = columns.time ? timeOf(node, layout.nowMs).padStart(TIME_WIDTH) : "";
  const notes = columns.notes < MIN_NOTES_WIDTH ? "" : cut(notesOf(node), columns.notes);
  const behind = notes === "" ? time.trimEnd() : `${time}  ${paint("dim", notes)}`;
  const word = behind === "" ? state.word : state.word.padEnd(STATE_WIDTH);
  return `${paint(state.tone, state.mark)} ${name}  ${type}${paint(state.tone, word)}${behind}`;
}

/** What fits: name and state always, then the time, then the type, then notes. */
function columnsOf({ nameWidth, width }: LineLayout) {
  const least = 2 + 2 + STATE_WIDTH;
  const type = least + nameWidth + TYPE_WIDTH + 1 + TIME_WIDTH <= width;
  const time = least + Math.min(nameWidth, MIN_NAME_WIDTH) + TIME_WIDTH <= width;
  const others = least + (type ? TYPE_WIDTH + 1 : 0) + (time ? TIME_WIDTH : 0);
  const name = Math.max(1, Math.min(nameWidth, width - others));
  return { name, type, time, notes: width - others - name - 2 };
}

function timeOf(node: NodeReport, nowMs: number): string {
  if (node.startedAt === null || node.class === "not_built" || node.class === "doomed") return "";
  const endMs = node.finishedAt === null ? nowMs : Date.parse(node.finishedAt);
  if (node.finishedAt === null && node.class !== "running") return "";
  return duration(endMs - Date.parse(node.startedAt));
}

/** Classes whose message says what is wrong now; a node that waits for its next try still has the last one's. */
const SAYS_WHY: ReadonlySet<string> = new Set(["failed", "interrupted", "not_built", "doomed"]);

function notesOf(node: NodeReport): string {
  const failedTests = node.tests
    .filter((test) => test.class === "failed")
    .map((test) => testWords(test, node.uniqueId));
  const lost = node.batches.filter((batch) => !["success", "started"].includes(batch.status)).length;
  const warned = node.tests.filter((test) => test.status === "warn").length;
  return [
    node.tries > 1 ? `${node.tries} tries` : "",
    lost > 0 ? `${lost} of ${node.batches.length} batches not built` : "",
    SAYS_WHY.has(node.class) ? firstLine(node.message ?? node.reason) : "",
    node.class === "good" && node.reason !== null ? node.reason.toLowerCase().replace(/\.$/, "") : "",
    failedTests.length > 0 ? `failed: ${failedTests.join(", ")}` : "",
    warned > 0 ? counted(warned, "warning") : "",
  ]
    .filter((note) => note !== "")
    .join("  ");
}

/** A failed test, with the other nodes that it is on: it may be another model's rows that it found. */
function testWords({ uniqueId, on = [] }: NodeReport["tests"][number], ofNode: string): string {
  const others = on.filter((id) => id !== ofNode).map(nodeName);
  return others.length === 0 ? nodeName(uniqueId) : `${nodeName(uniqueId)} (also on ${others.join(", ")})`;
}

/** The line of dbt's message that says what is wrong: the first repeats the node's name and path. */
export function firstLine(message: string | null): string {
  const lines = (message ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const [first = "", second] = lines;
  return second !== undefined && /^(?:\[error\] \[[^\]]*\]: )?(?:Database|Runtime|Compilation) Error in /.test(first)
    ? second
    : first;
}

/** What a person wants to see when not all fits: what runs and what went wrong, then what ended last, then what waits. */
function fitting(nodes: readonly NodeReport[], height: number): readonly NodeReport[] {
  if (nodes.length <= height) return nodes;
  const ranked = nodes.map((node) => ({ node, urgency: urgency(node), lastChange: lastChange(node) }));
  ranked.sort((a, b) => a.urgency - b.urgency || b.lastChange - a.lastChange);
  const chosen = new Set(ranked.slice(0, Math.max(1, height - 1)).map(({ node }) => node));
  return nodes.filter((node) => chosen.has(node));
}

function urgency(node: NodeReport): number {
  const { word } = nodeState(node);
  if (word === "running" || word === "testing") return 0;
  if (word === "red" || word === "interrupted") return 1;
  return isSettled(node) ? 2 : 3;
}

const lastChange = (node: NodeReport): number => Date.parse(node.finishedAt ?? node.startedAt ?? "") || 0;

function folded(nodes: readonly NodeReport[], shown: readonly NodeReport[]): string {
  const seen = new Set(shown);
  const counts = new Map<string, number>();
  for (const node of nodes) {
    if (seen.has(node)) continue;
    const { word } = nodeState(node);
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return `  … and ${[...counts].map(([word, count]) => `${count} ${word}`).join(", ")}`;
}
