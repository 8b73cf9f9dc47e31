import type { Ledger } from "#clients/ledger.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { TaskStillBuilds } from "#core/errors.ts";
import { isOver } from "#core/run/judging/vertex-view.ts";
import { ended } from "#core/run/watching/task-watch.ts";

export interface CloseTasksDeps {
  readonly ledger: Pick<Ledger, "readTasks" | "markStopped">;
  readonly nowMs: () => number;
}

/**
 * A check that decided at the same moment as the last one (it had not seen the stop) may still launch its task. After
 * the verdict it can not take another; the fence of one that has not begun is closed here, one that builds is waited for.
 * @throws TaskStillBuilds
 */
export async function closeTasks(run: RunRow, deps: CloseTasksDeps): Promise<void> {
  for (const task of await deps.ledger.readTasks(run)) {
    if (isOver(task)) continue;
    if (task.state === "running") throw new TaskStillBuilds(run.runId, task.task);
    await deps.ledger.markStopped(run, task.task, ended(deps.nowMs(), "Not begun when the run was settled.", true));
  }
}
