import { DynamoDBClient, GetItemCommand, PutItemCommand, TransactWriteItemsCommand } from "@aws-sdk/client-dynamodb";
import { ECSClient, RunTaskCommand } from "@aws-sdk/client-ecs";
import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { SendTaskFailureCommand, SendTaskSuccessCommand, SFNClient, StartExecutionCommand } from "@aws-sdk/client-sfn";
import { describe, expect, it } from "vitest";
import { eventBridgeEvents } from "#clients/eventbridge-events.ts";
import { withinLimits } from "#clients/within-limits.ts";
import { AwsLimitExceeded } from "#core/aws-limits.ts";
import { warningEvent } from "../support/fake-clients.ts";
import { scriptedHttp } from "../support/scripted-http.ts";

/** Nobody listens there: what is refused never leaves. */
const settings = {
  region: "us-east-1",
  endpoint: "http://127.0.0.1:9",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
  maxAttempts: 1,
};
const dynamo = withinLimits(new DynamoDBClient(settings));
const s3 = withinLimits(new S3Client({ ...settings, forcePathStyle: true }));
const sfn = withinLimits(new SFNClient(settings));
const ecs = withinLimits(new ECSClient(settings));
const events = withinLimits(new EventBridgeClient(settings));

const run = (changes: object) => ecs.send(new RunTaskCommand({ taskDefinition: "t", ...changes }));
const put = (n: number, size = 1) => ({
  Put: { TableName: "t", Item: { pk: { S: "p" }, sk: { S: String(n) }, a: { S: "x".repeat(size) } } },
});
const overrides = (size: number) => ({
  containerOverrides: [{ name: "c", environment: [{ name: "A", value: "x".repeat(size) }] }],
});

describe("calls that AWS refuses for their size", () => {
  it.each<[string, () => Promise<unknown>]>([
    [
      "a sort key of 1,025 bytes",
      () => dynamo.send(new GetItemCommand({ TableName: "t", Key: { pk: { S: "p" }, sk: { S: "k".repeat(1_025) } } })),
    ],
    [
      "a partition key of 2,049 bytes",
      () => dynamo.send(new GetItemCommand({ TableName: "t", Key: { pk: { S: "p".repeat(2_049) }, sk: { S: "k" } } })),
    ],
    ["an empty key", () => dynamo.send(new GetItemCommand({ TableName: "t", Key: { pk: { S: "" }, sk: { S: "k" } } }))],
    [
      "an item above 400 KiB",
      () => dynamo.send(new PutItemCommand({ TableName: "t", Item: put(1, 410_000).Put.Item })),
    ],
    [
      "a transaction of 101 actions",
      () =>
        dynamo.send(new TransactWriteItemsCommand({ TransactItems: Array.from({ length: 101 }, (_, n) => put(n)) })),
    ],
    [
      "a transaction above 4 MiB",
      () =>
        dynamo.send(
          new TransactWriteItemsCommand({ TransactItems: Array.from({ length: 15 }, (_, n) => put(n, 300_000)) }),
        ),
    ],
    [
      "an object key of 1,025 bytes",
      () => s3.send(new PutObjectCommand({ Bucket: "b", Key: "ü".repeat(513), Body: "" })),
    ],
    [
      "an execution name of 81 characters",
      () => sfn.send(new StartExecutionCommand({ stateMachineArn: "arn", name: "n".repeat(81) })),
    ],
    [
      "an execution name with a dot",
      () => sfn.send(new StartExecutionCommand({ stateMachineArn: "arn", name: "model.a" })),
    ],
    [
      "an input above 256 KiB",
      () =>
        sfn.send(
          new StartExecutionCommand({ stateMachineArn: "arn", name: "n", input: JSON.stringify("x".repeat(262_144)) }),
        ),
    ],
    [
      "an output above 256 KiB",
      () => sfn.send(new SendTaskSuccessCommand({ taskToken: "t", output: JSON.stringify("x".repeat(262_144)) })),
    ],
    [
      "a cause above 32,768 characters",
      () => sfn.send(new SendTaskFailureCommand({ taskToken: "t", cause: "x".repeat(32_769) })),
    ],
    ["overrides above 8,192 characters", () => run({ overrides: overrides(8_192) })],
    ["a client token of 65 characters", () => run({ clientToken: "c".repeat(65) })],
    ["startedBy of 129 characters", () => run({ startedBy: "s".repeat(129) })],
    ["a tag's value of 257 characters", () => run({ tags: [{ key: "k", value: "v".repeat(257) }] })],
    ["a tag with a bracket", () => run({ tags: [{ key: "k", value: "a[0]" }] })],
    ["51 tags", () => run({ tags: Array.from({ length: 51 }, (_, n) => ({ key: `k${n}`, value: "v" })) })],
    [
      "eleven events",
      () => events.send(new PutEventsCommand({ Entries: Array.from({ length: 11 }, () => ({ Detail: "{}" })) })),
    ],
    ["events above 256 KiB", () => events.send(new PutEventsCommand({ Entries: [{ Detail: "x".repeat(262_145) }] }))],
  ])("D18: %s is refused before it leaves, with field and size", async (_, call) => {
    await expect(call()).rejects.toThrow(AwsLimitExceeded);
    await expect(call()).rejects.toThrow(/^AWS refuses /);
  });

  it("D18: what fits is sent", async () => {
    await expect(run({ overrides: overrides(1_000), clientToken: "c", startedBy: "s" })).rejects.toThrow(
      /ECONNREFUSED|refused/,
    );
  });

  it("D18: events are put in as many calls as their sizes need", async () => {
    const answer = (size: number) => ({
      body: { FailedEntryCount: 0, Entries: Array.from({ length: size }, () => ({ EventId: "e" })) },
    });
    const { seen, settings: scripted } = scriptedHttp([answer(2), answer(2), answer(1)]);
    const large = Array.from({ length: 5 }, (_, n) => {
      const event = warningEvent(`e${n}`);
      return { ...event, detail: { ...event.detail, sentence: "x".repeat(100_000) } };
    });
    await eventBridgeEvents({ client: new EventBridgeClient(scripted) }).publish(large);
    expect(seen.map(({ body }) => (body.Entries as unknown[]).length)).toEqual([2, 2, 1]);
  });
});
