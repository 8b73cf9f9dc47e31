import { CfnQueryDefinition } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { deployedNames, type FunctionName } from "../deployed-names.ts";

export interface SavedQueriesProps {
  readonly stackName: string;
  readonly projects: readonly string[];
  /** Those that the stack has. */
  readonly functions: readonly FunctionName[];
}

/** Log groups that one query of Logs Insights may read. */
const MOST_GROUPS = 50;

/**
 * Questions to the logs, kept in CloudWatch under the stack's name. They cost nothing until somebody asks one ($0.005 per
 * GB that is read).
 */
export class SavedQueries extends Construct {
  constructor(scope: Construct, id: string, { stackName, projects, functions: names }: SavedQueriesProps) {
    super(scope, id);
    const functions = names.map((name) => deployedNames.functionLogGroup(stackName, name));
    const containers = projects.map((project) => deployedNames.projectLogGroup(stackName, project));
    const query = (title: string, logGroupNames: readonly string[], lines: readonly string[]) =>
      new CfnQueryDefinition(this, title.replaceAll(" ", ""), {
        name: `stepwatch/${stackName}/${title}`,
        logGroupNames: logGroupNames.slice(0, MOST_GROUPS),
        queryString: lines.join("\n| "),
      });
    query("One run", functions, [
      "fields @timestamp, function, message, task, uniqueId",
      'filter runId = "put a run id here"',
      "sort @timestamp asc",
      "limit 1000",
    ]);
    query(
      "One node",
      [...functions, ...containers],
      [
        "fields @timestamp, coalesce(message, info.msg) as line",
        'filter uniqueId = "put a unique_id here" or data.node_info.unique_id = "put a unique_id here"',
        "sort @timestamp asc",
        "limit 1000",
      ],
    );
    query("Warnings and faults", functions, [
      "fields @timestamp, function, runId, message, error",
      'filter level in ["WARN", "ERROR", "FATAL"] or ispresent(Faults) or ispresent(errorType)',
      "sort @timestamp desc",
      "limit 200",
    ]);
    query("Verdicts", functions, [
      "filter ispresent(verdict)",
      "fields @timestamp, project, runId, verdict, message",
      "sort @timestamp desc",
      "limit 200",
    ]);
    query("Tasks that did not start or were ended", functions, [
      'filter message in ["A task was not started.", "A task is over by ECS\' word."]',
      "fields @timestamp, project, runId, task, reason, stopCode, stoppedReason, exitCode",
      "sort @timestamp desc",
      "limit 200",
    ]);
    query("What the runners say of themselves", containers, [
      "filter ispresent(stepwatch.event)",
      "fields @timestamp, stepwatch.runId, stepwatch.task, stepwatch.event, @message",
      "sort @timestamp desc",
      "limit 500",
    ]);
    query("Time and memory of the functions", functions, [
      'filter type = "platform.report"',
      "stats count() as calls, max(record.metrics.durationMs) as longestMs, max(record.metrics.maxMemoryUsedMB) as mostMB by @log",
    ]);
  }
}
