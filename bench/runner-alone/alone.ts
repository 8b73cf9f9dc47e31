import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { bundle } from "../../infra/bundle.ts";
import { RUNNER_FLAGS } from "../../infra/local-image.ts";
import { runRow, taskRow } from "../../test/support/ledger-rows.ts";
import { cpuOf, memoryOf } from "../process-usage.ts";
import { type AnsweringAws, startAnsweringAws } from "./answering-aws.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Where the bundled runner runs without the stack: an AWS that answers at once, and a folder for what is written. */
export interface AlonePlace {
  readonly folder: string;
  readonly aws: AnsweringAws;
  readonly runnerFile: string;
}

/** Makes such a place for `work`, and takes it away again. */
export async function alone<T>(work: (place: AlonePlace) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "stepwatch-runner-alone-"));
  const aws = await startAnsweringAws();
  try {
    const { runnerFile } = await bundle(ROOT, join(folder, "build"));
    return await work({ folder, aws, runnerFile });
  } finally {
    await aws.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What one container is to build, and with which program. */
export interface AloneTask {
  readonly executable: string;
  readonly projectDir: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Options of `dbt build`, as stepwatch.yaml has them. */
  readonly build?: Readonly<Record<string, unknown>>;
}

/** What its runner used and said. */
export interface AloneFigures {
  readonly exitCode: number | null;
  /** dbt's own; null: it was killed, or never started. */
  readonly dbtExitCode: number | null;
  /** With its children. */
  readonly cpuMs: number;
  /** Of the runner. */
  readonly peakRssBytes: number;
  readonly startedAtMs: number;
  /** When the runner first said each of its events; NaN for one that it did not say. */
  readonly saidAtMs: (event: string) => number;
  readonly calls: Readonly<Record<string, number>>;
}

/** Runs one container's runner to its end. */
export async function runAlone(task: AloneTask, { folder, aws, runnerFile }: AlonePlace): Promise<AloneFigures> {
  const home = mkdtempSync(join(folder, "task-"));
  const environment = environmentOf(task, { url: aws.url, folder, home });
  await writeRows(aws.url, task.build ?? {});
  aws.takeCalls();
  const before = cpuOf("self")?.childrenMs ?? 0;
  const startedAtMs = Date.now();
  const flags = [...RUNNER_FLAGS, ...(process.env.RUNNER_NODE_FLAGS?.split(" ") ?? [])];
  const child = spawn(process.execPath, [...flags, runnerFile], {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said = new Map<string, Said>();
  let rest = "";
  child.stdout.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString("utf8")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith('{"stepwatch"')) addSaid(said, line);
  });
  let peakRssBytes = 0;
  const sampler = setInterval(() => {
    peakRssBytes = Math.max(peakRssBytes, memoryOf(child.pid ?? 0, "VmHWM") ?? 0);
  }, 50);
  const exitCode = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearInterval(sampler);
  return {
    exitCode,
    dbtExitCode: said.get("dbt ended")?.exitCode ?? null,
    cpuMs: (cpuOf("self")?.childrenMs ?? 0) - before,
    peakRssBytes,
    startedAtMs,
    saidAtMs: (event) => Date.parse(said.get(event)?.at ?? ""),
    calls: aws.takeCalls(),
  };
}

const RUN = { project: "bench", runId: "alone" };

function environmentOf(
  { executable, projectDir, environment }: AloneTask,
  { url, folder, home }: { readonly url: string; readonly folder: string; readonly home: string },
): Record<string, string> {
  return {
    PATH: process.env.PATH ?? "",
    NODE_COMPILE_CACHE: join(folder, "compiled"),
    HOME: home,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "none",
    AWS_SECRET_ACCESS_KEY: "none",
    AWS_ENDPOINT_URL: url,
    STEPWATCH_TABLE: "table",
    STEPWATCH_BUCKET: "bucket",
    STEPWATCH_PROJECT: RUN.project,
    STEPWATCH_DBT_PROJECT_DIR: projectDir,
    STEPWATCH_DBT_PROFILES_DIR: projectDir,
    STEPWATCH_DBT_EXECUTABLE: executable,
    STEPWATCH_WORK_DIR: join(home, "work"),
    STEPWATCH_RUN_ID: RUN.runId,
    STEPWATCH_TASK: "1",
    ECS_CONTAINER_METADATA_URI_V4: `${url}/metadata`,
    ...environment,
  };
}

async function writeRows(endpoint: string, build: Readonly<Record<string, unknown>>): Promise<void> {
  const credentials = { accessKeyId: "none", secretAccessKey: "none" };
  const client = new DynamoDBClient({ endpoint, region: "us-east-1", credentials });
  const ledger = dynamoLedger({ table: "table", client });
  const nowMs = Date.now();
  const plain = runRow(RUN);
  const { threads: _, ...settings } = plain.settings;
  const times = { startedAtMs: nowMs, deadlineAtMs: nowMs + 3_600_000 };
  await ledger.createRun({ ...plain, ...times, input: { project: RUN.project }, settings: { ...settings, build } });
  await ledger.createTask(RUN, 0, taskRow(1, { state: "launching", claimedAtMs: nowMs }));
  client.destroy();
}

/** The first line of an event in the runner's log. */
interface Said {
  readonly event: string;
  readonly at: string;
  /** Of `dbt ended`. */
  readonly exitCode?: number | null;
}

function addSaid(said: Map<string, Said>, line: string): void {
  const { stepwatch } = JSON.parse(line) as { stepwatch: Said };
  if (!said.has(stepwatch.event)) said.set(stepwatch.event, stepwatch);
}
