import { describe, expect, test } from "vitest";
import { exampleConfig } from "../support/projects.ts";
import { asText, listOf, resourcesOf, statementsOf, synthesise } from "./example-stack.ts";

const { template } = synthesise(
  exampleConfig({}, { schedule: "rate(1 day)", secrets: { PASSWORD: "warehouse:password", TOKEN: "/dbt/token" } }),
);
const statements = statementsOf(template);

/** Logical id of the role that a function runs with. */
function roleOf(functionName: string): string {
  const found = Object.values(resourcesOf(template)).find(
    ({ Type, Properties }) => Type === "AWS::Lambda::Function" && Properties.FunctionName === functionName,
  );
  return (found!.Properties as unknown as { Role: { "Fn::GetAtt": string[] } }).Role["Fn::GetAtt"][0]!;
}

/** `action on resource` of everything that a role may do. */
const allowed = (owner: string) =>
  statements
    .filter(({ statement }) => statement.Effect === "Allow")
    .filter((entry) => entry.owner === owner || entry.owner.startsWith(`${owner.slice(0, -8)}DefaultPolicy`))
    .flatMap(({ statement }) =>
      listOf(statement.Action).flatMap((action) =>
        listOf(statement.Resource).map((resource) => `${action} on ${shortened(asText(resource))}`),
      ),
    );

const shortened = (text: string) =>
  text
    .replace(/^arn:<AWS::Partition>:(\w+):<AWS::Region>:<AWS::AccountId>:/, "$1:")
    .replace(/<LedgerTable\w+\.Arn>/, "ledger")
    .replace(/<ArtefactsBucket\w+\.Arn>/, "artefacts")
    .replace(/^<(\w+?)(log)?[0-9A-F]{8}\.Arn>$/, "$1");

const conditionOf = (owner: string, sid: string) =>
  statements.find((entry) => entry.owner === owner && entry.statement.Sid === sid)?.statement.Condition;

/** A condition that holds for these partitions alone, and for no request without a key: `ForAllValues` is true of none. */
const rowsOf = (...partitions: string[]) => ({
  "ForAllValues:StringLike": { "dynamodb:LeadingKeys": partitions },
  Null: { "dynamodb:LeadingKeys": "false" },
});

test("no condition for all values holds for a request that has none of them", () => {
  const forAll = statements.flatMap(({ statement }) => {
    const conditions = (statement.Condition ?? {}) as Record<string, Record<string, unknown>>;
    const keys = Object.entries(conditions).flatMap(([operator, values]) =>
      operator.startsWith("ForAllValues:") ? Object.keys(values) : [],
    );
    return keys.map((key) => conditions.Null?.[key]);
  });
  expect(forAll.length).toBeGreaterThan(5);
  expect(new Set(forAll)).toEqual(new Set(["false"]));
});

/** Ending the waits of both machines. */
const ANSWERS = ["Success", "Failure"].flatMap((how) =>
  ["run", "consumer"].map((machine) => `states:SendTask${how} on states:stateMachine:stepwatch-${machine}`),
);

