import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import { quietEvent, untoldQuiet } from "#core/run/watching/quiet.ts";
import type { TellDeps } from "./tell-overdue.ts";

/**
 * Publishes an event for each long silence of a dbt that its container has noticed (behaviour A25), once: the row notes it
 * after the event is out. What EventBridge refuses is told in the function's log, and tried again in the next turn.
 */
export async function tellQuiet(run: RunRow, tasks: readonly TaskRow[], deps: TellDeps): Promise<void> {
  for (const task of tasks) {
    const notices = untoldQuiet(task);
    if (notices.length === 0) continue;
    try {
      await deps.events.publish(notices.map((notice) => quietEvent(run, task, notice)));
    } catch (error) {
      deps.warn(`That dbt says nothing in task ${task.task} of run ${run.runId} was not published (${String(error)}).`);
      continue;
    }
    await deps.ledger.markQuietTold(run, task.task, Math.max(...notices.map((notice) => notice.noticedAtMs)));
  }
}
