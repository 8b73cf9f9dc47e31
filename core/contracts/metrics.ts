/**
 * What stepwatch measures of itself: names and units of its CloudWatch metrics. Functions write them as lines of their log
 * (embedded metric format), alarms and dashboard read them; both take every name from here.
 *
 * Each is written only when there is something to count: CloudWatch bills a metric by the hours in which it came.
 */
export const METRIC_NAMESPACE = "stepwatch";

/** By verdict, once a run: written where it is given first. */
const RUN_METRICS = {
  RunsGreen: "Count",
  RunsRed: "Count",
  RunsStopped: "Count",
  /** From the run's start to its verdict. */
  RunSeconds: "Seconds",
  NodesNotGood: "Count",
} as const;

/** Of a round's tasks, when it is over. */
const TASK_METRICS = {
  /** Tasks that were killed, of memory or by their host's end: their dbt could not even say goodbye. */
  TasksKilled: "Count",
  /** Tasks that were told to end, and not by a stop of the run: a Spot interruption, `aws ecs stop-task`. */
  TasksInterrupted: "Count",
  /** Tasks, or dbt processes in them, that ran out of memory. */
  TasksOutOfMemory: "Count",
  /** Tasks that ECS could not start, however often it was asked. */
  TasksNotStarted: "Count",
} as const;

/** What the sweep finds each quarter of an hour, for as long as it is so. */
const SWEEP_METRICS = {
  RunsOverdue: "Count",
  LocksHeldLong: "Count",
  SchedulesMissed: "Count",
} as const;

export const METRICS = {
  ...RUN_METRICS,
  ...TASK_METRICS,
  ...SWEEP_METRICS,
  /** Errors that nobody foresaw, answered to Step Functions under the name `Unforeseen`. */
  Faults: "Count",
} as const;

export type MetricName = keyof typeof METRICS;
export type MetricValues = Partial<Readonly<Record<MetricName, number>>>;

/** Names of the dimensions: a metric exists for a stack, and once more for each of its projects. */
export const DIMENSIONS = { stack: "stack", project: "project" } as const;
