import { PROJECT_CAUSES } from "#core/contracts/cause.ts";
import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { Policy } from "#core/contracts/settings.ts";
import { backOffMs } from "#core/run/deciding/back-off.ts";
import { isOver, overAtMs } from "#core/run/judging/vertex-view.ts";
import { MOST_TAKEN, wasTaken } from "#core/run/watching/capacity.ts";

/**
 * Tasks of the execution queue that ended before any vertex began (killed at parse, no connection, a failed start hook)
 * use nobody's tries, so they have a bound and a back-off of their own. Answers from when on a task may be launched, in
 * milliseconds; null: the bound is reached, nothing more is launched. See docs/adr/0019-silent-tasks-have-a-bound.md.
 */
export function quietUntilMs(tasks: readonly TaskRow[], rows: readonly VertexRow[], policy: Policy): number | null {
  const silent = unbegun(tasks, rows).filter((task) => isOver(task) && !cleanAndEmpty(task));
  // What was taken away has a bound of its own: nothing that ran there is to blame (behaviour D21).
  const own = silent.filter((task) => !wasTaken(task)).length;
  if (own > policy.launchFailures || silent.length - own > MOST_TAKEN) return null;
  const last = silent.at(-1);
  return last ? overAtMs(last) + backOffMs(own, policy) : 0;
}

/**
 * A fallback or recovery build that could not even begin for a cause of the project's own (a model was deleted since the
 * producer's build): no further task is spent on it, as after such a producer.
 */
export function brokenProject(tasks: readonly TaskRow[], rows: readonly VertexRow[]): TaskRow | null {
  return unbegun(tasks, rows).find(({ end }) => end && PROJECT_CAUSES.has(end.cause.kind)) ?? null;
}

/** Tasks of the execution queue in which no vertex has begun. */
function unbegun(tasks: readonly TaskRow[], rows: readonly VertexRow[]): TaskRow[] {
  const begun = new Set(rows.flatMap((row) => row.tryTasks));
  return tasks.filter(({ task, kind }) => (kind === "fallback" || kind === "recovery") && !begun.has(task));
}

/** A build in order that had only vertices which dbt never builds. */
const cleanAndEmpty = (task: TaskRow): boolean => task.end?.inOrder === true && task.end.cause.kind === "none";
