import { afterAll, beforeAll, expect, test } from "vitest";
import { status } from "#local/embedded-aws.ts";
import { EmbeddedAwsFixture, eventually } from "./embedded-aws-fixture.ts";

let aws: EmbeddedAwsFixture;

beforeAll(async () => {
  aws = await EmbeddedAwsFixture.start();
}, 120_000);
afterAll(() => aws?.end());

test("a function sees its variables, the endpoints and its context", async () => {
  const source = `export const handler = async (event, context) => ({
    event,
    own: process.env.OWN,
    aws: process.env.AWS_ENDPOINT_URL,
    ecs: process.env.AWS_ENDPOINT_URL_ECS,
    region: process.env.AWS_REGION,
    name: process.env.AWS_LAMBDA_FUNCTION_NAME,
    arn: context.invokedFunctionArn,
    remaining: context.getRemainingTimeInMillis(),
    requestId: context.awsRequestId,
    path: process.env.npm_package_name ?? "none of the host's",
  });`;
  const arn = await aws.deployFunction("seeing", source, { Environment: { Variables: { OWN: "yes" } } });
  const { payload } = await aws.invoke("seeing", { a: 1 });
  expect(payload).toMatchObject({
    event: { a: 1 },
    own: "yes",
    aws: aws.endpoints.awsEndpointUrl,
    ecs: aws.endpoints.ecsEndpointUrl,
    region: "us-east-1",
    name: "seeing",
    arn,
    requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    path: "none of the host's",
  });
  const { remaining } = payload as { remaining: number };
  expect(remaining).toBeGreaterThan(5_000);
  expect(remaining).toBeLessThanOrEqual(10_000);
});

test("a function without an answer answers null", async () => {
  await aws.deployFunction("silent", "export async function handler() {}");
  expect(await aws.invoke("silent", {})).toEqual({ error: null, payload: null });
});

test("new code and new settings are picked up at the next invocation", async () => {
  await aws.deployFunction("changing", "export const handler = async () => [1, process.env.LEVEL];", {
    Environment: { Variables: { LEVEL: "low" } },
  });
  expect((await aws.invoke("changing", {})).payload).toEqual([1, "low"]);
  await aws.deployFunction("changing", "export const handler = async () => [2, process.env.LEVEL];");
  expect((await aws.invoke("changing", {})).payload).toEqual([2, "low"]);
  const url = `${aws.endpoints.awsEndpointUrl}/2015-03-31/functions/changing/configuration`;
  await fetch(url, { method: "PUT", body: JSON.stringify({ Environment: { Variables: { LEVEL: "high" } } }) });
  expect((await aws.invoke("changing", {})).payload).toEqual([2, "high"]);
});

test("many invocations share one loaded module and do not wait for each other", async () => {
  const source = `
    let open = 0, most = 0;
    export async function handler() {
      open += 1;
      most = Math.max(most, open);
      while (most < 40) await new Promise((resolve) => setTimeout(resolve, 5));
      open -= 1;
      return most;
    }`;
  await aws.deployFunction("shared", source, { Timeout: 30 });
  const answers = await Promise.all(Array.from({ length: 40 }, () => aws.invoke("shared", {})));
  expect(answers.every(({ payload }) => payload === 40)).toBe(true);
});

test("a crash ends the invocations of its thread with Runtime.ExitError, and the next one gets a new thread", async () => {
  const source = `
    let times = 0;
    export async function handler({ crash }) {
      times += 1;
      if (crash) process.exit(3);
      return times;
    }`;
  await aws.deployFunction("crashing", source);
  expect((await aws.invoke("crashing", {})).payload).toBe(1);
  const crashed = await aws.invoke("crashing", { crash: true });
  expect(crashed.error).toBe("Unhandled");
  expect(crashed.payload).toMatchObject({
    errorType: "Runtime.ExitError",
    errorMessage: expect.stringContaining("Runtime exited with error: exit status 3"),
  });
  expect((await aws.invoke("crashing", {})).payload).toBe(1);
});

test("a timeout ends only the invocation that took too long", async () => {
  const source = `export async function handler({ ms }) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return "done";
  }`;
  await aws.deployFunction("slow", source, { Timeout: 1 });
  const [slow, quick] = await Promise.all([aws.invoke("slow", { ms: 60_000 }), aws.invoke("slow", { ms: 1 })]);
  expect(quick.payload).toBe("done");
  expect(slow.payload).toMatchObject({
    errorType: "Sandbox.Timedout",
    errorMessage: expect.stringMatching(/^RequestId: \S+ Error: Task timed out after 1.00 seconds$/),
  });
  expect((await aws.invoke("slow", { ms: 1 })).payload).toBe("done");
});

test("code that can not be loaded says so by AWS' names", async () => {
  await aws.deployFunction("no-export", "export const other = 1;");
  await aws.deployFunction("no-module", "export const handler = 1;", { Handler: "main.handler" });
  await aws.deployFunction("broken", "throw new RangeError('at load');");
  const errorOf = async (name: string) => ((await aws.invoke(name, {})).payload as { errorType: string }).errorType;
  expect(await errorOf("no-export")).toBe("Runtime.HandlerNotFound");
  expect(await errorOf("no-module")).toBe("Runtime.ImportModuleError");
  expect(await errorOf("broken")).toBe("RangeError");
});

test("console output goes to the function's log group, line by line with its request", async () => {
  const source = `export async function handler(event, context) {
    console.log("hello %s", event.name, { a: 1 });
    console.error("careful");
    return context.awsRequestId;
  }`;
  await aws.deployFunction("talking", source);
  await aws.deployFunction("elsewhere", source, { LoggingConfig: { LogGroup: "/shared/functions" } });
  const { payload } = await aws.invoke("talking", { name: "log" });
  await aws.invoke("elsewhere", { name: "shared" });
  const linesOf = (group: string) =>
    eventually(async () => {
      const lines = await aws.logLines(group).catch(() => []);
      return lines.length >= 2 ? lines : undefined;
    });
  const [hello, careful] = await linesOf("/aws/lambda/talking");
  expect(hello?.split("\t").slice(1)).toEqual([payload, "INFO", "hello log { a: 1 }"]);
  expect(careful?.split("\t").slice(1)).toEqual([payload, "ERROR", "careful"]);
  expect((await linesOf("/shared/functions"))[0]).toContain("hello shared");
});

test("a function finds the AWS SDK, as in Lambda's runtime, and what fails at load is in its log", async () => {
  const source = `import { SFNClient, ListStateMachinesCommand } from "@aws-sdk/client-sfn";
  export const handler = async () => (await new SFNClient({}).send(new ListStateMachinesCommand({}))).stateMachines;`;
  await aws.deployFunction("with-sdk", source);
  expect(await aws.invoke("with-sdk", {})).toEqual({ error: null, payload: [] });
  await aws.deployFunction("without", 'import "not-bundled"; export const handler = async () => 1;');
  expect((await aws.invoke("without", {})).error).toBe("Unhandled");
  await eventually(async () => {
    const lines = await aws.logLines("/aws/lambda/without").catch(() => []);
    return lines.some((line) => line.includes("Load Error") && line.includes("not-bundled")) ? true : undefined;
  });
});

test("the status of the embedded AWS tells how often each function was called", async () => {
  await aws.deployFunction("counted", "export const handler = async () => 1;");
  await aws.invoke("counted", {});
  await aws.invoke("counted", {});
  const { functions } = await status({ stateDir: aws.stateDir });
  expect(functions?.counted?.calls).toBe(2);
  expect(functions?.counted?.milliseconds).toBeGreaterThan(0);
});
