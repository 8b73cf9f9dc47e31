import type { Cause } from "#core/contracts/cause.ts";
import type { EnvironmentOptions } from "#core/dbt/environment-options.ts";
import { windowLosesRows } from "#core/dbt/options-over.ts";
import { missesItsDates } from "#core/run/deciding/event-window.ts";
import type { TaskBrief } from "./task-brief.ts";

/**
 * Why a build may not be a full refresh, said before dbt is started: beside an event-time window it would leave microbatch
 * tables with the rows of that window alone, or miss rows of it in one that is never replaced, and dbt would call it
 * success (behaviour G17). The command line refuses most of this; a container's environment is known here alone. Null:
 * nothing is wrong.
 */
export function lossOf(
  { task, asked, options, set }: Pick<TaskBrief, "task" | "asked" | "options" | "set">,
  found: EnvironmentOptions,
): Pick<Cause, "sentence" | "nextStep"> | null {
  if (task.kind !== "producer" && set === null) return null;
  // A sample goes before a window, and all tables of it are samples.
  if (options.fullRefresh !== true || options.sample !== undefined) return null;
  const { eventTimeStart, eventTimeEnd } = found;
  const inOptions = windowLosesRows(options);
  const problem = inOptions ?? windowLosesRows({ fullRefresh: true, eventTimeStart, eventTimeEnd });
  const where = inOptions === null ? "In the container's environment, " : "";
  if (problem !== null)
    return {
      sentence: `${where}${problem} Nothing was built.`,
      nextStep: "Take the window, or the full refresh (fullRefresh, --full-refresh, DBT_FULL_REFRESH), away.",
    };
  const kept = set?.vertices.find(missesItsDates);
  if (kept === undefined || asked.eventTimeStart === undefined) return null;
  return {
    sentence: `${kept.uniqueId} has full_refresh: false, and a full refresh would not build the window that the run's dates give it. Nothing was built.`,
    nextStep: "Retry the run without --full-refresh.",
  };
}
