import { CreateTableCommand, DynamoDBClient, PutItemCommand, QueryCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EmbeddedAwsFixture } from "./embedded-aws-fixture.ts";

const TABLE = "rows";
let aws: EmbeddedAwsFixture;
let dynamo: DynamoDBClient;

beforeAll(async () => {
  aws = await EmbeddedAwsFixture.start();
  dynamo = new DynamoDBClient({
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    endpoint: aws.endpoints.awsEndpointUrl,
  });
  const key = (AttributeName: string, KeyType: "HASH" | "RANGE") => ({ AttributeName, KeyType });
  const text = (AttributeName: string) => ({ AttributeName, AttributeType: "S" as const });
  await dynamo.send(
    new CreateTableCommand({
      TableName: TABLE,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [text("pk"), text("sk")],
      KeySchema: [key("pk", "HASH"), key("sk", "RANGE")],
    }),
  );
  for (const sk of ["TASK#1", "VERTEX#a", "VERTEX#b"])
    await dynamo.send(new PutItemCommand({ TableName: TABLE, Item: { pk: { S: "RUN" }, sk: { S: sk } } }));
}, 120_000);
afterAll(() => {
  dynamo?.destroy();
  return aws?.end();
});

async function found(condition: string, value: string): Promise<string[]> {
  const { Items = [] } = await dynamo.send(
    new QueryCommand({
      TableName: TABLE,
      KeyConditionExpression: condition,
      ExpressionAttributeNames: { "#p": "pk", "#s": "sk" },
      ExpressionAttributeValues: { ":p": { S: "RUN" }, ":s": { S: value } },
    }),
  );
  return Items.map((item) => item.sk?.S ?? "");
}

test("an expression whose text is known finds what its values of this call say", async () => {
  const condition = "#p = :p AND begins_with(#s, :s)";
  expect(await found(condition, "VERTEX#")).toEqual(["VERTEX#a", "VERTEX#b"]);
  expect(await found(condition, "TASK#")).toEqual(["TASK#1"]);
  expect(await found(condition, "VERTEX#b")).toEqual(["VERTEX#b"]);
});

test("an expression with a defect is refused the second time as the first", async () => {
  const refusals = [];
  for (const condition of ["#p = :p AND ((#s = :s))", "#p = :p AND #s = = :s"])
    for (let time = 0; time < 2; time += 1)
      refusals.push(await found(condition, "TASK#1").catch((error: Error) => `${error.name}: ${error.message}`));
  expect(refusals[0]).toContain("ValidationException: Invalid KeyConditionExpression: The expression has redundant");
  expect(refusals[1]).toEqual(refusals[0]);
  expect(refusals[2]).toContain("ValidationException");
  expect(refusals[3]).toEqual(refusals[2]);
});
