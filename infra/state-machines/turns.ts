import { SPARE_TURNS } from "#core/run/watching/spent-turns.ts";

/**
 * How long one turn of a wait-and-poll loop may wait, so that no execution reaches the 25,000 history events at which
 * Step Functions fails it for good.
 */

/**
 * Events of one turn that ends by its timeout: TaskStateEntered, TaskScheduled, TaskStarted, TaskSubmitted,
 * TaskTimedOut, TaskStateExited.
 */
export const EVENTS_PER_TURN = 6;

/**
 * Events of a turn that its function ends to wait for another time (`watch: wake`): TaskSucceeded in the place of
 * TaskTimedOut, and ChoiceStateEntered and ChoiceStateExited.
 */
export const EVENTS_PER_TIMED_TURN = 8;

/** Step Functions ends an execution whose history is this long. */
export const HISTORY_LIMIT = 25_000;

/** What the turns from taking the lock to the execution's timeout may use of the history. */
export const TURN_BUDGET = 20_000;

/** Events of a turn in the queue for a lock: PassStateEntered and PassStateExited follow it. */
export const EVENTS_PER_QUEUE_TURN = 8;

/**
 * A turn in the queue for a lock. With {@link LONGEST_QUEUE_MINUTES} it makes 450 turns, 3,600 events. Together with
 * {@link TURN_BUDGET} 1,400 events are left below the limit: for 450 retries of transient errors (3 events each).
 */
export const QUEUE_TURN_SECONDS = 80;

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

/** With `watch: wake` the net below the run's wakes: what a lost wake costs, at most. Seconds. */
export const NET_SECONDS = 60;

/**
 * A consumer's own net, with `watch: wake`. Long, since each turn is billed and a consumer may wait for hours for a test
 * that it shares with another node: whoever looks at the run's rows, once a minute at least, answers consumers that a
 * wake has missed (functions/answer-consumers.ts). This one is for a run whose machine is gone. Seconds.
 */
export const CONSUMER_NET_SECONDS = 3600;

/** The shortest turn that wakes may make a run's loop take for a while. Seconds. */
const SHORTEST_TURN_SECONDS = 5;

/** How the loops of a stack wait. */
export interface Watching {
  readonly watch: "wake" | "poll";
  readonly pollIntervalSeconds: number;
  readonly longestRunMinutes: number;
}

/**
 * How the run's loop waits. `wake`: until something ends the wait, {@link NET_SECONDS} at most, as often as one turn per
 * `averageSeconds` over the run's time (and {@link SPARE_TURNS} beyond), which keeps the history within its budget
 * whatever happens. `poll`: for one turn each time.
 */
export function runWait(watching: Watching): { readonly waitSeconds: number; readonly averageSeconds: number | null } {
  const { watch, longestRunMinutes, pollIntervalSeconds } = watching;
  if (watch === "poll")
    return { waitSeconds: turnSeconds(longestRunMinutes, pollIntervalSeconds), averageSeconds: null };
  const averageSeconds = wakeTurnSeconds(longestRunMinutes);
  return { waitSeconds: Math.max(NET_SECONDS, averageSeconds), averageSeconds };
}

/** Turns that wake and time may take within {@link TURN_BUDGET}. */
const WAKE_TURNS = Math.floor(TURN_BUDGET / EVENTS_PER_TIMED_TURN) - SPARE_TURNS;

const wakeTurnSeconds = (longestRunMinutes: number): number =>
  Math.max(SHORTEST_TURN_SECONDS, Math.ceil(((longestRunMinutes + SLACK_MINUTES) * 60) / WAKE_TURNS));

/**
 * Seconds that the checks of all rounds of one execution may take together: what its turns may use of the history, less
 * the slack of the last round. Redriving an execution goes on with its history.
 */
export function roundsSeconds(watching: Watching): number {
  const { watch, longestRunMinutes, pollIntervalSeconds } = watching;
  const seconds =
    watch === "wake"
      ? WAKE_TURNS * wakeTurnSeconds(longestRunMinutes)
      : Math.floor(TURN_BUDGET / EVENTS_PER_TURN) * turnSeconds(longestRunMinutes, pollIntervalSeconds);
  return seconds - SLACK_MINUTES * 60;
}

/** TimeoutSeconds of the run machine: the queue, the longest run, and slack. */
export function runMachineTimeoutSeconds(longestRunMinutes: number): number {
  return (LONGEST_QUEUE_MINUTES + longestRunMinutes + SLACK_MINUTES) * 60;
}

/** TimeoutSeconds of the consumer machine: a consumer lives at most as long as its run has the lock. */
export function consumerMachineTimeoutSeconds(longestRunMinutes: number): number {
  return (longestRunMinutes + SLACK_MINUTES) * 60;
}
