import { Arn, ArnFormat, type Stack } from "aws-cdk-lib";
import type { Table } from "aws-cdk-lib/aws-dynamodb";
import { Effect, PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { Bucket } from "aws-cdk-lib/aws-s3";
import { deployedNames, TASK_ROLES } from "./deployed-names.ts";

/** Policy statements, one per kind of access, each as narrow as its service allows. */

type RowAction = "GetItem" | "BatchGetItem" | "Query" | "PutItem" | "UpdateItem" | "BatchWriteItem" | "DeleteItem";

/**
 * Rows of the ledger by partition. DynamoDB's finest grain is the partition key. `ForAllValues` holds for every key of a
 * request, and for a request without keys (a Scan, an action of later days): `Null` refuses that one.
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
    conditions: {
      "ForAllValues:StringLike": { "dynamodb:LeadingKeys": partitions },
      Null: { "dynamodb:LeadingKeys": "false" },
    },
  });
}

/** Objects below a prefix of the artefact bucket. */
export function artefactObjects(
  bucket: Bucket,
  prefixes: string | readonly string[],
  actions: readonly ("GetObject" | "PutObject")[],
): PolicyStatement {
  return new PolicyStatement({
    sid: "ArtefactObjects",
    actions: actions.map((action) => `s3:${action}`),
    resources: [prefixes].flat().map((prefix) => bucket.arnForObjects(`${prefix}*`)),
  });
}

/** What is kept beside the runs, for other tools and for states: it is copied there once a run has its verdict. */
export function latestObjects(bucket: Bucket): PolicyStatement {
  return new PolicyStatement({
    sid: "LatestArtefacts",
    actions: ["s3:GetObject", "s3:PutObject"],
    resources: ["latest/*", "latest-green/*", "commits/*"].map((key) => bucket.arnForObjects(key)),
  });
}

/**
 * The names of objects. Without it S3 answers 403 instead of 404 for an object that is not there; a condition on the
 * prefix would keep that 403, hence only for containers, which must not see other projects.
 */
export function artefactNames(bucket: Bucket, prefixes?: readonly string[]): PolicyStatement {
  return new PolicyStatement({
    sid: "ArtefactNames",
    actions: ["s3:ListBucket"],
    resources: [bucket.bucketArn],
    ...(prefixes && { conditions: { StringLike: { "s3:prefix": prefixes.map((prefix) => `${prefix}*`) } } }),
  });
}

/** What a container may put of its project: written once, so that no later run or task replaces it. */
export function ownArtefacts(bucket: Bucket, project: string): PolicyStatement {
  return new PolicyStatement({
    sid: "OwnArtefacts",
    actions: ["s3:PutObject"],
    resources: containerObjects(project).map((key) => bucket.arnForObjects(key)),
    conditions: WRITTEN_ONCE,
  });
}

/** Keys of a project's containers, as patterns; `*` for those of every project. */
export const containerObjects = (project: string): string[] => [
  `runs/${project}/*/tasks/*`,
  `runs/${project}/*/state/*`,
  `runs/${project}/*/partial_parse.msgpack`,
];

/** The request has `If-None-Match`, of which S3 takes `*` alone for a new object. */
const WRITTEN_ONCE = { Null: { "s3:if-none-match": "false" } };

/** The states that a project's runs compare with by its settings, in buckets that are not the stack's (behaviour H10). */
export function readStates(stack: Stack, places: readonly { bucket: string; prefix: string }[]): PolicyStatement[] {
  const arnOf = (bucket: string) => stack.formatArn({ service: "s3", region: "", account: "", resource: bucket });
  return places.flatMap(({ bucket, prefix }) => [
    new PolicyStatement({ actions: ["s3:GetObject"], resources: [`${arnOf(bucket)}/${prefix}*`] }),
    new PolicyStatement({
      actions: ["s3:ListBucket"],
      resources: [arnOf(bucket)],
      conditions: { StringLike: { "s3:prefix": [`${prefix}*`] } },
    }),
  ]);
}

/** The calls by which a container tells. */
export const TOLD_BY = ["UpdateItem", "BatchWriteItem"] as const;

/** No other write, and no other call at all, whatever else the task's role is given for its adapter. */
export function nothingElseOfLedger(table: Table, told: string): PolicyStatement[] {
  const writes = TOLD_BY.map((action) => `dynamodb:${action}`);
  const onTable = { effect: Effect.DENY, resources: [table.tableArn] };
  return [
    new PolicyStatement({ ...onTable, sid: "NoOtherCalls", notActions: ["dynamodb:GetItem", ...writes] }),
    new PolicyStatement({
      ...onTable,
      sid: "NoOtherWrites",
      actions: writes,
      conditions: { "ForAnyValue:StringNotLike": { "dynamodb:LeadingKeys": [told] } },
    }),
  ];
}

export interface LaunchScope {
  readonly clusterName: string;
  readonly clusterArn: string;
  readonly stackName: string;
  /** Task roles that are the user's own, which lie below no path of ours. */
  readonly givenRoleArns: readonly string[];
}

/**
 * RunTask of our families in our cluster, with our roles, and the tags that it gives. Families and roles by pattern and
 * path: all inline policies of a role are at most 10,240 characters, whatever the number of projects. A family of another
 * stack that the pattern meets (`shop` and `shop-eu`) has roles that can not be passed. All revisions: a run goes on with
 * the one that it began with after a redeploy.
 */
export function launchTasks(stack: Stack, scope: LaunchScope): PolicyStatement[] {
  return [
    new PolicyStatement({
      sid: "LaunchTasks",
      actions: ["ecs:RunTask"],
      resources: TASK_ROLES.map((role) => {
        const family = deployedNames.taskFamilyPattern(scope.stackName, role);
        return stack.formatArn({ service: "ecs", resource: "task-definition", resourceName: `${family}:*` });
      }),
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
      resources: [`${rolesBelow(stack, deployedNames.taskRolePath(scope.stackName))}*`, ...scope.givenRoleArns],
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

/** ARNs of roles below a path, without what follows it. */
export const rolesBelow = (stack: Stack, path: string) =>
  stack.formatArn({ service: "iam", region: "", resource: `role${path}` });

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

/** Ending token waits of these machines' executions. */
export function answerTokens(stack: Stack, ...machineNames: readonly string[]): PolicyStatement {
  return new PolicyStatement({
    sid: "AnswerTokens",
    actions: ["states:SendTaskSuccess", "states:SendTaskFailure"],
    resources: machineNames.map((name) => machineArn(stack, name)),
  });
}

export function startExecutions(stack: Stack, machineName: string): PolicyStatement {
  return new PolicyStatement({
    sid: "StartExecutions",
    actions: ["states:StartExecution"],
    resources: [machineArn(stack, machineName)],
  });
}

export function describeExecutions(stack: Stack, ...machineNames: readonly string[]): PolicyStatement {
  return new PolicyStatement({
    sid: "DescribeExecutions",
    actions: ["states:DescribeExecution"],
    resources: machineNames.map((name) => executionsOf(stack, name)),
  });
}

/** Starting failed executions of a machine again where they failed. */
export function redriveExecutions(stack: Stack, machineName: string): PolicyStatement {
  return new PolicyStatement({
    sid: "RedriveExecutions",
    actions: ["states:RedriveExecution"],
    resources: [executionsOf(stack, machineName)],
  });
}

const executionsOf = (stack: Stack, machineName: string) =>
  stack.formatArn({
    service: "states",
    resource: "execution",
    resourceName: `${machineName}:*`,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });

/** Events on the account's default bus, of one source alone. */
export function publishEvents(stack: Stack, source: string): PolicyStatement {
  return new PolicyStatement({
    sid: "PublishEvents",
    actions: ["events:PutEvents"],
    resources: [stack.formatArn({ service: "events", resource: "event-bus", resourceName: "default" })],
    conditions: { StringEquals: { "events:source": source } },
  });
}

/**
 * Starting executions of another machine and waiting for their ends, as CDK's own task has it: start, look, stop, and the
 * rule by which Step Functions hears of the end.
 */
export function nestedExecutions(stack: Stack, runMachineArn: string): PolicyStatement[] {
  const { resourceName } = stack.splitArn(runMachineArn, ArnFormat.COLON_RESOURCE_NAME);
  const execution = { service: "states", resource: "execution", arnFormat: ArnFormat.COLON_RESOURCE_NAME };
  const rule = { service: "events", resource: "rule" };
  return [
    new PolicyStatement({ actions: ["states:StartExecution"], resources: [runMachineArn] }),
    new PolicyStatement({
      actions: ["states:DescribeExecution", "states:StopExecution"],
      resources: [Arn.format({ ...execution, resourceName: `${resourceName}:*` }, stack)],
    }),
    new PolicyStatement({
      actions: ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
      resources: [Arn.format({ ...rule, resourceName: "StepFunctionsGetEventsForStepFunctionsExecutionRule" }, stack)],
    }),
  ];
}
