import type { Resources } from "./resources.ts";

/** What a person may do, each with all that stands before it. */
export const POLICY_LEVELS = ["read", "run", "operate", "release"] as const;
export type PolicyLevel = (typeof POLICY_LEVELS)[number];

export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/**
 * The IAM policy of people who use the command line on a stack. `read`: plan, docs, runs, history, status, why, tasks,
 * logs. `run`: also run, dbt, retry, stop, backfill. `operate`: also mark, pause, resume, unlock. `release`: also image, which decides what code runs with the
 * projects' roles, and for that alone may pass them. No command starts a task or writes an artefact.
 */
export function peoplePolicy(level: PolicyLevel, resources: Resources) {
  const statements = {
    read: reads(resources),
    run: runs(resources),
    operate: operates(resources),
    release: releases(resources),
  };
  const levels = POLICY_LEVELS.slice(0, POLICY_LEVELS.indexOf(level) + 1);
  return { Version: "2012-10-17", Statement: levels.flatMap((one) => statements[one]) } as const;
}

function reads(resources: Resources): PolicyStatement[] {
  const { stackName, table, bucket, dataKeyArn, backfillMachineArn } = resources;
  const arn = arnsOf(resources);
  const bucketArn = `arn:${arn.partition}:s3:::${bucket}`;
  const key: PolicyStatement[] =
    dataKeyArn === undefined
      ? []
      : [
          {
            ...allow("UseTheDataKey", KEY_ACTIONS, [dataKeyArn]),
            Condition: {
              StringEquals: { "kms:ViaService": ["dynamodb", "s3"].map((one) => `${one}.${arn.region}.amazonaws.com`) },
            },
          },
        ];
  return [
    allow("FindTheStack", ["cloudformation:DescribeStacks"], [arn.of("cloudformation", `stack/${stackName}/*`)]),
    allow("LookAtRuns", ["states:DescribeExecution"], [arn.executions, ...arn.backfills]),
    ...(backfillMachineArn === undefined
      ? []
      : [allow("ListBackfills", ["states:ListExecutions"], [backfillMachineArn])]),
    allow("ReadTheLedger", dynamodb("GetItem", "BatchGetItem", "Query"), [arn.of("dynamodb", `table/${table}`)]),
    allow("ReadArtefacts", ["s3:GetObject"], [`${bucketArn}/runs/*`, `${bucketArn}/latest/*`]),
    // Without it S3 answers 403 instead of 404 for what is not there.
    allow("ListArtefacts", ["s3:ListBucket"], [bucketArn]),
    allow("ReadLogs", ["logs:GetLogEvents"], [arn.of("logs", `log-group:/stepwatch/${stackName}/*:log-stream:*`)]),
    ...key,
  ];
}

function runs(resources: Resources): PolicyStatement[] {
  const arn = arnsOf(resources);
  return [
    allow("StartRuns", ["states:StartExecution"], [resources.runMachineArn, ...given(resources.backfillMachineArn)]),
    // What a backfill's runs are told beside their windows.
    allow("ReadSettings", ["states:DescribeStateMachine"], [resources.runMachineArn]),
    allow(
      "GoOnAndStopWhatWaits",
      ["states:RedriveExecution", "states:StopExecution"],
      [arn.executions, ...arn.backfills],
    ),
    // A wish for a round, or for a stop, on the run's own row.
    {
      ...allow("AskOfRuns", dynamodb("UpdateItem"), [arn.of("dynamodb", `table/${resources.table}`)]),
      ...rows("RUN#*"),
    },
    {
      ...allow("AskForAnEnd", ["events:PutEvents"], [arn.of("events", "event-bus/default")]),
      Condition: { StringEquals: { "events:source": "stepwatch" } },
    },
  ];
}

function operates(resources: Resources): PolicyStatement[] {
  const table = arnsOf(resources).of("dynamodb", `table/${resources.table}`);
  return [
    {
      ...allow("ChangeTheLedger", dynamodb("UpdateItem", "DeleteItem"), [table]),
      ...rows("RUN#*", "BUILD#*", "PROJECT#*"),
    },
    // The run that waits for a lock is told that it has it.
    allow("HandTheLockOn", ["states:SendTaskFailure"], [resources.runMachineArn]),
  ];
}

/** For `image`: a revision of both task definitions that differs in the image. */
function releases(resources: Resources): PolicyStatement[] {
  const { stackName } = resources;
  const { of, partition, account } = arnsOf(resources);
  const families = [of("ecs", `task-definition/${stackName}-*`)];
  const roles = [`arn:${partition}:iam::${account}:role/stepwatch/${stackName}/*`];
  return [
    // IAM knows no resource of this call.
    allow("ReadDefinitions", ["ecs:DescribeTaskDefinition"], ["*"]),
    allow("RegisterRevisions", ["ecs:RegisterTaskDefinition"], families),
    {
      ...allow("KeepTheirTags", ["ecs:TagResource"], families),
      Condition: { StringEquals: { "ecs:CreateAction": "RegisterTaskDefinition" } },
    },
    {
      ...allow("GiveTasksTheirRoles", ["iam:PassRole"], roles),
      Condition: { StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" } },
    },
    allow("LookUpTags", ["ecr:DescribeImages"], [of("ecr", "repository/*")]),
  ];
}

/** As functions have them (infra/identity): rows are read and written with the key in the caller's name. */
const KEY_ACTIONS = [
  "kms:Decrypt",
  "kms:Encrypt",
  "kms:ReEncryptFrom",
  "kms:ReEncryptTo",
  "kms:GenerateDataKey",
  "kms:DescribeKey",
];

/** Of a stack of an earlier version there is none. */
const given = (arn: string | undefined): string[] => (arn === undefined ? [] : [arn]);

const allow = (Sid: string, Action: readonly string[], Resource: readonly string[]): PolicyStatement => ({
  Sid,
  Effect: "Allow",
  Action,
  Resource,
});

const dynamodb = (...actions: readonly string[]): string[] => actions.map((action) => `dynamodb:${action}`);

/** Rows of these partitions alone; a request that names none is refused. */
const rows = (...partitions: readonly string[]) => ({
  Condition: {
    "ForAllValues:StringLike": { "dynamodb:LeadingKeys": partitions },
    Null: { "dynamodb:LeadingKeys": "false" },
  },
});

/** ARNs in the account, region and partition of the run machine. */
function arnsOf({ runMachineArn, backfillMachineArn }: Resources) {
  const [, partition = "aws", , region = "", account = "", , machine = ""] = runMachineArn.split(":");
  const of = (service: string, resource: string) => `arn:${partition}:${service}:${region}:${account}:${resource}`;
  const executionsOf = (name: string) => of("states", `execution:${name}:*`);
  const backfills = given(backfillMachineArn).map((one) => executionsOf(one.split(":")[6] ?? ""));
  return { partition, region, account, of, executions: executionsOf(machine), backfills };
}
