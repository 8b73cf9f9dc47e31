import { counted } from "#core/counted.ts";
import type { LiveRun, RunningVertex, Wait } from "#core/run/reporting/waits.ts";
import { nodeName } from "./node-table.ts";
import { duration, type Paint } from "./style.ts";
import { wrapped } from "./wrapped.ts";

const MOST_RUNNING = 8;
const MOST_WAITS = 8;

/** What a run does now, who waits for what, and when it is decided about next. */
export function liveText(live: LiveRun, nowMs: number, width: number, paint: Paint): string[] {
  const starting = live.tasks.filter((task) => task.words !== null);
  return [
    ...headed(
      "Running:",
      live.running.slice(0, MOST_RUNNING).map((vertex) => runningLine(vertex, paint)),
      live.running.length - MOST_RUNNING,
    ),
    ...headed(
      "Starting:",
      starting.map((task) => `task ${task.task} (${task.kind}), for ${duration(task.forMs)}: ${task.words}`),
    ),
    ...headed(
      "Waiting:",
      live.waits.slice(0, MOST_WAITS).map((wait) => waitLine(wait, nowMs)),
      live.waits.length - MOST_WAITS,
    ),
    "",
    ...wrapped(`Next decision: ${nextWords(live, nowMs)}. Deadline: ${clock(live.deadlineAt)}.`, width, ""),
  ];

  function headed(title: string, lines: readonly string[], more = 0): string[] {
    if (lines.length === 0) return [];
    const left = more > 0 ? [`  … and ${more} more: use --json for all`] : [];
    return ["", title, ...lines.flatMap((line) => hanging(line, width)), ...left];
  }
}

/** A line that goes on a little further in. */
function hanging(line: string, width: number): string[] {
  const [first = "", ...rest] = wrapped(line, width - 2, "  ");
  return [first, ...rest.map((more) => `  ${more}`)];
}

/** A vertex that takes twice its usual time, and a while, is worth a colour. */
const LATE_TIMES = 2;
const LATE_MS = 10_000;

function runningLine({ uniqueId, task, forMs, usualMs }: RunningVertex, paint: Paint): string {
  const isLate = usualMs !== null && forMs > LATE_TIMES * usualMs && forMs - usualMs > LATE_MS;
  const usual = usualMs === null ? "" : `, usually ${duration(usualMs)}`;
  const words = `for ${duration(forMs)}${usual}`;
  return `${nodeName(uniqueId)}, in task ${task}, ${isLate ? paint("yellow", words) : words}`;
}

function waitLine({ words, until, count, first }: Wait, nowMs: number): string {
  const when = until === null ? "" : `, at ${clock(until)} (${inWords(until, nowMs)})`;
  if (count === 0) return `${words}${when}`;
  const spoken = words.replace(UNIQUE_ID, nodeName);
  const names = first.slice(0, 3).map(nodeName);
  const more = count - names.length;
  const who = more > 0 ? `${names.join(", ")} and ${counted(more, "other")}` : names.join(", ");
  return `${who}: ${spoken}${when}`;
}

/** An id in a sentence: people read its name. */
const UNIQUE_ID = /\b(?:model|seed|snapshot|test|unit_test|function|exposure)\.\w[\w.]*\w/g;

const nextWords = ({ next }: LiveRun, nowMs: number): string =>
  next.at === null ? next.words : `at ${clock(next.at)} (${inWords(next.at, nowMs)}), ${next.words}`;

/** UTC, as everything that stepwatch says of times. */
const clock = (at: string): string => `${at.slice(11, 19)} UTC`;

const inWords = (at: string, nowMs: number): string => `in ${duration(Date.parse(at) - nowMs)}`;
