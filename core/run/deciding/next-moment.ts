import type { TaskRow } from "#core/contracts/ledger.ts";
import type { StepInput } from "#core/run/deciding/decision.ts";
import { step } from "#core/run/deciding/step.ts";
import { isOver } from "#core/run/judging/vertex-view.ts";
import { lastSignMs } from "#core/run/watching/task-watch.ts";

/** How far ahead it is looked for, unless the caller says less: no delay of ours is longer. Milliseconds. */
const HORIZON_MS = 15 * 60_000;
/** How exactly the moment is found, unless the caller needs it less so. Milliseconds. */
const EXACT_MS = 100;

/**
 * When the step would decide something, if nothing but the time changed: looked for by asking it, so that no rule about
 * time stands here a second time. Null, by one question: not within `horizonMs`, since what time has made due stays due
 * for as long as nobody does it. Else by one more for each halving of the horizon down to `exactMs`: a step over 23,000
 * vertices takes a quarter of a second.
 */
export function nextMomentMs(asked: StepInput, horizonMs = HORIZON_MS, exactMs = EXACT_MS): number | null {
  // What is held back from now on is held since now.
  // What is being stopped is no news until it has ended, and that is told.
  const { heldSinceMs, stopTasks: stopsAlready } = step(asked);
  const decides = (nowMs: number) => {
    const tasks = asked.tasks.map((task) => beatingOn(task, nowMs - asked.nowMs));
    const { launches, finals, settle, stopTasks } = step({ ...asked, tasks, heldSinceMs, nowMs });
    return launches.length + finals.length > 0 || settle || (stopTasks && !stopsAlready);
  };
  const after = (steps: number) => asked.nowMs + steps * exactMs;
  let [before, due] = [0, Math.floor(horizonMs / exactMs)];
  if (!decides(after(due))) return null;
  while (due - before > 1) {
    const middle = Math.floor((before + due) / 2);
    if (decides(after(middle))) due = middle;
    else before = middle;
  }
  return after(due);
}

/** A build that goes on is none whose heart has stopped. */
const beatingOn = (task: TaskRow, forMs: number): TaskRow =>
  isOver(task) || task.startedAtMs === undefined ? task : { ...task, heartbeatAtMs: lastSignMs(task) + forMs };
