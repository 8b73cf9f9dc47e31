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

describe("what each function may do", () => {
  const LOG = ["logs:CreateLogStream", "logs:PutLogEvents"];

  test("start-run: rows of runs and projects, executions of the run machine", () => {
    const role = roleOf("stepwatch-start-run");
    expect(allowed(role)).toEqual([
      ...LOG.map((action) => `${action} on Functionsstartrun`),
      ...["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"].map((action) => `dynamodb:${action} on ledger`),
      "states:SendTaskSuccess on states:stateMachine:stepwatch-run",
      "states:SendTaskFailure on states:stateMachine:stepwatch-run",
      "states:DescribeExecution on states:execution:stepwatch-run:*",
    ]);
    expect(conditionOf(role, "LedgerRows")).toEqual({
      "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["RUN#*", "PROJECT#*"] },
    });
  });

  test("check-run: the only one that launches tasks and starts consumers", () => {
    const role = roleOf("stepwatch-check-run");
    expect(allowed(role)).toEqual([
      ...LOG.map((action) => `${action} on Functionscheckrun`),
      ...["GetItem", "Query", "PutItem", "UpdateItem"].map((action) => `dynamodb:${action} on ledger`),
      "s3:GetObject on artefacts/runs/*",
      "s3:PutObject on artefacts/runs/*",
      "s3:ListBucket on artefacts",
      "states:SendTaskSuccess on states:stateMachine:stepwatch-run",
      "states:SendTaskFailure on states:stateMachine:stepwatch-run",
      "states:StartExecution on states:stateMachine:stepwatch-consumer",
      "ecs:RunTask on ecs:task-definition/stepwatch-shop-producer:*",
      "ecs:RunTask on ecs:task-definition/stepwatch-shop-queue:*",
      "ecs:TagResource on ecs:task/<Cluster>/*",
      expect.stringMatching(/^iam:PassRole on shopTaskRole$/),
      expect.stringMatching(/^iam:PassRole on shopExecutionRole$/),
      "ecs:DescribeTasks on ecs:task/<Cluster>/*",
      "ecs:StopTask on ecs:task/<Cluster>/*",
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
  });

  test("watch-node: rows of runs, read and marked; tokens of consumers", () => {
    const role = roleOf("stepwatch-watch-node");
    expect(allowed(role)).toEqual([
      ...LOG.map((action) => `${action} on Functionswatchnode`),
      ...["GetItem", "BatchGetItem", "Query", "UpdateItem"].map((action) => `dynamodb:${action} on ledger`),
      "s3:GetObject on artefacts/runs/*",
      "s3:ListBucket on artefacts",
      "states:SendTaskSuccess on states:stateMachine:stepwatch-consumer",
      "states:SendTaskFailure on states:stateMachine:stepwatch-consumer",
    ]);
    expect(conditionOf(role, "LedgerRows")).toEqual({
      "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["RUN#*"] },
    });
  });

  test("settle-run: the ledger, the artefacts, events of our own source, and the end of tasks; no launch and no execution", () => {
    const role = roleOf("stepwatch-settle-run");
    const services = new Set(allowed(role).map((entry) => entry.split(":")[0]));
    expect([...services].sort()).toEqual(["dynamodb", "ecs", "events", "logs", "s3"]);
    const ofTasks = allowed(role).filter((entry) => entry.startsWith("ecs:"));
    expect(ofTasks.map((entry) => entry.split(" ")[0])).toEqual(["ecs:DescribeTasks", "ecs:StopTask"]);
    expect(allowed(role)).toContain("events:PutEvents on events:event-bus/default");
    expect(conditionOf(role, "PublishEvents")).toEqual({ StringEquals: { "events:source": "stepwatch" } });
  });
});

describe("what a project's tasks may do", () => {
  const roles = Object.keys(resourcesOf(template));
  const taskRole = roles.find((id) => id.startsWith("shopTaskRole"))!;
  const executionRole = roles.find((id) => /^shopExecutionRole[0-9A-F]{8}$/.test(id))!;

  test("D9: the task role reaches its own project's rows and objects alone", () => {
    expect(conditionOf(taskRole, "LedgerRows")).toEqual({
      "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["RUN#shop#*"] },
    });
    expect(conditionOf(taskRole, "ReadLock")).toEqual({
      "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["PROJECT#shop"] },
    });
    expect(allowed(taskRole).filter((entry) => entry.startsWith("dynamodb:"))).toEqual(
      ["GetItem", "UpdateItem", "GetItem"].map((action) => `dynamodb:${action} on ledger`),
    );
    expect(allowed(taskRole).filter((entry) => entry.startsWith("s3:"))).toEqual([
      "s3:GetObject on artefacts/runs/shop/*",
      "s3:PutObject on artefacts/runs/shop/*",
      "s3:ListBucket on artefacts",
    ]);
    expect(conditionOf(taskRole, "ArtefactNames")).toEqual({ StringLike: { "s3:prefix": ["runs/shop/*"] } });
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
        expect(owner).toMatch(/^shopExecutionRole/);
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
  expect(allowed(owner("shopscheduleRole"))).toEqual([
    expect.stringMatching(/^states:StartExecution on <MachinesRun\w+>$/),
  ]);
});

test("no action is a wildcard, and no resource but the log delivery of Step Functions", () => {
  for (const { owner, statement } of statements) {
    for (const action of listOf(statement.Action)) expect(action).not.toContain("*");
    if (listOf(statement.Resource).some((resource) => resource === "*")) {
      expect(owner).toMatch(/^Machines(Run|Consumer)RoleDefaultPolicy/);
      for (const action of listOf(statement.Action)) expect(action).toMatch(/^logs:/);
    }
  }
});
