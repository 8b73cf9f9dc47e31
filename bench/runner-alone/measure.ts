import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { policySchema } from "#core/contracts/settings.ts";
import { bundle } from "../../infra/bundle.ts";
import { RUNNER_FLAGS } from "../../infra/local-image.ts";
import { GOALS } from "../goals.ts";
import { cpuOf, memoryOf } from "../process-usage.ts";
import { fixed, mib, seconds, type Table } from "../table.ts";
import { type AnsweringAws, startAnsweringAws } from "./answering-aws.ts";
import { type PlayedBuild, writePlayedBuild } from "./played-build.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The builds that the goals speak of, one of no vertex to speak of, and one with fifty times the lines. */
export const PLAYED_BUILDS: readonly PlayedBuild[] = [
  { name: "1 model", nodes: 1, tests: 0, otherLines: 0, seconds: 5 },
  { name: "185 models", nodes: 185, tests: 0, otherLines: 40, seconds: 30 },
  { name: "116 models, 1,600 tests", nodes: 116, tests: 1600, otherLines: 200, seconds: 40 },
  { name: "116 models, 1,600 tests, 60,000 lines", nodes: 116, tests: 1600, otherLines: 57_000, seconds: 40 },
];

export interface RunnerFigures {
  readonly build: PlayedBuild;
  readonly cpuMs: number;
  readonly peakRssBytes: number;
  /** Process start → the fence, → dbt is started. */
  readonly toFenceMs: number;
  readonly toDbtMs: number;
  /** dbt is started, and names its threads at once → the plan is told. */
  readonly toPlanMs: number;
  /** dbt reaped → its end recorded. */
  readonly toEndMs: number;
  readonly calls: Readonly<Record<string, number>>;
}

