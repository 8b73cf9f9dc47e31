import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CloudWatchLogsClient, CreateLogGroupCommand, FilterLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  CreateClusterCommand,
  DescribeTasksCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
  RunTaskCommand,
} from "@aws-sdk/client-ecs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { writeLocalImage } from "#local/ecs/local-image.ts";
import { isRunning, startMarkOf } from "#local/process-identity.mjs";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { EmbeddedAwsFixture, eventually } from "./embedded-aws-fixture.ts";

const root = join(import.meta.dirname, "../..");
const IMAGE = "example/dbt@sha256:0123";
/** Of somebody else: neither the embedded AWS' region nor its keys. */
const IDENTITY = { AWS_REGION: "eu-central-1", AWS_ACCESS_KEY_ID: "123456789012", AWS_SECRET_ACCESS_KEY: "s" };

let engine: EmbeddedAwsFixture;
const programs: ChildProcess[] = [];

beforeAll(async () => {
  engine = await EmbeddedAwsFixture.start();
}, 120_000);
afterEach(() => {
  for (const program of programs.splice(0)) program.kill("SIGKILL");
});
afterAll(() => engine?.end());

/** A program of local/ as a person starts it; answers its URL once it says that it answers. */
async function started(script: string, ...flags: string[]): Promise<{ url: string; program: ChildProcess }> {
  const program = spawn(process.execPath, [join(root, script), "--port", "0", ...flags], {
    env: { ...process.env, ...IDENTITY },
    stdio: ["ignore", "pipe", "inherit"],
  });
  programs.push(program);
  let said = "";
  program.stdout!.on("data", (chunk) => {
    said += String(chunk);
  });
  const url = await eventually(async () => / answers at (\S+),/.exec(said)?.[1], 30_000);
  return { url, program };
}

const client = (endpoint: string) => ({
  endpoint,
  region: IDENTITY.AWS_REGION,
  credentials: { accessKeyId: IDENTITY.AWS_ACCESS_KEY_ID, secretAccessKey: IDENTITY.AWS_SECRET_ACCESS_KEY },
});

async function runSleeper(ecs: ECSClient): Promise<string> {
  await ecs.send(new CreateClusterCommand({ clusterName: "own" }));
  const log = { logDriver: "awslogs" as const, options: { "awslogs-group": "/own", "awslogs-stream-prefix": "run" } };
  await ecs.send(
    new RegisterTaskDefinitionCommand({
      family: "sleeper",
      containerDefinitions: [{ name: "runner", image: IMAGE, essential: true, logConfiguration: log }],
    }),
  );
  const { tasks = [] } = await ecs.send(new RunTaskCommand({ cluster: "own", taskDefinition: "sleeper" }));
  return tasks[0]!.taskArn!;
}

