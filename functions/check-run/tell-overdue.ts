import type { Events } from "#clients/events.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import { viewVertices } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { overdueEvent } from "#core/run/reporting/warning-events.ts";
import { overdue } from "#core/run/watching/node-timeout.ts";

export interface TellDeps {
  readonly ledger: Ledger;
  readonly events: Pick<Events, "publish">;
  readonly nowMs: () => number;
  /** Takes a sentence for the function's log. */
  readonly warn: (sentence: string) => void;
}

/**
 * Publishes an event for each vertex that runs longer than it may, once a task: the row notes it after the event is out,
 * so that one which dies in between comes again under the same id. It never holds up a decision: what EventBridge refuses
 * is told in the function's log, and tried again with the next look.
 */
export async function tellOverdue(
  run: RunRow,
  plan: Plan,
  rows: readonly VertexRow[],
  tasks: readonly TaskRow[],
  deps: TellDeps,
): Promise<void> {
  const { policy } = run.settings;
  const isAsked = policy.nodeTimeoutMinutes !== undefined || plan.vertices.some((one) => one.overrides.timeoutMinutes);
  if (!isAsked) return;
  const views = viewVertices(plan, rows, tasks, roundOf(run, plan));
  const late = overdue(views.values(), policy, deps.nowMs()).filter((one) => one.isRunning);
  for (const one of late) {
    if (views.get(one.uniqueId)?.row?.overdueTold === one.task) continue;
    try {
      await deps.events.publish([overdueEvent(run, one, deps.nowMs())]);
    } catch (error) {
      deps.warn(`That ${one.uniqueId} of run ${run.runId} runs too long was not published (${String(error)}).`);
      continue;
    }
    await deps.ledger.markOverdueTold(run, one.uniqueId, one.task);
  }
}
