import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { Policy } from "#core/contracts/settings.ts";
import { backOffMs } from "#core/run/back-off.ts";
import { isOver, overAtMs } from "#core/run/vertex-view.ts";

/**
 * Tasks of the execution queue that ended before any vertex began (killed at parse, no connection, a failed start hook)
 * use nobody's tries, so they have a bound and a back-off of their own. Answers from when on a task may be launched, in
 * milliseconds; null: the bound is reached, nothing more is launched. See docs/adr/0019-silent-tasks-have-a-bound.md.
 */
export function quietUntilMs(tasks: readonly TaskRow[], rows: readonly VertexRow[], policy: Policy): number | null {
  const begun = new Set(rows.flatMap((row) => row.tryTasks));
  const silent = tasks.filter(
    (task) =>
      isOver(task) &&
      (task.kind === "fallback" || task.kind === "recovery") &&
      !begun.has(task.task) &&
      !cleanAndEmpty(task),
  );
  if (silent.length > policy.launchFailures) return null;
  const last = silent.at(-1);
  return last ? overAtMs(last) + backOffMs(silent.length, policy) : 0;
}

/** A build in order that had only vertices which dbt never builds. */
const cleanAndEmpty = (task: TaskRow): boolean => task.end?.inOrder === true && task.end.cause.kind === "none";
