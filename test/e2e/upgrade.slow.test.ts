import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CloudWatchLogsClient, FilterLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { DescribeTasksCommand, ECSClient } from "@aws-sdk/client-ecs";
import { DescribeStateMachineCommand, SFNClient, UpdateStateMachineCommand } from "@aws-sdk/client-sfn";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { CONTRACT } from "#core/contracts/payloads.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { down, status } from "#local/embedded-aws.ts";
import { clientEnvironment, type Endpoints } from "#local/endpoints.ts";
import { fetchFunction } from "#local/lambda/function-code.ts";
import { type DeploymentRecord, readDeployment } from "../../cli/deployment-record.ts";
import { deployedNames, RUN_FUNCTIONS } from "../../infra/deployed-names.ts";
import { synthesise } from "../infra/example-stack.ts";
import { eventually } from "../local/embedded-aws-fixture.ts";
import { zipArchive } from "../local/zip-archive.ts";
import { alarmsOf, metricsOf, ownMetricsOf } from "../support/alarms.ts";
import { runCli, runProject, startProject } from "../support/cli.ts";
import { endedConsumers } from "../support/consumers.ts";
import { containerPid } from "../support/containers.ts";
import { E2E_DBT_PACKAGES } from "../support/e2e-packages.ts";
import type { Deployed } from "../support/e2e-setup.ts";
import { runRow } from "../support/ledger-rows.ts";
import { exampleConfig } from "../support/projects.ts";
import { statusOnce } from "../support/run-status.ts";

const shop = join(import.meta.dirname, "../../examples/jaffle-shop");
const QUICK = { retryDelaySeconds: 1, holdSeconds: 2, heartbeatSeconds: 1, lostAfterSeconds: 4, orphanGraceSeconds: 1 };

/** Alarms are left out on the embedded AWS; the dashboard is made, and shows nothing. */
const WATCHED = { alarms: { email: "night@example.com" }, dashboard: true };

/** A stack of its own, since it is changed: the name is that of the last release's machines. */
const folder = mkdtempSync(join(tmpdir(), "stepwatch-upgrade-"));
const place: Deployed = {
  endpoint: null,
  stateDir: join(folder, "state"),
  configPath: join(folder, "stepwatch.yaml"),
  folder,
  postgres: {},
  messagesUrl: "",
};
let endpoints: Endpoints;
let deployment: DeploymentRecord;

/** Writes stepwatch.yaml and deploys it, as a person does. */
async function deploy(top: object, project: object = {}, policy: object = {}): Promise<void> {
  const jaffle = {
    projectDir: shop,
    target: "duckdb",
    dbt: { packages: E2E_DBT_PACKAGES },
    environment: { JAFFLE_DUCKDB: join(folder, "jaffle.duckdb") },
    policy: { ...QUICK, runTimeoutMinutes: 20, ...policy },
    ...project,
  };
  writeFileSync(
    place.configPath,
    stringify({ stackName: "stepwatch", projects: { shop: jaffle }, ...WATCHED, ...top }),
  );
  const end = await runCli(place, ["deploy", "--local", "--config", place.configPath]);
  expect(end.code, `${end.stderr}\n${end.stdout}`).toBe(0);
  endpoints = (await status(place)).endpoints!;
  deployment = readDeployment(place.stateDir)!;
  Object.assign(process.env, clientEnvironment(endpoints));
}

beforeAll(() => deploy({ pollIntervalSeconds: 2 }));
afterAll(async () => {
  await down(place);
  rmSync(folder, { recursive: true, force: true });
});

