import { CreateTableCommand, DynamoDBClient, PutItemCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EVENT_FILTERS, STREAM_FILTERS } from "#core/contracts/stream.ts";
import { EmbeddedAwsFixture, eventually } from "./embedded-aws-fixture.ts";

let aws: EmbeddedAwsFixture;
let table: DynamoDBClient;
const TableName = "filtered";
const HEARD =
  "export const handler = ({ Records }) => Records.forEach(({ dynamodb }) => console.log(dynamodb.Keys.sk.S));";

beforeAll(async () => {
  aws = await EmbeddedAwsFixture.start();
  const { region, awsEndpointUrl: endpoint } = aws.endpoints;
  table = new DynamoDBClient({ region, endpoint, credentials: { accessKeyId: "test", secretAccessKey: "test" } });
  const created = await table.send(
    new CreateTableCommand({
      TableName,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: ["pk", "sk"].map((AttributeName) => ({ AttributeName, AttributeType: "S" as const })),
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
      StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
    }),
  );
  for (const [name, filters] of Object.entries({ heard: STREAM_FILTERS, published: EVENT_FILTERS })) {
    await aws.deployFunction(name, HEARD);
    const made = await fetch(`${aws.endpoints.awsEndpointUrl}/2015-03-31/event-source-mappings`, {
      method: "POST",
      body: JSON.stringify({
        FunctionName: name,
        EventSourceArn: created.TableDescription?.LatestStreamArn,
        StartingPosition: "LATEST",
        BatchSize: 100,
        FilterCriteria: { Filters: filters.map((pattern) => ({ Pattern: JSON.stringify(pattern) })) },
      }),
    });
    if (!made.ok) throw new Error(await made.text());
  }
}, 120_000);
afterAll(() => aws?.end());

async function row(pk: string, sk: string, ...updates: { readonly set: string; readonly to: object }[]) {
  await table.send(new PutItemCommand({ TableName, Item: { pk: { S: pk }, sk: { S: sk } } }));
  for (const { set, to } of updates)
    await table.send(
      new UpdateItemCommand({
        TableName,
        Key: { pk: { S: pk }, sk: { S: sk } },
        UpdateExpression: "SET #a = :a",
        ExpressionAttributeNames: { "#a": set },
        ExpressionAttributeValues: { ":a": to as never },
      }),
    );
}

/** How often each of these rows was told to a function, once the last of them was. */
async function timesTold(name: string, rows: readonly string[]): Promise<Record<string, number>> {
  const heard = await eventually(async () => {
    // The first line makes the log group.
    const lines = (await aws.logLines(`/aws/lambda/${name}`).catch(() => [])).join("\n");
    return lines.includes(rows.at(-1)!) ? lines.split("\n") : undefined;
  });
  return Object.fromEntries(rows.map((sk) => [sk, heard.filter((line) => line.includes(sk)).length]));
}

const heartbeat = (time: number) => ({ set: "heartbeatAtMs", to: { N: String(time) } });

test("a build's end, its plan and a last word on a vertex pass the stream's filters once each, heartbeats not at all", async () => {
  await row("BUILD#shop#r", "heartbeats", heartbeat(1), heartbeat(2));
  await row("BUILD#shop#r", "end", heartbeat(1), { set: "end", to: { M: { endedAtMs: { N: "5" } } } }, heartbeat(2));
  await row("BUILD#shop#r", "plan", { set: "toldPlanKey", to: { S: "plan" } }, heartbeat(2));
  await row("RUN#shop#r", "last word", { set: "final", to: { S: "dead" } }, { set: "outcome", to: { S: "red" } });
  await row("RUN#shop#r", "closing", { set: "state", to: { S: "over" } });
  expect(await timesTold("heard", ["heartbeats", "end", "plan", "last word", "closing"])).toEqual({
    heartbeats: 0,
    end: 1,
    plan: 1,
    "last word": 1,
    closing: 1,
  });
});

test("H4: a word that is not good, a consumer's end and a run's own row pass the filters of events; good words do not", async () => {
  const status = (to: string) => ({ set: "status", to: { S: to } });
  const evidence = { set: "evidence", to: { BOOL: true } };
  await row("BUILD#shop#s", "heartbeats", heartbeat(1), heartbeat(2));
  await row("BUILD#shop#s", "good word", status("started"), evidence, status("success"));
  await row("BUILD#shop#s", "bad word", status("started"), evidence, status("error"));
  await row("BUILD#shop#s", "future word", status("unheard of"), evidence);
  await row("RUN#shop#s", "task", { set: "state", to: { S: "over" } });
  await row("RUN#shop#s", "run", { set: "executionArn", to: { S: "arn" } }, { set: "state", to: { S: "red" } });
  await row("RUN#shop#s", "consumer", { set: "outcome", to: { S: "green" } });
  const rows = ["heartbeats", "good word", "task", "bad word", "future word", "run", "consumer"];
  expect(await timesTold("published", rows)).toEqual({
    heartbeats: 0,
    "good word": 0,
    task: 0,
    "bad word": 1,
    "future word": 1,
    run: 2,
    consumer: 1,
  });
});
