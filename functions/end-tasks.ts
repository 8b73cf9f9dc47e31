import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import { isOver } from "#core/run/judging/vertex-view.ts";
import { ended, lastSignMs } from "#core/run/watching/task-watch.ts";
import { observeTasks, stopTasks, type WatchDeps } from "./check-run/launches.ts";
import { orTold } from "./or-told.ts";

export type EndTasksDeps = WatchDeps & { readonly warn: (sentence: string) => void };

/** Silences of a task, in the policy's `lostAfterSeconds`, after which one that nobody can ask about is over. */
const LOST_MANY_TIMES = 5;

/**
 * Stops what lives of a run that nobody checks any more, and asks what became of it. Containers end by the run's stop
 * flag too, so that a permission that is missing here only makes it longer. Repeat it until every task is over.
 */
export async function endTasks(run: RunRow, deps: EndTasksDeps): Promise<void> {
  // A redrive may have opened a later round since the run was read.
  const tasks = (await deps.ledger.readTasks(run)).filter((task) => task.round <= run.round);
  await orTold(deps, `Tasks of run ${run.runId} were not stopped`, () => stopTasks(run, tasks, deps));
  const asked = await orTold(deps, "ECS could not be asked of them", () => observeTasks(run, tasks, deps));
  if (asked === null) await closeSilent(run, tasks, deps);
}

/** ECS can not be asked: a container that has been silent for so long has ended, or will by its deadline. */
async function closeSilent(run: RunRow, tasks: readonly TaskRow[], deps: EndTasksDeps): Promise<void> {
  const silentMs = LOST_MANY_TIMES * run.settings.policy.lostAfterSeconds * 1_000;
  for (const task of tasks) {
    if (isOver(task) || deps.nowMs() - lastSignMs(task) < silentMs) continue;
    await deps.ledger.markStopped(run, task.task, ended(deps.nowMs(), "Silent, and ECS could not be asked of it."));
  }
}
