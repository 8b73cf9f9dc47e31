import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ECSClient, RegisterTaskDefinitionCommand, RunTaskCommand } from "@aws-sdk/client-ecs";
import { CreateStateMachineCommand, ListStateMachinesCommand, SFNClient } from "@aws-sdk/client-sfn";
import { afterEach, beforeEach, expect, test } from "vitest";
import { traceFolderOf } from "#local/ecs/container-launch.ts";
import { writeLocalImage } from "#local/ecs/local-image.ts";
import { down, reset, status, up } from "#local/embedded-aws.ts";
import { readRecord, writeRecord } from "#local/emulator/supervisor-files.ts";
import { clientEnvironment, type Endpoints } from "#local/endpoints.ts";
import { isRunning, startMarkOf } from "#local/process-identity.mjs";
import { DEFAULT_STATE_DIR } from "#local/python.ts";
import { eventually } from "./embedded-aws-fixture.ts";

let stateDir: string;
let options: { stateDir: string; venvStateDir: string };

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "embedded-aws-life-"));
  options = { stateDir, venvStateDir: DEFAULT_STATE_DIR };
});
afterEach(async () => {
  delete process.env.STEPWATCH_AWS_PORT;
  await down({ stateDir });
  rmSync(stateDir, { recursive: true, force: true });
});

const credentials = { accessKeyId: "test", secretAccessKey: "test" };

function identities() {
  const record = readRecord(stateDir);
  if (record?.ministack === undefined) throw new Error("The embedded AWS has left no record.");
  return { supervisor: record.supervisor, ministack: record.ministack };
}

/** A container that ignores SIGTERM, with a process below it. Returns the pid of the container. */
async function runStubbornContainer(endpoints: Endpoints): Promise<number> {
  const { region, ecsEndpointUrl } = endpoints;
  const ecs = new ECSClient({ region, credentials, endpoint: ecsEndpointUrl });
  const script = `trap "" TERM; sleep 301 & while :; do sleep 0.1; done`;
  writeLocalImage(stateDir, "stubborn", { Cmd: ["/bin/sh", "-c", script] });
  const containerDefinitions = [{ name: "runner", image: "stubborn", stopTimeout: 1 }];
  await ecs.send(new RegisterTaskDefinitionCommand({ family: "stubborn", containerDefinitions }));
  await ecs.send(new RunTaskCommand({ taskDefinition: "stubborn" }));
  return eventually(async () => {
    const [file] = existsSync(traceFolderOf(stateDir)) ? readdirSync(traceFolderOf(stateDir)) : [];
    return file === undefined
      ? undefined
      : (JSON.parse(readFileSync(join(traceFolderOf(stateDir), file), "utf8")).pid as number);
  });
}

test("up twice, also at once, is one embedded AWS; down ends all of it", async () => {
  const [first, second] = await Promise.all([up(options), up(options)]);
  expect(second).toEqual(first);
  expect(await up(options)).toEqual(first);
  expect(await status(options)).toMatchObject({ running: true, endpoints: first, runningTasks: 0 });
  const container = await runStubbornContainer(first);
  const { supervisor, ministack } = identities();
  await down(options);
  expect([isRunning(supervisor), isRunning(ministack), startMarkOf(container)]).toEqual([false, false, undefined]);
  expect(await status(options)).toEqual({ running: false });
  await down(options);
});

test("after a SIGKILL of the supervisor MiniStack ends by itself and the next start ends the containers", async () => {
  const first = await up(options);
  const container = await runStubbornContainer(first);
  const { supervisor, ministack } = identities();
  process.kill(supervisor.pid, "SIGKILL");
  await eventually(async () => (isRunning(ministack) ? undefined : true));
  expect(await status(options)).toEqual({ running: false });
  const second = await up(options);
  expect(second.pid).not.toBe(first.pid);
  await eventually(async () => (startMarkOf(container) === undefined ? true : undefined));
});

test("when MiniStack dies, nothing stays behind", async () => {
  await up(options);
  const { supervisor, ministack } = identities();
  process.kill(ministack.pid, "SIGKILL");
  await eventually(async () => (isRunning(supervisor) ? undefined : true));
  expect(await status(options)).toEqual({ running: false });
});

test("a recorded process whose number belongs to another one now is left alone", async () => {
  const stranger = { pid: process.ppid, startMark: "of another process" };
  writeRecord(stateDir, { nonce: "n", supervisor: stranger, ministack: stranger, endpoints: undefined });
  await down(options);
  expect(startMarkOf(process.ppid)).toBeDefined();
  expect(readRecord(stateDir)).toBeUndefined();
});

test("a port that was asked for and is taken is named in one sentence, and nothing runs", async () => {
  const other = createServer();
  const port = await new Promise<number>((resolve) => {
    other.listen(0, "127.0.0.1", () => resolve((other.address() as { port: number }).port));
  });
  process.env.STEPWATCH_AWS_PORT = String(port);
  await expect(up(options)).rejects.toThrow(`Port ${port} (from STEPWATCH_AWS_PORT) is in use`);
  expect(await status(options)).toEqual({ running: false });
  await new Promise((resolve) => other.close(resolve));
  expect((await up(options)).awsEndpointUrl).toBe(`http://127.0.0.1:${port}`);
});

test("reset forgets what was deployed and stops what runs", async () => {
  const endpoints = await up(options);
  const sfn = new SFNClient({ region: endpoints.region, credentials, endpoint: endpoints.awsEndpointUrl });
  const definition = JSON.stringify({ StartAt: "End", States: { End: { Type: "Succeed" } } });
  await sfn.send(
    new CreateStateMachineCommand({ name: "gone", definition, roleArn: "arn:aws:iam::000000000000:role/r" }),
  );
  const container = await runStubbornContainer(endpoints);
  await reset(options);
  expect((await sfn.send(new ListStateMachinesCommand({}))).stateMachines).toEqual([]);
  expect(startMarkOf(container)).toBeUndefined();
  expect((await status(options)).runningTasks).toBe(0);
  await down(options);
  await expect(reset(options)).rejects.toThrow("does not run");
});

test("the environment for clients names both endpoints and can reach no real account", () => {
  const environment = clientEnvironment({
    awsEndpointUrl: "http://127.0.0.1:1",
    ecsEndpointUrl: "http://127.0.0.1:2",
    region: "us-east-1",
  });
  expect(environment).toMatchObject({
    AWS_ENDPOINT_URL: "http://127.0.0.1:1",
    AWS_ENDPOINT_URL_ECS: "http://127.0.0.1:2",
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_REGION: "us-east-1",
  });
});