describe("what each function may do", () => {
  const LOG = ["logs:CreateLogStream", "logs:PutLogEvents"];

  test("start-run: rows of runs and projects, executions of the run machine", () => {
    const role = roleOf("stepwatch-start-run");
    expect(allowed(role)).toEqual([
      ...LOG.map((action) => `${action} on Functionsstartrun`),
      ...["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"].map(
        (action) => `dynamodb:${action} on ledger`,
      ),
      "states:SendTaskSuccess on states:stateMachine:stepwatch-run",
      "states:SendTaskFailure on states:stateMachine:stepwatch-run",
      "states:DescribeExecution on states:execution:stepwatch-run:*",
      "states:DescribeExecution on states:execution:stepwatch-backfill:*",
    ]);
    expect(conditionOf(role, "LedgerRows")).toEqual(rowsOf("RUN#*", "BUILD#*", "PROJECT#*"));
  });

  test("check-run: the only one that launches tasks and starts consumers", () => {
    const role = roleOf("stepwatch-check-run");
    expect(allowed(role)).toEqual([
      ...LOG.map((action) => `${action} on Functionscheckrun`),
      ...["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"].map((action) => `dynamodb:${action} on ledger`),
      "s3:GetObject on artefacts/runs/*",
      "s3:PutObject on artefacts/runs/*",
      "s3:ListBucket on artefacts",
      ...ANSWERS,
      "states:StartExecution on states:stateMachine:stepwatch-consumer",
      "ecs:RunTask on ecs:task-definition/stepwatch-*-producer:*",
      "ecs:RunTask on ecs:task-definition/stepwatch-*-queue:*",
      "ecs:TagResource on ecs:task/<Cluster>/*",
      "iam:PassRole on arn:<AWS::Partition>:iam::<AWS::AccountId>:role/stepwatch/stepwatch/*",
      "ecs:DescribeTasks on ecs:task/<Cluster>/*",
      "ecs:StopTask on ecs:task/<Cluster>/*",
      "events:PutEvents on events:event-bus/default",
    ]);
    expect(conditionOf(role, "LaunchTasks")).toEqual({
      ArnEquals: { "ecs:cluster": { "Fn::GetAtt": ["Cluster", "Arn"] } },
    });
    expect(conditionOf(role, "PassTaskRoles")).toEqual({
      StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" },
    });
    expect(conditionOf(role, "TagLaunchedTasks")).toEqual({ StringEquals: { "ecs:CreateAction": "RunTask" } });
    for (const name of ["start-run", "watch-node", "settle-run"])
      expect(allowed(roleOf(`stepwatch-${name}`)).join()).not.toMatch(/RunTask|StartExecution|PassRole/);
    expect(allowed(roleOf("stepwatch-stop-run")).join()).not.toMatch(/RunTask|PassRole|RedriveExecution/);
  });

  test("watch-node: rows of runs, read and marked; tokens of consumers; a redriven one redrives its run", () => {
    const role = roleOf("stepwatch-watch-node");
    expect(allowed(role)).toEqual([
      ...LOG.map((action) => `${action} on Functionswatchnode`),
      ...["GetItem", "UpdateItem", "BatchGetItem", "Query"].map((action) => `dynamodb:${action} on ledger`),
      "s3:GetObject on artefacts/runs/*",
      "s3:ListBucket on artefacts",
      "states:SendTaskSuccess on states:stateMachine:stepwatch-consumer",
      "states:SendTaskFailure on states:stateMachine:stepwatch-consumer",
      "states:DescribeExecution on states:execution:stepwatch-run:*",
      "states:RedriveExecution on states:execution:stepwatch-run:*",
    ]);
    expect(conditionOf(role, "LedgerRows")).toEqual(rowsOf("RUN#*"));
    expect(conditionOf(role, "ReadRuns")).toEqual(rowsOf("RUN#*", "BUILD#*"));
  });

  test("settle-run: the ledger, the artefacts, events of our own source, the end of tasks, and the wait for the lock; no launch and no execution", () => {
    const role = roleOf("stepwatch-settle-run");
    const services = new Set(allowed(role).map((entry) => entry.split(":")[0]));
    expect([...services].sort()).toEqual(["dynamodb", "ecs", "events", "logs", "s3", "states"]);
    const ofMachines = allowed(role).filter((entry) => entry.startsWith("states:"));
    expect(ofMachines).toEqual([...ANSWERS, "states:DescribeExecution on states:execution:stepwatch-run:*"]);
    const ofTasks = allowed(role).filter((entry) => entry.startsWith("ecs:"));
    expect(ofTasks.map((entry) => entry.split(" ")[0])).toEqual(["ecs:DescribeTasks", "ecs:StopTask"]);
    expect(allowed(role)).toContain("events:PutEvents on events:event-bus/default");
    expect(conditionOf(role, "PublishEvents")).toEqual({ StringEquals: { "events:source": "stepwatch" } });
  });
});

test("F13: wake hears of the ledger's changes, ends waits and starts consumers; it launches nothing and gives no verdict", () => {
  const role = roleOf("stepwatch-wake");
  expect(allowed(role)).toEqual([
    "logs:CreateLogStream on Functionswake",
    "logs:PutLogEvents on Functionswake",
    ...["GetItem", "BatchGetItem", "Query", "UpdateItem", "BatchGetItem", "Query"].map(
      (action) => `dynamodb:${action} on ledger`,
    ),
    "s3:GetObject on artefacts/runs/*",
    "s3:ListBucket on artefacts",
    ...ANSWERS,
    "states:StartExecution on states:stateMachine:stepwatch-consumer",
    "dynamodb:ListStreams on *",
    ...["DescribeStream", "GetRecords", "GetShardIterator"].map(
      (action) => `dynamodb:${action} on <LedgerTable9343E4AA.StreamArn>`,
    ),
    "sqs:SendMessage on WakesFailedQueue",
  ]);
});

/** What is kept beside the runs (behaviour H9): written where a run is given its verdict, and nowhere else. */
const LATEST = ["GetObject", "PutObject"].flatMap((action) =>
  ["latest", "latest-green", "commits"].map((prefix) => `s3:${action} on artefacts/${prefix}/*`),
);

test("H9: settle-run and stop-run alone write what lies beside the runs", () => {
  expect(allowed(roleOf("stepwatch-settle-run"))).toEqual(expect.arrayContaining(LATEST));
  for (const name of ["start-run", "check-run", "watch-node", "wake"])
    expect(allowed(roleOf(`stepwatch-${name}`)).join()).not.toMatch(/latest|commits/);
});

