import { counted } from "#core/counted.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { countsLine } from "./summary-text.ts";

/** The stop timeout of the containers: SIGINT at once, which lets dbt cancel its queries, SIGKILL near its end. */
const AT_MOST = "two minutes at most";

/**
 * What a stop will do to a run as it stands, said before it is done.
 * @param stop.ended how its execution has ended, where it has; undefined where nobody knows the execution any more
 */
export function stopPlan(
  summary: RunSummary,
  stop: { readonly afterCurrent: boolean; readonly ended: string | null | undefined },
): string[] {
  const live = summary.tasks.filter((task) => task.state !== "over");
  const names = live.map((task) => `task ${task.task} (${task.kind})`).join(", ");
  const builds = live.length === 0 ? "No dbt is at work." : `At work: ${names}.`;
  const head = `Run ${summary.runId} of ${summary.project}: ${countsLine(summary)}. ${builds}`;
  if (stop.ended !== null)
    return [
      head,
      `Its execution has ended (${stop.ended ?? "Step Functions does not know it any more"}) without a verdict: its tasks are stopped (${AT_MOST}), it gets its verdict, and its lock is given back.`,
    ];
  if (stop.afterCurrent) return [head, ...afterCurrentPlan(summary, live.length)];
  return [
    head,
    `It will be stopped: nothing more is launched${live.length === 0 ? "" : `, and dbt is interrupted, which cancels its queries (${AT_MOST})`}. What is built stays as it is; the rest is not built.`,
  ];
}

/** dbt can not be told to end after its current nodes: what runs is whole dbt processes. */
function afterCurrentPlan(summary: RunSummary, live: number): string[] {
  const producer = summary.tasks.some((task) => task.state !== "over" && task.kind === "producer");
  const lets =
    live === 0
      ? "Nothing runs"
      : `${counted(live, "dbt process")} ${live === 1 ? "is" : "are"} let end by ${live === 1 ? "itself" : "themselves"}${producer ? ", the first build with everything that it selected" : ""}`;
  return [
    `${lets}; nothing is launched after that: no retry, no recovery build, no tests of their own. dbt can not be told to end after its current nodes: to stop those too, leave out --after-current.`,
  ];
}
