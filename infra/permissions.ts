import { ArnFormat, type Stack } from "aws-cdk-lib";
import type { Table } from "aws-cdk-lib/aws-dynamodb";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { Bucket } from "aws-cdk-lib/aws-s3";

/** Policy statements, one per kind of access, each as narrow as its service allows. */

type RowAction = "GetItem" | "BatchGetItem" | "Query" | "PutItem" | "UpdateItem" | "DeleteItem";

/**
 * Rows of the ledger by partition. DynamoDB's finest grain is the partition key. The condition holds for every key of a
 * request and for none, so that actions without keys (Scan) must not be in the list; they are not in its type.
 */
export function ledgerRows(
  table: Table,
  partitions: readonly string[],
  actions: readonly RowAction[],
  sid = "LedgerRows",
): PolicyStatement {
  return new PolicyStatement({
    sid,
    actions: actions.map((action) => `dynamodb:${action}`),
    resources: [table.tableArn],
    conditions: { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": partitions } },
  });
}

/** Objects below a prefix of the artefact bucket. */
export function artefactObjects(
  bucket: Bucket,
  prefix: string,
  actions: readonly ("GetObject" | "PutObject")[],
): PolicyStatement {
  return new PolicyStatement({
    sid: "ArtefactObjects",
    actions: actions.map((action) => `s3:${action}`),
    resources: [bucket.arnForObjects(`${prefix}*`)],
  });
}

/**
 * The names of objects. Without it S3 answers 403 instead of 404 for an object that is not there; a condition on the
 * prefix would keep that 403, hence only for containers, which must not see other projects.
 */
export function artefactNames(bucket: Bucket, prefix?: string): PolicyStatement {
  return new PolicyStatement({
    sid: "ArtefactNames",
    actions: ["s3:ListBucket"],
    resources: [bucket.bucketArn],
    ...(prefix !== undefined && { conditions: { StringLike: { "s3:prefix": [`${prefix}*`] } } }),
  });
}

export interface LaunchScope {
  readonly clusterName: string;
  readonly clusterArn: string;
  /** Families, not revisions: a run goes on with the revision that it began with after a redeploy. */
  readonly families: readonly string[];
  readonly roleArns: readonly string[];
}

/** RunTask of our families in our cluster, with our roles, and the tags that it gives. */
export function launchTasks(stack: Stack, scope: LaunchScope): PolicyStatement[] {
  return [
    new PolicyStatement({
      sid: "LaunchTasks",
      actions: ["ecs:RunTask"],
      resources: scope.families.map((family) =>
        stack.formatArn({ service: "ecs", resource: "task-definition", resourceName: `${family}:*` }),
      ),
      conditions: { ArnEquals: { "ecs:cluster": scope.clusterArn } },
    }),
    new PolicyStatement({
      sid: "TagLaunchedTasks",
      actions: ["ecs:TagResource"],
      resources: [tasksOf(stack, scope.clusterName)],
      conditions: { StringEquals: { "ecs:CreateAction": "RunTask" } },
    }),
    new PolicyStatement({
      sid: "PassTaskRoles",
      actions: ["iam:PassRole"],
      resources: [...scope.roleArns],
      conditions: { StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" } },
    }),
  ];
}

/** Looking at tasks of our cluster, and stopping them. */
export function tasks(
  stack: Stack,
  clusterName: string,
  actions: readonly ("DescribeTasks" | "StopTask")[],
): PolicyStatement {
  return new PolicyStatement({
    sid: "Tasks",
    actions: actions.map((action) => `ecs:${action}`),
    resources: [tasksOf(stack, clusterName)],
  });
}

const tasksOf = (stack: Stack, clusterName: string) =>
  stack.formatArn({ service: "ecs", resource: "task", resourceName: `${clusterName}/*` });

/** A machine's ARN by its name. Not by reference: the machine names the function whose permission this is. */
export const machineArn = (stack: Stack, machineName: string) =>
  stack.formatArn({
    service: "states",
    resource: "stateMachine",
    resourceName: machineName,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });

/** Ending token waits of a machine's executions. */
export function answerTokens(stack: Stack, machineName: string): PolicyStatement {
  return new PolicyStatement({
    sid: "AnswerTokens",
    actions: ["states:SendTaskSuccess", "states:SendTaskFailure"],
    resources: [machineArn(stack, machineName)],
  });
}

export function startExecutions(stack: Stack, machineName: string): PolicyStatement {
  return new PolicyStatement({
    sid: "StartExecutions",
    actions: ["states:StartExecution"],
    resources: [machineArn(stack, machineName)],
  });
}

export function describeExecutions(stack: Stack, machineName: string): PolicyStatement {
  return new PolicyStatement({
    sid: "DescribeExecutions",
    actions: ["states:DescribeExecution"],
    resources: [
      stack.formatArn({
        service: "states",
        resource: "execution",
        resourceName: `${machineName}:*`,
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      }),
    ],
  });
}

/** Events on the account's default bus, of one source alone. */
export function publishEvents(stack: Stack, source: string): PolicyStatement {
  return new PolicyStatement({
    sid: "PublishEvents",
    actions: ["events:PutEvents"],
    resources: [stack.formatArn({ service: "events", resource: "event-bus", resourceName: "default" })],
    conditions: { StringEquals: { "events:source": source } },
  });
}
