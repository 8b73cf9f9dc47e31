import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { CloudFormationClient, GetTemplateCommand, paginateListStacks } from "@aws-sdk/client-cloudformation";
import {
  CloudWatchLogsClient,
  paginateDescribeLogGroups,
  paginateFilterLogEvents,
} from "@aws-sdk/client-cloudwatch-logs";
import { DynamoDBClient, paginateScan } from "@aws-sdk/client-dynamodb";
import { ECSClient, paginateListTaskDefinitions } from "@aws-sdk/client-ecs";
import { GetObjectCommand, paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
import {
  paginateGetExecutionHistory,
  paginateListExecutions,
  paginateListStateMachines,
  SFNClient,
} from "@aws-sdk/client-sfn";
import { beforeAll, expect, test } from "vitest";
import { status } from "#local/embedded-aws.ts";
import { awsJson } from "#local/emulator/aws-json.ts";
import { clientEnvironment } from "#local/endpoints.ts";
import { readDeployment } from "../../cli/deployment-record.ts";
import { runCli, runProject } from "../support/cli.ts";
import { ownStack } from "../support/own-stack.ts";
import { PLANTED } from "../support/vault.ts";
import { askPostgres } from "../support/warehouse.ts";

const deployed = ownStack();
const outputs = () => readDeployment(deployed.stateDir)!.outputs!;

/** The emulator's own words: what CloudFormation has registered keeps a spelling that the SDK does not read. */
async function json() {
  const { endpoints } = await status({ stateDir: deployed.stateDir });
  Object.assign(process.env, clientEnvironment(endpoints!));
  return awsJson(endpoints!.awsEndpointUrl, "us-east-1");
}

beforeAll(async () => {
  const aws = await json();
  const secret = { Name: PLANTED.secretName, SecretString: JSON.stringify({ password: PLANTED.password }) };
  await aws.call("secretsmanager", "CreateSecret", secret);
  await aws.call("ssm", "PutParameter", { Name: PLANTED.parameterName, Value: PLANTED.token, Type: "SecureString" });
  const role = `create role ${PLANTED.user} superuser login password '${PLANTED.password}'; commit; select 1`;
  await askPostgres(deployed, role);
});

/** Everything that a run leaves, as texts under the name of where they are. */
async function everything(runId: string): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  const keep = (where: string, what: unknown) =>
    texts.set(where, `${texts.get(where) ?? ""}${typeof what === "string" ? what : JSON.stringify(what)}\n`);
  const { TableName, BucketName } = outputs();
  for await (const { Items } of paginateScan({ client: new DynamoDBClient({}) }, { TableName })) keep("ledger", Items);
  const s3 = new S3Client({ forcePathStyle: true });
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket: BucketName }))
    for (const { Key } of Contents) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BucketName, Key }));
      keep("artefacts", Buffer.from(await Body!.transformToByteArray()).toString("latin1"));
    }
  const logs = new CloudWatchLogsClient({});
  for await (const { logGroups = [] } of paginateDescribeLogGroups({ client: logs }, {}))
    for (const { logGroupName } of logGroups)
      for await (const { events } of paginateFilterLogEvents({ client: logs }, { logGroupName })) keep("logs", events);
  const ecs = new ECSClient({});
  for await (const { taskDefinitionArns = [] } of paginateListTaskDefinitions({ client: ecs }, {}))
    for (const taskDefinition of taskDefinitionArns)
      keep("definitions", await (await json()).call("ecs", "DescribeTaskDefinition", { taskDefinition }));
  const stacks = new CloudFormationClient({});
  for await (const { StackSummaries = [] } of paginateListStacks({ client: stacks }, {}))
    for (const { StackName, StackStatus } of StackSummaries)
      if (!StackStatus?.startsWith("DELETE"))
        keep("templates", (await stacks.send(new GetTemplateCommand({ StackName }))).TemplateBody);
  for (const history of await histories(runId)) keep("histories", history);
  for (const args of [
    ["status", runId, "--json"],
    ["why", runId, "--json"],
    ["logs", runId],
    ["tasks", runId],
  ]) {
    const { stdout, stderr } = await runCli(deployed, args);
    keep("commands", stdout + stderr);
  }
  for (const file of filesBelow(join(deployed.stateDir)).filter((path) => /image|layer/i.test(path)))
    keep("layers", readFileSync(file, "latin1"));
  return texts;
}

async function histories(runId: string): Promise<unknown[]> {
  const client = new SFNClient({});
  const found: unknown[] = [];
  for await (const { stateMachines = [] } of paginateListStateMachines({ client }, {}))
    for (const { stateMachineArn } of stateMachines)
      for await (const { executions = [] } of paginateListExecutions({ client }, { stateMachineArn }))
        for (const { executionArn, name } of executions)
          if (name === runId || name?.includes("vault"))
            for await (const { events } of paginateGetExecutionHistory({ client }, { executionArn }))
              found.push(events);
  return found;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
}

test("a planted secret is in no row, log, artefact, definition, template, history, command or layer of a run that used it", async () => {
  const { code, summary } = await runProject(deployed, "vault");
  expect(code).toBe(1);
  const texts = await everything(summary.runId);
  // It was used: the warehouse let dbt in with one, and said the other one aloud, which was masked.
  const telling = summary.nodes.find(({ uniqueId }) => uniqueId.endsWith(".telling"))!;
  expect(summary.nodes.find(({ uniqueId }) => uniqueId.endsWith(".fine"))).toMatchObject({ status: "success" });
  expect(telling.message).toMatch(/invalid input syntax for type integer: "\*+"/);
  // What is searched is really there.
  for (const place of ["ledger", "artefacts", "logs", "definitions", "templates", "histories", "commands", "layers"])
    expect([place, (texts.get(place) ?? "").length > 100]).toEqual([place, true]);
  for (const place of ["ledger", "artefacts", "logs", "commands"])
    expect([place, texts.get(place)!.includes("invalid input syntax")]).toEqual([place, true]);
  expect(texts.get("definitions")!.includes("WAREHOUSE_PASSWORD")).toBe(true);
  const forms = (secret: string) => [
    secret,
    Buffer.from(secret).toString("base64").slice(0, -3),
    encodeURIComponent(secret),
  ];
  const leaks = [...texts].flatMap(([place, text]) =>
    [PLANTED.password, PLANTED.token].flatMap(forms).flatMap((form) => (text.includes(form) ? [[place, form]] : [])),
  );
  expect(leaks).toEqual([]);
});
