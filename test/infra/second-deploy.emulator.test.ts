import {
  CloudFormationClient,
  CreateStackCommand,
  DeleteStackCommand,
  DescribeStacksCommand,
  waitUntilStackCreateComplete,
  waitUntilStackDeleteComplete,
} from "@aws-sdk/client-cloudformation";
import { DescribeTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { CreateBucketCommand, HeadBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Emulator, emulatorIdentity, startEmulator } from "../support/emulator.ts";
import { exampleConfig } from "../support/projects.ts";
import { resourcesOf, synthesise } from "./example-stack.ts";

/**
 * As for AWS, but for what the emulator does not have (saved queries, CDK's custom resource for the default group) and
 * what asks for the bootstrap stack.
 */
function templateForAws(): string {
  const config = exampleConfig({ vpc: { restrictDefaultSecurityGroup: false } }, { schedule: "rate(1 day)" });
  const template = synthesise(config).template.toJSON();
  const known = Object.entries(template.Resources as Record<string, { Type: string }>).filter(
    ([, { Type }]) => Type !== "AWS::Logs::QueryDefinition",
  );
  const { Parameters: _, Rules: __, ...rest } = template;
  return JSON.stringify({ ...rest, Resources: Object.fromEntries(known) });
}

const StackName = "stepwatch";
let emulator: Emulator;
let cloudFormation: CloudFormationClient;
const ASSETS = "assets";
let settings: typeof emulatorIdentity & { endpoint: string };
let buckets: S3Client;

beforeAll(async () => {
  emulator = await startEmulator();
  settings = { ...emulatorIdentity, endpoint: emulator.endpoint };
  cloudFormation = new CloudFormationClient(settings);
  buckets = new S3Client({ ...settings, forcePathStyle: true });
  await buckets.send(new CreateBucketCommand({ Bucket: ASSETS }));
});
afterAll(() => emulator.stop());

const WAIT = { maxWaitTime: 120, minDelay: 0.2, maxDelay: 1 };

async function created(): Promise<Record<string, string>> {
  // As CDK hands it over: it is longer than a call may be.
  await buckets.send(new PutObjectCommand({ Bucket: ASSETS, Key: "template.json", Body: templateForAws() }));
  const TemplateURL = `${emulator.endpoint}/${ASSETS}/template.json`;
  await cloudFormation.send(new CreateStackCommand({ StackName, TemplateURL, Capabilities: ["CAPABILITY_NAMED_IAM"] }));
  await waitUntilStackCreateComplete({ ...WAIT, client: cloudFormation }, { StackName });
  const { Stacks } = await cloudFormation.send(new DescribeStacksCommand({ StackName }));
  return Object.fromEntries(
    (Stacks![0]!.Outputs ?? []).map(({ OutputKey, OutputValue }) => [OutputKey!, OutputValue!]),
  );
}

test("a deleted stack leaves its table and its bucket, and they do not block the next first deploy", async () => {
  const first = await created();
  await cloudFormation.send(new DeleteStackCommand({ StackName }));
  await waitUntilStackDeleteComplete({ ...WAIT, client: cloudFormation }, { StackName });
  const second = await created();
  expect(second.RunMachineArn).toBe(first.RunMachineArn);
  const tables = new DynamoDBClient(settings);
  for (const { TableName, BucketName } of [first, second]) {
    expect((await tables.send(new DescribeTableCommand({ TableName }))).Table!.TableStatus).toBe("ACTIVE");
    await buckets.send(new HeadBucketCommand({ Bucket: BucketName }));
  }
  expect([second.TableName, second.BucketName]).not.toEqual([first.TableName, first.BucketName]);
});

test("what stays has no name of its own that a next one would want, but for task definitions, whose revisions go on", () => {
  const kept = Object.values(resourcesOf(synthesise().template)).filter(({ DeletionPolicy }) =>
    /^Retain/.test(DeletionPolicy ?? ""),
  );
  expect(new Set(kept.map(({ Type }) => Type))).toEqual(
    new Set(["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::ECS::TaskDefinition"]),
  );
  for (const { Properties } of kept)
    expect([Properties.TableName, Properties.BucketName]).toEqual([undefined, undefined]);
});