test("H4: publish reads a run, marks what it has told of, and puts events of one source; it decides nothing", () => {
  const role = roleOf("stepwatch-publish");
  expect(allowed(role)).toEqual([
    "logs:CreateLogStream on Functionspublish",
    "logs:PutLogEvents on Functionspublish",
    ...["GetItem", "BatchGetItem", "Query", "UpdateItem", "BatchGetItem", "Query"].map(
      (action) => `dynamodb:${action} on ledger`,
    ),
    "s3:GetObject on artefacts/runs/*",
    "s3:ListBucket on artefacts",
    "events:PutEvents on events:event-bus/default",
    "dynamodb:ListStreams on *",
    ...["DescribeStream", "GetRecords", "GetShardIterator"].map(
      (action) => `dynamodb:${action} on <LedgerTable9343E4AA.StreamArn>`,
    ),
    "sqs:SendMessage on EventsFailedQueue",
  ]);
  expect(conditionOf(role, "LedgerRows")).toEqual(rowsOf("RUN#*"));
  expect(conditionOf(role, "PublishEvents")).toEqual({ StringEquals: { "events:source": "stepwatch" } });
});

test("G33: stop-run ends what is left of a run: tasks, rows, the lock, and starts no build", () => {
  const role = roleOf("stepwatch-stop-run");
  expect(allowed(role)).toEqual([
    "logs:CreateLogStream on Functionsstoprun",
    "logs:PutLogEvents on Functionsstoprun",
    ...["GetItem", "BatchGetItem", "Query", "UpdateItem", "DeleteItem"].map((action) => `dynamodb:${action} on ledger`),
    "s3:GetObject on artefacts/runs/*",
    "s3:PutObject on artefacts/runs/*",
    "s3:ListBucket on artefacts",
    ...LATEST,
    "states:DescribeExecution on states:execution:stepwatch-run:*",
    ...ANSWERS,
    "states:StartExecution on states:stateMachine:stepwatch-consumer",
    "ecs:DescribeTasks on ecs:task/<Cluster>/*",
    "ecs:StopTask on ecs:task/<Cluster>/*",
    "events:PutEvents on events:event-bus/default",
  ]);
  expect(conditionOf(role, "LedgerRows")).toEqual(rowsOf("RUN#*", "BUILD#*", "PROJECT#*"));
  expect(conditionOf(role, "PublishEvents")).toEqual({ StringEquals: { "events:source": "stepwatch" } });
});

describe("what a project's tasks may do", () => {
  const roles = Object.keys(resourcesOf(template));
  const taskRole = roles.find((id) => id.startsWith("ProjectshopTaskRole"))!;
  const executionRole = roles.find((id) => /^ProjectshopExecutionRole[0-9A-F]{8}$/.test(id))!;

  test("D9: the task role reaches its own project's rows and objects alone", () => {
    expect(conditionOf(taskRole, "TellOfBuilds")).toEqual(rowsOf("BUILD#shop#*"));
    expect(conditionOf(taskRole, "ReadRuns")).toEqual(rowsOf("RUN#shop#*"));
    expect(conditionOf(taskRole, "ReadLock")).toEqual(rowsOf("PROJECT#shop"));
    expect(allowed(taskRole).filter((entry) => entry.startsWith("dynamodb:"))).toEqual(
      ["GetItem", "UpdateItem", "BatchWriteItem", "GetItem", "GetItem"].map((action) => `dynamodb:${action} on ledger`),
    );
    expect(allowed(taskRole).filter((entry) => entry.startsWith("s3:"))).toEqual([
      "s3:GetObject on artefacts/runs/shop/*",
      "s3:GetObject on artefacts/latest/shop/*",
      "s3:GetObject on artefacts/latest-green/shop/*",
      "s3:GetObject on artefacts/commits/shop/*",
      "s3:PutObject on artefacts/runs/shop/*/tasks/*",
      "s3:PutObject on artefacts/runs/shop/*/state/*",
      "s3:PutObject on artefacts/runs/shop/*/partial_parse.msgpack",
      "s3:ListBucket on artefacts",
    ]);
    expect(conditionOf(taskRole, "ArtefactNames")).toEqual({
      StringLike: { "s3:prefix": ["runs/shop/*", "latest/shop/*", "latest-green/shop/*", "commits/shop/*"] },
    });
    expect(allowed(taskRole).join()).not.toMatch(/Delete|states:|ecs:|iam:|Scan/);
  });

  test("only the execution role reads secrets, each by its own name", () => {
    expect(allowed(executionRole)).toEqual(
      expect.arrayContaining([
        "secretsmanager:GetSecretValue on secretsmanager:secret:warehouse-??????",
        "ssm:GetParameters on ssm:parameter/dbt/token",
      ]),
    );
    for (const { owner, statement } of statements) {
      if (listOf(statement.Action).some((action) => /^(secretsmanager|ssm):/.test(action)))
        expect(owner).toMatch(/^ProjectshopExecutionRole/);
    }
  });
});

