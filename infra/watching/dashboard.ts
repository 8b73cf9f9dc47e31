import { Duration } from "aws-cdk-lib";
import { Dashboard as CloudWatchDashboard, GraphWidget, type IMetric, Metric, Stats } from "aws-cdk-lib/aws-cloudwatch";
import { Construct } from "constructs";
import { DIMENSIONS, METRIC_NAMESPACE, type MetricName } from "#core/contracts/metrics.ts";
import type { Watched } from "./alarm-list.ts";

export interface DashboardProps extends Watched {
  readonly projects: readonly string[];
}

/** Lines of one graph: more of them nobody tells apart, and CloudWatch refuses 500. */
const MOST_PROJECTS = 40;

/** Two graphs a row. */
const WIDTH = 12;

const HOUR = Duration.hours(1);

/** One page of what runs do, project by project. The first three dashboards of an account are free, each further is $3 a month. */
export class Dashboard extends Construct {
  constructor(scope: Construct, id: string, props: DashboardProps) {
    super(scope, id);
    const { stackName, functions } = props;
    const projects = props.projects.slice(0, MOST_PROJECTS);
    const of = (project: string, metricName: MetricName, statistic: string) =>
      new Metric({
        namespace: METRIC_NAMESPACE,
        metricName,
        dimensionsMap: { [DIMENSIONS.stack]: stackName, [DIMENSIONS.project]: project },
        label: project,
        statistic,
        period: HOUR,
      });
    const graph = (title: string, left: IMetric[]) => new GraphWidget({ title, left, width: WIDTH });
    const byProject = (title: string, name: MetricName, statistic: string = Stats.SUM) =>
      graph(
        title,
        projects.map((project) => of(project, name, statistic)),
      );
    const stack = (metricName: MetricName) =>
      new Metric({
        namespace: METRIC_NAMESPACE,
        metricName,
        dimensionsMap: { [DIMENSIONS.stack]: stackName },
        label: metricName,
        statistic: Stats.SUM,
        period: HOUR,
      });
    const all = Object.entries(functions);
    new CloudWatchDashboard(this, "Page", {
      dashboardName: `${stackName}-stepwatch`,
      widgets: [
        [byProject("Green runs", "RunsGreen"), byProject("Red runs", "RunsRed")],
        [byProject("Stopped runs", "RunsStopped"), byProject("Tasks that were killed", "TasksKilled")],
        [
          byProject("Seconds of a run, the longest", "RunSeconds", Stats.MAXIMUM),
          byProject("Nodes and tests that are not good", "NodesNotGood"),
        ],
        [
          graph("Tasks", (["TasksOutOfMemory", "TasksInterrupted", "TasksNotStarted"] as const).map(stack)),
          graph(
            "Found by the sweep",
            (["RunsOverdue", "LocksHeldLong", "SchedulesMissed", "Faults"] as const).map(stack),
          ),
        ],
        [
          graph(
            "Function errors (settle-run's are red verdicts)",
            all.map(([name, one]) => one.metricErrors({ label: name, period: HOUR })),
          ),
          graph(
            "Seconds of a call, p99",
            all.map(([name, one]) => one.metricDuration({ label: name, statistic: "p99", period: HOUR })),
          ),
        ],
      ],
    });
  }
}
