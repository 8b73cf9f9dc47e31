import { Duration } from "aws-cdk-lib";
import { type IMetric, MathExpression, Metric, Stats } from "aws-cdk-lib/aws-cloudwatch";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import type { IStateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { DIMENSIONS, METRIC_NAMESPACE, type MetricName } from "#core/contracts/metrics.ts";
import type { FunctionName } from "../deployed-names.ts";

/** What is watched. */
export interface Watched {
  readonly stackName: string;
  readonly runMachine: IStateMachine;
  readonly functions: Partial<Readonly<Record<FunctionName, IFunction>>>;
  /** Queues of starts and events that could not be delivered. */
  readonly deadLetters: readonly IQueue[];
}

/** One alarm; `title` is the heading of its article in docs/runbook.md. */
export interface AlarmPlan {
  readonly id: string;
  readonly title: string;
  readonly sentence: string;
  readonly metric: IMetric;
  readonly threshold: number;
  readonly evaluationPeriods?: number;
}

/** What happens at once is looked at so often. */
const SOON = Duration.minutes(5);

/** Two sweeps long, so that one which comes a little late does not end an alarm whose cause goes on. */
const TWO_SWEEPS = Duration.minutes(30);

/**
 * All alarms of a stack. Each watches a sum of the whole stack: their number, and what they cost, does not grow with its
 * projects. Where AWS counts by itself its own metric is taken, which comes also when our code can not run any more.
 */
export function alarmPlans(watched: Watched): AlarmPlan[] {
  const { stackName, runMachine, functions, deadLetters } = watched;
  const own = (metricName: MetricName, period: Duration) =>
    new Metric({
      namespace: METRIC_NAMESPACE,
      metricName,
      dimensionsMap: { [DIMENSIONS.stack]: stackName },
      statistic: Stats.SUM,
      period,
    });
  const failed = runMachine.metricFailed({ statistic: Stats.SUM, period: SOON });
  const timedOut = runMachine.metricTimedOut({ statistic: Stats.SUM, period: SOON });
  const all = Object.entries(functions);
  // Settle-run throws a red verdict, which is no error of its own: what nobody foresaw in it is among the faults.
  const throwing = all.filter(([name]) => name !== "settle-run").map(([, one]) => one);
  const plans: AlarmPlan[] = [
    {
      id: "run-failed",
      title: "Alarm: a run failed",
      sentence: "A run ended red, was stopped, was refused at its start, or timed out.",
      metric: sum([failed, timedOut], "runs that failed", SOON),
      threshold: 1,
    },
    {
      id: "run-overdue",
      title: "Alarm: a run is overdue",
      sentence: "A run takes longer than its overdueMinutes, or has no verdict 15 minutes after its deadline.",
      metric: own("RunsOverdue", TWO_SWEEPS),
      threshold: 1,
    },
    {
      id: "schedule-missed",
      title: "Alarm: a schedule started nothing",
      sentence: "A schedule was due more than 30 minutes ago, and no run of its project has begun or waits since.",
      metric: own("SchedulesMissed", TWO_SWEEPS),
      threshold: 1,
    },
    {
      id: "task-killed",
      title: "Alarm: a task was killed",
      sentence: "A dbt task was killed from outside, or ran out of memory.",
      metric: own("TasksKilled", SOON),
      threshold: 1,
    },
    {
      id: "lock-held-long",
      title: "Alarm: a lock is held long",
      sentence: "A project's lock is held by a run that is over, or whose deadline passed 15 minutes ago.",
      metric: own("LocksHeldLong", TWO_SWEEPS),
      threshold: 1,
    },
    {
      id: "fault",
      title: "Alarm: an error that nobody foresaw",
      sentence: "A function met an error of AWS (a permission, a resource that is gone) or a defect of stepwatch.",
      metric: own("Faults", SOON),
      threshold: 1,
    },
    {
      id: "function-errors",
      title: "Alarm: functions fail",
      sentence: "Functions failed often within 15 minutes: a service is away, or they time out.",
      metric: sum(each(throwing, "metricErrors"), "errors", SOON),
      threshold: 5,
      evaluationPeriods: 3,
    },
    {
      id: "function-throttles",
      title: "Alarm: functions are throttled",
      sentence: "Lambda refuses calls for 15 minutes: the account's concurrent executions are used up.",
      metric: sum(
        each(
          all.map(([, one]) => one),
          "metricThrottles",
        ),
        "throttles",
        SOON,
      ),
      threshold: 5,
      evaluationPeriods: 3,
    },
  ];
  if (deadLetters.length > 0)
    plans.push({
      id: "dead-letters",
      title: "Alarm: something was not delivered",
      sentence: "A dead-letter queue is not empty: a schedule's start, or an event, could not be delivered.",
      metric: sum(
        deadLetters.map((queue) =>
          queue.metricApproximateNumberOfMessagesVisible({ statistic: Stats.MAXIMUM, period: SOON }),
        ),
        "messages",
        SOON,
      ),
      threshold: 1,
    });
  return plans;
}

const each = (functions: readonly IFunction[], metric: "metricErrors" | "metricThrottles"): IMetric[] =>
  functions.map((one) => one[metric]({ statistic: Stats.SUM, period: SOON }));

/** One that has no value counts as nothing, or the sum would have none either. CloudWatch takes ten metrics an alarm. */
function sum(metrics: readonly IMetric[], label: string, period: Duration): IMetric {
  const [only, ...others] = metrics;
  if (only !== undefined && others.length === 0) return only;
  const usingMetrics = Object.fromEntries(metrics.map((metric, index) => [`m${index}`, metric]));
  const expression = Object.keys(usingMetrics)
    .map((id) => `FILL(${id}, 0)`)
    .join(" + ");
  return new MathExpression({ expression, usingMetrics, label, period });
}
