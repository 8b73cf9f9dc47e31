/**
 * How long one turn of a wait-and-poll loop may wait, so that no execution reaches the 25,000 history events at which
 * Step Functions fails it for good.
 */

/**
 * Events of one turn that ends by its timeout: TaskStateEntered, TaskScheduled, TaskStarted, TaskSubmitted,
 * TaskTimedOut, TaskStateExited.
 */
export const EVENTS_PER_TURN = 6;

/** Step Functions ends an execution whose history is this long. */
export const HISTORY_LIMIT = 25_000;

/** What the turns from taking the lock to the execution's timeout may use of the history. */
export const TURN_BUDGET = 20_000;

/**
 * A turn in the queue for a lock. With {@link LONGEST_QUEUE_MINUTES} it makes 600 turns, 3,600 events. Together with
 * {@link TURN_BUDGET} 1,400 events are left below the limit: for 450 retries of transient errors (3 events each).
 */
export const QUEUE_TURN_SECONDS = 60;

/** How long a run may stand in the queue and still have its whole time before the execution times out. */
export const LONGEST_QUEUE_MINUTES = 600;

/**
 * What the execution has beyond the run's deadline to stop its tasks (stop timeout 2 minutes), to fill the summary, and
 * to sit out a failing service (see retries.ts).
 */
const SLACK_MINUTES = 30;

/**
 * Seconds of one turn of a run or a consumer: the poll interval, lengthened until the longest run allowed and its slack
 * fit into {@link TURN_BUDGET}. 240 + 30 minutes at 5 s: 3,240 turns, 19,440 events.
 */
export function turnSeconds(longestRunMinutes: number, pollIntervalSeconds: number): number {
  const turns = Math.floor(TURN_BUDGET / EVENTS_PER_TURN);
  return Math.max(pollIntervalSeconds, Math.ceil(((longestRunMinutes + SLACK_MINUTES) * 60) / turns));
}

/** TimeoutSeconds of the run machine: the queue, the longest run, and slack. */
export function runMachineTimeoutSeconds(longestRunMinutes: number): number {
  return (LONGEST_QUEUE_MINUTES + longestRunMinutes + SLACK_MINUTES) * 60;
}

/** TimeoutSeconds of the consumer machine: a consumer lives at most as long as its run has the lock. */
export function consumerMachineTimeoutSeconds(longestRunMinutes: number): number {
  return (longestRunMinutes + SLACK_MINUTES) * 60;
}
