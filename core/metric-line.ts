import { DIMENSIONS, METRIC_NAMESPACE, METRICS, type MetricName, type MetricValues } from "#core/contracts/metrics.ts";

/** Whose metrics they are. Nothing finer: each further value of a dimension is a metric of its own, billed as such. */
export interface MetricScope {
  readonly stack: string;
  readonly project?: string | undefined;
}

/**
 * The part of a log line from which CloudWatch makes metrics (embedded metric format), or null where nothing was counted.
 * Alarms watch the stack's sum, so that their number does not grow with its projects; the dashboard shows projects.
 */
export function metricFields(
  values: MetricValues,
  scope: MetricScope,
  timestampMs: number,
): Record<string, unknown> | null {
  const counted = Object.entries(values).filter(([, value]) => value > 0);
  if (counted.length === 0) return null;
  const ofProject = scope.project === undefined ? [] : [[DIMENSIONS.stack, DIMENSIONS.project]];
  return {
    _aws: {
      Timestamp: timestampMs,
      CloudWatchMetrics: [
        {
          Namespace: METRIC_NAMESPACE,
          Dimensions: [[DIMENSIONS.stack], ...ofProject],
          Metrics: counted.map(([name]) => ({ Name: name, Unit: METRICS[name as MetricName] })),
        },
      ],
    },
    [DIMENSIONS.stack]: scope.stack,
    ...(scope.project === undefined ? {} : { [DIMENSIONS.project]: scope.project }),
    ...Object.fromEntries(counted),
  };
}