/** Puts a definition in the place of a deployed machine's, with the settings of today's project. */
async function asInTheLastRelease(machine: "run" | "consumer"): Promise<void> {
  const sfn = new SFNClient({});
  const stateMachineArn = deployment.outputs[machine === "run" ? "RunMachineArn" : "ConsumerMachineArn"];
  const now = JSON.parse((await sfn.send(new DescribeStateMachineCommand({ stateMachineArn }))).definition!);
  const then = JSON.parse(
    readFileSync(join(import.meta.dirname, `../fixtures/last-release/${machine}-machine.json`), "utf8"),
  );
  if (machine === "run")
    then.States["Start run"].Parameters.Payload.projects = now.States["Start run"].Parameters.Payload.projects;
  await sfn.send(new UpdateStateMachineCommand({ stateMachineArn, definition: JSON.stringify(then) }));
}

/** Every function gets other code that does the same, as a release with other bundles does it. */
async function deployOtherCode(): Promise<void> {
  for (const name of RUN_FUNCTIONS) {
    const functionName = deployedNames.lambdaFunction("stepwatch", name);
    const { awsEndpointUrl, region } = endpoints;
    const source = { emulatorUrl: awsEndpointUrl, region };
    const { codeDir } = await fetchFunction(source, functionName, "$LATEST", join(folder, "code"));
    const code = `${readFileSync(join(codeDir, "index.mjs"), "utf8")}\n// another release\n`;
    const answer = await fetch(`${awsEndpointUrl}/2015-03-31/functions/${functionName}/code`, {
      method: "PUT",
      body: JSON.stringify({ ZipFile: zipArchive({ "index.mjs": code }).toString("base64") }),
    });
    expect(answer.status, functionName).toBe(200);
  }
}

/** Task definition revisions that ECS ran for a run, by task number. */
async function revisionsOf(summary: RunSummary): Promise<string[]> {
  const tasks = summary.tasks.map(({ taskArn }) => taskArn!);
  const described = await new ECSClient({}).send(
    new DescribeTasksCommand({ cluster: deployment.outputs.ClusterName, tasks }),
  );
  return described.tasks!.map(({ taskDefinitionArn }) => taskDefinitionArn!.split("/")[1]!).sort();
}

const HOUR_MS = 3_600_000;

const FLAKY = ["--vars", '{"break":"flaky"}'];

test("D14: a run that began with the last release's machines ends right though everything is deployed anew under it, with its old revision; the next run has the new one", async () => {
  await asInTheLastRelease("run");
  await asInTheLastRelease("consumer");
  const runId = await startProject(place, "shop", FLAKY);
  await statusOnce(place, runId, ({ nodes }) => nodes.some((node) => node.status === "success"));
  await deployOtherCode();
  await deploy({ pollIntervalSeconds: 3 }, { producer: { memoryMiB: 4096 } }, { retryDelaySeconds: 2 });
  const summary = await statusOnce(place, runId, ({ state }) => state !== "running");
  expect(summary).toMatchObject({ state: "green" });
  expect(summary.tasks.map(({ kind }) => kind)).toEqual(["producer", "fallback", "recovery"]);
  expect(await revisionsOf(summary)).toEqual([
    "stepwatch-shop-producer:1",
    "stepwatch-shop-queue:1",
    "stepwatch-shop-queue:1",
  ]);
  const built = summary.nodes.filter(({ tries }) => tries > 0).map(({ uniqueId }) => [uniqueId, "SUCCEEDED"]);
  expect([...(await endedConsumers(place, summary))].sort()).toEqual(built.sort());

  const next = await runProject(place, "shop", FLAKY);
  expect(next.code, next.stderr).toBe(0);
  expect(await revisionsOf(next.summary)).toEqual([
    "stepwatch-shop-producer:2",
    "stepwatch-shop-queue:2",
    "stepwatch-shop-queue:2",
  ]);
});

