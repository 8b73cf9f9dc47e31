import type { TaskRow } from "#core/contracts/ledger.ts";
import type { MetricValues } from "#core/contracts/metrics.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";

/** What a run counts for when it has its verdict. */
export function verdictMetrics(summary: Pick<RunSummary, "state" | "counts" | "timings">): MetricValues {
  const { state, counts, timings } = summary;
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return {
    RunsGreen: state === "green" ? 1 : 0,
    RunsRed: state === "red" ? 1 : 0,
    RunsStopped: state === "stopped" ? 1 : 0,
    RunSeconds: timings.wallMs / 1_000,
    NodesNotGood: all - counts.good - counts.skipped,
  };
}

/**
 * Tasks of one round that did not end by themselves. One that was killed for its memory is counted as both. A stop of the
 * run ends its tasks too: that is somebody's will, and none of them counts.
 */
export function taskMetrics(tasks: readonly TaskRow[], round: number, wasStopped: boolean): MetricValues {
  const ofRound = tasks.filter((task) => task.round === round);
  const count = (holds: (task: TaskRow) => boolean) => ofRound.filter(holds).length;
  return {
    TasksKilled: wasStopped ? 0 : count(wasKilled),
    TasksInterrupted: wasStopped ? 0 : count(wasInterrupted),
    TasksOutOfMemory: count(ranOutOfMemory),
    TasksNotStarted: wasStopped ? 0 : count((task) => task.stop?.neverStarted === true && task.launchFailures > 0),
  };
}

const ranOutOfMemory = ({ stop, end }: TaskRow): boolean =>
  stop?.outOfMemory === true || end?.cause.kind === "out_of_memory";

/** A container that began and recorded no end was killed, whatever ECS says; one that did says it of its dbt. */
const wasKilled = (task: TaskRow): boolean => {
  if (ranOutOfMemory(task)) return true;
  if (task.end !== undefined) return task.end.cause.kind === "killed";
  return task.state === "over" && task.fencedBy !== undefined && !wasInterrupted(task);
};

/** What ECS ended by itself or for a person: it said so to the container, which had two minutes. */
const wasInterrupted = ({ stop, end }: TaskRow): boolean =>
  end?.cause.kind === "terminated" || INTERRUPTIONS.has(stop?.stopCode ?? "");

const INTERRUPTIONS: ReadonlySet<string> = new Set(["SpotInterruption", "TerminationNotice", "UserInitiated"]);
