import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { backOffMs } from "#core/run/deciding/back-off.ts";
import { ranOutOfMemory } from "#core/run/deciding/build-size.ts";
import {
  type Decision,
  endOf,
  type LaunchDecision,
  launch,
  nothing,
  type StepInput,
} from "#core/run/deciding/decision.ts";
import { FIRST_ROUND, tasksOfRound } from "#core/run/judging/rounds.ts";
import { overAtMs } from "#core/run/judging/vertex-view.ts";
import { MOST_TAKEN, wasTaken } from "#core/run/watching/capacity.ts";

/** A producer: it has no set, since it owns what it plans. */
export const producerLaunch = (reason: string, size: LaunchDecision["size"] = "producer"): LaunchDecision => ({
  kind: "producer",
  uniqueIds: [],
  claims: [],
  size,
  reason,
});

/** Whether any build has said anything of a vertex: a second producer could not write over it. */
export const touched = (rows: readonly VertexRow[]): boolean =>
  rows.some((row) => row.tryTasks.length > 0 || row.status !== undefined);

/** A producer that ended before any vertex began, for a cause outside the dbt project, is launched again (D3). */
export function relaunchOfProducer(input: StepInput, producer: TaskRow): Decision | null {
  if (touched(input.rows)) return null;
  const { goesOn, number } = input.round ?? FIRST_ROUND;
  if (goesOn && producer.round < number) {
    if (input.plan !== null) return null;
    return launch(producerLaunch("The run is tried again: its producer had come to no plan.", sizeAfter(producer)));
  }
  if (!outsideCause(producer)) return null;
  const producers = ofRound(input).filter((task) => task.kind === "producer");
  const own = producers.filter((task) => !wasTaken(task)).length;
  if (own > input.policy.producerRetries || producers.length - own > MOST_TAKEN) return null;
  const dueAtMs = overAtMs(producer) + backOffMs(own, input.policy);
  if (input.nowMs < dueAtMs) return nothing;
  const reason = `Task ${producer.task} ended before any node began: ${endOf(producer)}`;
  return launch(producerLaunch(reason, sizeAfter(producer)));
}

const ofRound = ({ tasks, round = FIRST_ROUND }: StepInput): TaskRow[] => tasksOfRound(tasks, round);

/** Whether a producer ended of what lies in the project, or in the run's own settings: another would end of it too. */
export const brokenCause = (task: TaskRow): boolean => task.end !== undefined && !outsideCause(task);

/** A producer that ran out of memory is launched again on the execution queue's larger size (D4). */
const sizeAfter = (producer: TaskRow): LaunchDecision["size"] => (ranOutOfMemory(producer) ? "queue" : producer.size);

/**
 * Whether a task ended for a cause outside the dbt project: its supervisor says so, or was told to end by somebody who
 * is not this run (Spot, a deployment), or it was killed without a word.
 */
function outsideCause(task: TaskRow): boolean {
  if (task.end?.ranUnseen) return false;
  if (task.end) return task.end.retryableLaunch || task.end.cause.kind === "terminated";
  return task.stop !== undefined && !task.stop.neverStarted;
}

/**
 * No plan, and the producer is over. If dbt has begun to build, only a plan can say what is left: a task makes it.
 * Otherwise the run is over, and its verdict is the producer's cause.
 */
export function planless(input: StepInput): Decision {
  const plans = ofRound(input).filter((task) => task.kind === "plan").length;
  if (touched(input.rows) && plans <= input.policy.producerRetries) {
    return launch({
      kind: "plan",
      uniqueIds: [],
      claims: [],
      size: "queue",
      reason: "The producer ended before its plan was known.",
    });
  }
  return { ...nothing, settle: true };
}

/** Why nothing of a run is built whose producer ended before anything began. */
export const unbegun = (producer: TaskRow): string =>
  producer.end?.ranUnseen ? endOf(producer) : `Task ${producer.task} ended before any node began: ${endOf(producer)}`;