/** Runs the bundled runner over a played dbt and an AWS that answers at once: what is measured is the runner alone. */
export async function measureRunner(
  builds: readonly PlayedBuild[],
  say: (line: string) => void,
): Promise<RunnerFigures[]> {
  const folder = mkdtempSync(join(tmpdir(), "stepwatch-runner-alone-"));
  const aws = await startAnsweringAws();
  try {
    const { runnerFile } = await bundle(ROOT, join(folder, "build"));
    const figures: RunnerFigures[] = [];
    for (const build of builds) {
      say(`runner: ${build.name} in ${build.seconds} s …`);
      figures.push(await measureOne(build, { folder, aws, runnerFile }));
    }
    return figures;
  } finally {
    await aws.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Place {
  readonly folder: string;
  readonly aws: AnsweringAws;
  readonly runnerFile: string;
}

async function measureOne(build: PlayedBuild, { folder, aws, runnerFile }: Place): Promise<RunnerFigures> {
  const place = mkdtempSync(join(folder, "task-"));
  const script = writePlayedBuild(place, build);
  const project = join(place, "project");
  mkdirSync(project);
  const environment = environmentOf(aws.url, folder, place, project, script);
  await writeRows(aws.url);
  aws.takeCalls();
  const before = cpuOf("self")?.childrenMs ?? 0;
  const startedAtMs = Date.now();
  const flags = [...RUNNER_FLAGS, ...(process.env.RUNNER_NODE_FLAGS?.split(" ") ?? [])];
  const child = spawn(process.execPath, [...flags, runnerFile], {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said = new Map<string, number>();
  let rest = "";
  child.stdout.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString("utf8")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith('{"stepwatch"')) addSaid(said, line);
  });
  let peak = 0;
  const sampler = setInterval(() => {
    peak = Math.max(peak, memoryOf(child.pid ?? 0, "VmHWM") ?? 0);
  }, 50);
  const code = await new Promise((resolve) => child.once("close", resolve));
  clearInterval(sampler);
  if (code !== 0) throw new Error(`The runner ended with ${code}.`);
  const played = readFileSync(join(place, "usage"), "utf8").split("\n").filter(Boolean).map(Number);
  const at = (event: string) => said.get(event) ?? Number.NaN;
  return {
    build,
    cpuMs: (cpuOf("self")?.childrenMs ?? 0) - before - played.reduce((sum, ms) => sum + ms, 0),
    peakRssBytes: peak,
    toFenceMs: at("fence passed") - startedAtMs,
    toDbtMs: at("starting dbt") - startedAtMs,
    toPlanMs: at("planned") - at("starting dbt"),
    toEndMs: at("recorded") - at("dbt ended"),
    calls: aws.takeCalls(),
  };
}

const RUN = { project: "bench", runId: "alone" };

function environmentOf(
  url: string,
  folder: string,
  place: string,
  project: string,
  script: string,
): Record<string, string> {
  return {
    PATH: process.env.PATH ?? "",
    NODE_COMPILE_CACHE: join(folder, "compiled"),
    HOME: place,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "none",
    AWS_SECRET_ACCESS_KEY: "none",
    AWS_ENDPOINT_URL: url,
    STEPWATCH_TABLE: "table",
    STEPWATCH_BUCKET: "bucket",
    STEPWATCH_PROJECT: RUN.project,
    STEPWATCH_DBT_PROJECT_DIR: project,
    STEPWATCH_DBT_PROFILES_DIR: project,
    STEPWATCH_DBT_EXECUTABLE: join(import.meta.dirname, "played-dbt.mjs"),
    STEPWATCH_WORK_DIR: join(place, "work"),
    STEPWATCH_RUN_ID: RUN.runId,
    STEPWATCH_TASK: "1",
    ECS_CONTAINER_METADATA_URI_V4: `${url}/metadata`,
    PLAYED: script,
  };
}

async function writeRows(endpoint: string): Promise<void> {
  const credentials = { accessKeyId: "none", secretAccessKey: "none" };
  const client = new DynamoDBClient({ endpoint, region: "us-east-1", credentials });
  const ledger = dynamoLedger({ table: "table", client });
  const nowMs = Date.now();
  const target = {
    cluster: "cluster",
    taskDefinitionArn: "arn:aws:ecs:us-east-1:000000000000:task-definition/bench:1",
    containerName: "dbt",
    subnets: ["subnet-1"],
    securityGroups: ["sg-1"],
    assignPublicIp: true,
  };
  await ledger.createRun({
    ...RUN,
    executionArn: `arn:aws:states:us-east-1:000000000000:execution:run:${RUN.runId}`,
    input: { project: RUN.project },
    settings: {
      project: RUN.project,
      producer: target,
      executionQueue: { ...target, maxTasks: 4 },
      policy: policySchema.parse({}),
      build: {},
      defaultTarget: null,
    },
    lockKey: "default",
    round: 1,
    state: "running",
    version: 0,
    lastTask: 0,
    startedAtMs: nowMs,
    deadlineAtMs: nowMs + 3_600_000,
  });
  await ledger.createTask({ ...RUN }, 0, {
    task: 1,
    kind: "producer",
    round: 1,
    reason: "The run's first build.",
    setSample: [],
    size: "producer",
    state: "launching",
    claimedAtMs: nowMs,
    clientToken: "token",
    launchFailures: 0,
    sequence: 0,
  });
  client.destroy();
}

function addSaid(said: Map<string, number>, line: string): void {
  const { stepwatch } = JSON.parse(line) as { stepwatch: { event: string; at: string } };
  if (!said.has(stepwatch.event)) said.set(stepwatch.event, Date.parse(stepwatch.at));
}

const verticesOf = ({ nodes, tests }: PlayedBuild) => nodes + tests;

/** CPU of a vertex: what a build costs beyond the one of a single model, which is the runner's start. */
export function runnerTable(figures: readonly RunnerFigures[]): Table {
  const start = figures[0]?.cpuMs ?? 0;
  return {
    title: "The runner alone, over a played dbt and an AWS that answers at once",
    columns: [
      "build",
      "CPU s",
      "ms/vertex",
      "goal",
      "peak MiB",
      "goal",
      "to fence",
      "to dbt",
      "plan",
      "to end",
      "writes",
      "calls",
    ],
    rows: figures.map(({ build, cpuMs, peakRssBytes, toFenceMs, toDbtMs, toPlanMs, toEndMs, calls }, at) => {
      const count = Object.values(calls).reduce((sum, one) => sum + one, 0);
      const writes = (calls.UpdateItem ?? 0) + (calls.BatchWriteItem ?? 0) + (calls.PutItem ?? 0);
      return [
        build.name,
        seconds(cpuMs, 2),
        at === 0 ? "-" : fixed((cpuMs - start) / verticesOf(build), 2),
        `≤ ${GOALS.runnerMsPerVertex}`,
        mib(peakRssBytes),
        `≤ ${mib(GOALS.runnerRssBytes)}`,
        ...[toFenceMs, toDbtMs, toPlanMs, toEndMs].map((ms) => seconds(ms, 2)),
        String(writes),
        String(count),
      ];
    }),
    notes: [
      "CPU s: of the container without dbt, Node's start and the loading of the bundle in it; the first row is little else.",
      "ms/vertex: what is beyond the first row, by vertex. to fence, to dbt: since the process was spawned (seconds).",
      "plan: dbt is started → the plan is told, from a manifest of 4 kB a vertex; the played dbt's own start is in it.",
      "to end: dbt reaped → its end recorded. writes: calls that write to the ledger. calls: all to ledger and bucket.",
    ],
  };
}