test("each machine invokes its own functions; the schedule starts the run machine", () => {
  const owner = (prefix: string) =>
    Object.keys(resourcesOf(template)).find((id) => new RegExp(`^${prefix}[0-9A-F]{8}$`).test(id))!;
  const invoked = (prefix: string) => allowed(owner(prefix)).filter((entry) => entry.startsWith("lambda:"));
  expect(invoked("MachinesRunRole")).toEqual(
    ["startrun", "checkrun", "settlerun"].map((name) => `lambda:InvokeFunction on Functions${name}`),
  );
  expect(invoked("MachinesConsumerRole")).toEqual(["lambda:InvokeFunction on Functionswatchnode"]);
  const withoutLog = allowed(owner("MachinesBackfillRole")).filter((entry) => !entry.startsWith("logs:"));
  expect(withoutLog).toEqual([
    expect.stringMatching(/^states:StartExecution on <MachinesRun\w+>$/),
    expect.stringMatching(/^states:DescribeExecution on states:execution:/),
    expect.stringMatching(/^states:StopExecution on states:execution:/),
    ...["PutTargets", "PutRule", "DescribeRule"].map(
      (action) => `events:${action} on events:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule`,
    ),
  ]);
  expect(allowed(owner("ProjectshopScheduleRole"))).toEqual([
    expect.stringMatching(/^states:StartExecution on <MachinesRun\w+>$/),
    "sqs:SendMessage on DeadLettersQueue",
  ]);
});

test("each role is assumed for this account's own resources alone, where the service says for whom it asks", () => {
  const trust = Object.values(resourcesOf(template)).flatMap(({ Type, Properties }) => {
    if (Type !== "AWS::IAM::Role") return [];
    const document = (Properties as unknown as { AssumeRolePolicyDocument: { Statement: TrustStatement[] } })
      .AssumeRolePolicyDocument;
    return document.Statement.map(({ Principal, Condition }) => [
      Principal.Service,
      Condition && [asText(Condition.StringEquals["aws:SourceAccount"]), asText(Condition.ArnLike["aws:SourceArn"])],
    ]);
  });
  const ours = (arn: string) => ["<AWS::AccountId>", `arn:<AWS::Partition>:${arn}`];
  const expected = [
    ["ecs-tasks.amazonaws.com", ours("ecs:<AWS::Region>:<AWS::AccountId>:*")],
    ["states.amazonaws.com", ours("states:<AWS::Region>:<AWS::AccountId>:stateMachine:stepwatch-run")],
    ["states.amazonaws.com", ours("states:<AWS::Region>:<AWS::AccountId>:stateMachine:stepwatch-consumer")],
    ["states.amazonaws.com", ours("states:<AWS::Region>:<AWS::AccountId>:stateMachine:stepwatch-backfill")],
    ["scheduler.amazonaws.com", ours("scheduler:<AWS::Region>:<AWS::AccountId>:schedule-group/default")],
    ["lambda.amazonaws.com", undefined],
  ];
  expect(expected).toEqual(expect.arrayContaining(trust));
  expect(trust).toEqual(expect.arrayContaining(expected));
});

interface TrustStatement {
  readonly Principal: { readonly Service: string };
  readonly Condition?: {
    readonly StringEquals: Record<string, unknown>;
    readonly ArnLike: Record<string, unknown>;
  };
}

test("no action is a wildcard, and no resource but the log delivery of Step Functions", () => {
  for (const { owner, statement } of statements) {
    for (const action of listOf(statement.Action)) expect(action).not.toContain("*");
    if (listOf(statement.Resource).some((resource) => resource === "*")) {
      // Lambda looks for the table's stream by its name.
      const isStream = /^Functions(wake|publish)role/.test(owner);
      if (!isStream) expect(owner).toMatch(/^Machines(Run|Consumer|Backfill)RoleDefaultPolicy/);
      for (const action of listOf(statement.Action))
        expect(action).toMatch(isStream ? /^dynamodb:ListStreams$/ : /^logs:/);
    }
  }
});

test("H10: a state in another bucket that stepwatch.yaml names is readable to that project's tasks, and nothing else of the bucket", () => {
  const { template: named } = synthesise(
    exampleConfig({}, { build: { state: "s3://prod-artefacts/dbt/shop", deferState: "latest-green" } }),
  );
  const text = JSON.stringify(Object.entries(resourcesOf(named)).find(([id]) => id.startsWith("ProjectshopTaskRole")));
  expect(text).toContain(":s3:::prod-artefacts/dbt/shop/*");
  expect(text).toContain('"s3:prefix":["dbt/shop/*"]');
  expect(text.match(/prod-artefacts/g)).toHaveLength(2);
});
