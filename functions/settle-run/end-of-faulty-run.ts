import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import type { RunReference } from "#core/contracts/payloads.ts";
import { ended, lastSignMs } from "#core/run/task-watch.ts";
import { isOver } from "#core/run/vertex-view.ts";
import { observeTasks, stopTasks, type WatchDeps } from "../check-run/launches.ts";
import { orTold } from "./or-told.ts";

export type FaultDeps = WatchDeps & { readonly warn: (sentence: string) => void };

/** Silences of a task, in the policy's `lostAfterSeconds`, after which one that nobody can ask about is over. */
const LOST_MANY_TIMES = 5;

/**
 * A run whose check could not go on (behaviour D19): that is noted, its tasks are stopped, and what became of them is
 * asked. Containers end by the stop flag too, so that a permission to stop tasks that is missing as well only takes
 * longer. Answers the run as it stands then.
 */
export async function endFaultyRun(reference: RunReference, run: RunRow, deps: FaultDeps): Promise<RunRow> {
  if (run.state !== "running") return run;
  if (reference.error !== undefined && run.readyAtMs === undefined && run.fault === undefined) {
    const { Error: name, Cause: cause } = reference.error;
    const sentence = `The run could not go on: ${name === "Unforeseen" ? cause : `${name}: ${cause}`}`.slice(0, 2_000);
    await deps.ledger.markFault(run, { atMs: deps.nowMs(), sentence });
  }
  const faulty = (await deps.ledger.readRun(run)) ?? run;
  if (faulty.fault === undefined) return faulty;
  const tasks = await deps.ledger.readTasks(run);
  await orTold(deps, "Tasks of a run that could not go on were not stopped", () => stopTasks(faulty, tasks, deps));
  const asked = await orTold(deps, "ECS could not be asked of them", () => observeTasks(faulty, tasks, deps));
  if (asked === null) await closeSilent(faulty, tasks, deps);
  return faulty;
}

/** ECS can not be asked: a container that has been silent for so long has ended, or will by its deadline. */
async function closeSilent(run: RunRow, tasks: readonly TaskRow[], deps: FaultDeps): Promise<void> {
  const silentMs = LOST_MANY_TIMES * run.settings.policy.lostAfterSeconds * 1_000;
  for (const task of tasks) {
    if (isOver(task) || deps.nowMs() - lastSignMs(task) < silentMs) continue;
    await deps.ledger.markStopped(run, task.task, ended(deps.nowMs(), "Silent, and ECS could not be asked of it."));
  }
}
