import type { TaskRow } from "#core/contracts/ledger.ts";
import type { LaunchDecision } from "#core/run/deciding/decision.ts";
import type { Standing } from "#core/run/deciding/recovery-set.ts";

/** Whether a task's container ran out of memory, by its supervisor's or by ECS' word. */
export const ranOutOfMemory = (task: TaskRow): boolean =>
  task.end?.cause.kind === "out_of_memory" || task.stop?.outOfMemory === true;

/**
 * The size of a set's task: the execution queue's, unless each of its vertices asks for the producer's (behaviour H5)
 * and none was in a build that ran out of memory (D4).
 */
export function sizeOfSet(
  uniqueIds: readonly string[],
  standing: Standing,
  tasks: readonly TaskRow[],
): LaunchDecision["size"] {
  const short = new Set(tasks.filter(ranOutOfMemory).map((task) => task.task));
  const isSmall = (id: string) => {
    const { plan, row } = standing.views.get(id)!;
    const ranIn = [...(row?.tryTasks ?? []), ...(row?.lostTasks ?? [])];
    return plan.overrides.size === "producer" && !ranIn.some((task) => short.has(task));
  };
  return uniqueIds.length > 0 && uniqueIds.every(isSmall) ? "producer" : "queue";
}