test("what functions write into their logs of real runs makes the metrics that alarms watch, and names run and node", async () => {
  const runId = await startProject(place, "shop");
  // dbt starts for seconds: a few models are soon built after that.
  await statusOnce(place, runId, ({ tasks: [task] }) => task?.state === "running");
  // Its dbt goes with it, as with a host.
  process.kill(await containerPid(place, runId, 1), "SIGKILL");
  await statusOnce(place, runId, ({ state }) => state !== "running");

  // The row is green before settle-run counts the run, and its log is read by others a moment later.
  const lines = await eventually(async () => {
    const read = await functionLines();
    return read.some((line) => line.runId === runId && "RunsGreen" in line) ? read : undefined;
  });
  const made = lines.filter((line) => line.runId === runId).flatMap(metricsOf);
  const watched = ownMetricsOf(
    alarmsOf(synthesise(exampleConfig({ alarms: { email: "night@example.com" } })).template),
  );
  const killed = { name: "TasksKilled", dimensions: ["stack=stepwatch"] };
  expect(watched).toContainEqual(killed);
  expect(made).toContainEqual(killed);
  expect(made).toContainEqual({ name: "RunsGreen", dimensions: ["project=shop", "stack=stepwatch"] });
  expect(new Set(made.flatMap(({ dimensions }) => dimensions))).toEqual(new Set(["stack=stepwatch", "project=shop"]));
  const told = (message: string) => lines.filter((line) => line.message === message && line.runId === runId);
  expect(told("A task is launched.")[0]).toMatchObject({
    function: "check-run",
    stack: "stepwatch",
    project: "shop",
    task: 1,
  });
  expect(lines.some((line) => line.runId === runId && String(line.uniqueId).startsWith("model."))).toBe(true);
});

test("a sweep of the deployed stack counts a run that is overdue, a lock that is held long and a schedule that started nothing, as alarms watch them", async () => {
  const ledger = dynamoLedger({ table: deployment.outputs.TableName! });
  const key = { project: "ship", runId: "old" };
  const executionArn = deployment.outputs.RunMachineArn!.replace(":stateMachine:", ":execution:").concat(":old");
  const nowMs = Date.now();
  const startedAtMs = nowMs - 5 * HOUR_MS;
  await ledger.takeLock({ ...key, lockKey: "default", executionArn, takenAtMs: startedAtMs });
  await ledger.createRun(runRow(key, { executionArn, startedAtMs, deadlineAtMs: nowMs - HOUR_MS }));
  await ledger.putRunIndex({ ...key, executionArn, startedAtMs, state: "running" }, 60);
  const every = "rate(5 minutes) UTC";
  await ledger.knowSchedule("ship", every, nowMs - 2 * HOUR_MS);

  const { awsEndpointUrl } = endpoints;
  const stopRun = deployedNames.lambdaFunction("stepwatch", "stop-run");
  const swept = await fetch(`${awsEndpointUrl}/2015-03-31/functions/${stopRun}/invocations`, {
    method: "POST",
    body: JSON.stringify({ contract: CONTRACT, sweep: ["ship"], schedules: { ship: every } }),
  });
  expect(swept.status).toBe(200);
  const watched = ownMetricsOf(
    alarmsOf(synthesise(exampleConfig({ alarms: { email: "night@example.com" } })).template),
  );
  const counted = await eventually(async () => {
    const made = (await functionLines()).flatMap(metricsOf);
    return made.some(({ name }) => name === "SchedulesMissed") ? made : undefined;
  });
  for (const name of ["RunsOverdue", "LocksHeldLong", "SchedulesMissed"]) {
    const metric = { name, dimensions: ["stack=stepwatch"] };
    expect(watched).toContainEqual(metric);
    expect(counted).toContainEqual(metric);
  }
});

/** Lines of all functions' logs that are JSON objects. */
async function functionLines(): Promise<Record<string, unknown>[]> {
  const logs = new CloudWatchLogsClient({});
  const lines: Record<string, unknown>[] = [];
  for (const name of RUN_FUNCTIONS) {
    const logGroupName = deployedNames.functionLogGroup("stepwatch", name);
    let nextToken: string | undefined;
    do {
      const page = await logs.send(new FilterLogEventsCommand({ logGroupName, nextToken }));
      for (const { message = "" } of page.events ?? []) if (message.startsWith("{")) lines.push(JSON.parse(message));
      nextToken = page.nextToken;
    } while (nextToken !== undefined);
  }
  return lines;
}