describe("the ECS endpoint as a program beside an engine", () => {
  test("keeps clusters and definitions itself, runs tasks, ships their log to the engine, and ends them with itself", async () => {
    const stateDir = temporaryFolder("ecs-program");
    writeLocalImage(stateDir, IMAGE, { Entrypoint: ["/bin/sh", "-c"], Cmd: ["echo $AWS_REGION; exec sleep 600"] });
    const logs = new CloudWatchLogsClient(client(engine.endpoints.awsEndpointUrl));
    await logs.send(new CreateLogGroupCommand({ logGroupName: "/own" }));
    const { url, program } = await started(
      "local/ecs/main.ts",
      ...["--rest", engine.endpoints.awsEndpointUrl, "--state-dir", stateDir],
    );
    const ecs = new ECSClient(client(url));
    const taskArn = await runSleeper(ecs);
    expect(taskArn).toMatch(/^arn:aws:ecs:eu-central-1:123456789012:task\/own\//);
    const task = await eventually(async () => {
      const { tasks } = await ecs.send(new DescribeTasksCommand({ cluster: "own", tasks: [taskArn] }));
      return tasks?.[0]?.lastStatus === "RUNNING" ? tasks[0] : undefined;
    });
    const pid = Number(task.containers?.[0]?.runtimeId);
    const container = { pid, startMark: startMarkOf(pid)! };
    expect(isRunning(container)).toBe(true);
    const printed = await eventually(async () => {
      const { events = [] } = await logs.send(new FilterLogEventsCommand({ logGroupName: "/own" }));
      return events[0]?.message;
    });
    expect(printed).toBe("eu-central-1");
    expect(existsSync(join(stateDir, "ecs", "registry.json"))).toBe(true);
    program.kill("SIGTERM");
    expect((await once(program, "exit"))[0]).toBe(0);
    expect(isRunning(container)).toBe(false);
  });

  test("with --registry clusters and definitions are another endpoint's", async () => {
    const stateDir = temporaryFolder("ecs-program");
    writeLocalImage(stateDir, IMAGE, { Entrypoint: ["/bin/sh", "-c"], Cmd: ["true"] });
    const rest = engine.endpoints.awsEndpointUrl;
    const { url } = await started(
      "local/ecs/main.ts",
      ...["--rest", rest, "--registry", rest, "--state-dir", stateDir],
    );
    await new CloudWatchLogsClient(client(rest)).send(new CreateLogGroupCommand({ logGroupName: "/own2" }));
    await runSleeper(new ECSClient(client(url)));
    const { clusterArns } = await listClusters(rest);
    expect(clusterArns).toEqual([expect.stringMatching(/:cluster\/own$/)]);
    expect(existsSync(join(stateDir, "ecs", "registry.json"))).toBe(false);
  });

  test("a flag that is wrong is usage (2), one that is missing too, --help tells all of them", async () => {
    const end = async (...flags: string[]) => {
      const program = spawn(process.execPath, [join(root, "local/ecs/main.ts"), ...flags]);
      const text: string[] = [];
      for (const stream of [program.stdout, program.stderr]) stream.on("data", (chunk) => text.push(String(chunk)));
      const [code] = await once(program, "close");
      return `${code} ${text.join("")}`;
    };
    expect(await end()).toMatch(/^2 --rest is missing/);
    expect(await end("--rest", "4566")).toMatch(/^2 --rest is "4566", which is no URL/);
    expect(await end("--rest", "http://127.0.0.1:1", "--prot", "1")).toMatch(/^2 .*--prot/);
    const help = await end("--help");
    for (const flag of ["--port", "--host", "--rest", "--registry", "--state-dir"]) expect(help).toContain(flag);
  });
});

async function listClusters(url: string): Promise<{ clusterArns: string[] }> {
  const scope = `${IDENTITY.AWS_ACCESS_KEY_ID}/20260101/${IDENTITY.AWS_REGION}/ecs/aws4_request`;
  const answer = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": "AmazonEC2ContainerServiceV20141113.ListClusters",
      authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`,
    },
    body: "{}",
  });
  return (await answer.json()) as { clusterArns: string[] };
}

test("the host of functions as a program takes an invocation as the Lambda API has it", async () => {
  const stateDir = temporaryFolder("lambda-program");
  const { url } = await started(
    "local/lambda/main.ts",
    ...["--rest", engine.endpoints.awsEndpointUrl, "--ecs", "http://127.0.0.1:9", "--state-dir", stateDir],
  );
  const scope = `${IDENTITY.AWS_ACCESS_KEY_ID}/20260101/${IDENTITY.AWS_REGION}/lambda/aws4_request`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`;
  const source = `export const handler = async (event) => {
    if (event.fail) throw Object.assign(new Error("no"), { name: "NodeFailed" });
    return { event, ecs: process.env.AWS_ENDPOINT_URL_ECS, region: process.env.AWS_REGION };
  };`;
  await engine.deployFunction("echo", source, {}, { authorization });
  const invoke = async (event: object) => {
    const answer = await fetch(`${url}/2015-03-31/functions/echo/invocations`, {
      method: "POST",
      body: JSON.stringify(event),
    });
    return { error: answer.headers.get("x-amz-function-error"), payload: await answer.json() };
  };
  expect(await invoke({ a: 1 })).toEqual({
    error: null,
    payload: { event: { a: 1 }, ecs: "http://127.0.0.1:9", region: "eu-central-1" },
  });
  expect(await invoke({ fail: true })).toMatchObject({ error: "Unhandled", payload: { errorType: "NodeFailed" } });
  const changed = 'export const handler = async () => "changed";';
  await engine.deployFunction("echo", changed, {}, { authorization });
  expect(await invoke({})).toEqual({ error: null, payload: "changed" });
});
