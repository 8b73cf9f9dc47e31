import type { Template } from "aws-cdk-lib/assertions";

export interface AlarmMetric {
  readonly MetricStat?: {
    readonly Metric: {
      readonly Namespace: string;
      readonly MetricName: string;
      readonly Dimensions?: readonly { readonly Name: string; readonly Value: unknown }[];
    };
  };
}

/** An alarm as it stands in a template. */
export interface AlarmResource {
  readonly AlarmName: string;
  readonly AlarmDescription: string;
  readonly AlarmActions: readonly unknown[];
  readonly TreatMissingData: string;
  readonly ComparisonOperator: string;
  readonly Namespace?: string;
  readonly MetricName?: string;
  readonly Dimensions?: readonly { readonly Name: string; readonly Value: unknown }[];
  readonly Metrics?: readonly AlarmMetric[];
}

export const alarmsOf = (template: Template): AlarmResource[] =>
  Object.values(template.findResources("AWS::CloudWatch::Alarm")).map(({ Properties }) => Properties);

/** A metric by its name and its dimensions, as `name=value` in order. */
export interface NamedMetric {
  readonly name: string;
  readonly dimensions: readonly string[];
}

/** Metrics of the namespace `stepwatch` that alarms watch. */
export function ownMetricsOf(alarms: readonly AlarmResource[]): NamedMetric[] {
  const all = alarms.flatMap(({ Namespace, MetricName, Dimensions, Metrics = [] }) => [
    ...(Namespace === undefined ? [] : [{ Namespace, MetricName, Dimensions }]),
    ...Metrics.flatMap(({ MetricStat }) => MetricStat?.Metric ?? []),
  ]);
  return all
    .filter(({ Namespace }) => Namespace === "stepwatch")
    .map(({ MetricName, Dimensions = [] }) => ({
      name: String(MetricName),
      dimensions: Dimensions.map(({ Name, Value }) => `${Name}=${Value}`).sort(),
    }));
}

interface EmbeddedMetrics {
  readonly CloudWatchMetrics: readonly {
    readonly Namespace: string;
    readonly Dimensions: readonly (readonly string[])[];
    readonly Metrics: readonly { readonly Name: string }[];
  }[];
}

/**
 * The metrics that CloudWatch makes of a log line: one for each name and set of dimensions, if the line has a number under
 * the name and a text under each dimension.
 */
export function metricsOf(line: Readonly<Record<string, unknown>>): NamedMetric[] {
  const embedded = line._aws as EmbeddedMetrics | undefined;
  return (embedded?.CloudWatchMetrics ?? []).flatMap(({ Namespace, Dimensions, Metrics }) =>
    Metrics.filter(({ Name }) => Namespace === "stepwatch" && typeof line[Name] === "number").flatMap(({ Name }) =>
      Dimensions.filter((set) => set.every((dimension) => typeof line[dimension] === "string")).map((set) => ({
        name: Name,
        dimensions: set.map((dimension) => `${dimension}=${line[dimension]}`).sort(),
      })),
    ),
  );
}
