import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import type { RunRow, TaskKind, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { type Policy, policySchema } from "#core/contracts/settings.ts";
import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { LedgerUnavailable, RetryableError } from "#core/errors.ts";
import { artefactKeys } from "#core/names.ts";
import type { ExitCode } from "../../containers/dbt-runner/exit-codes.ts";
import { LogOutput } from "../../containers/dbt-runner/log-output.ts";
import { Moments } from "../../containers/dbt-runner/moments.ts";
import { StopSwitch } from "../../containers/dbt-runner/stop-switch.ts";
import { type SupervisorDeps, supervise } from "../../containers/dbt-runner/supervise.ts";
import { runRow, taskRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import type { Step } from "./dbt-lines.ts";

export const KEY = { project: "shop", runId: "run-1", round: 1 } as const;
export const ARN = "arn:aws:ecs:us-east-1:000000000000:task/stepwatch/first";

const FAKE_DBT = join(import.meta.dirname, "../support/fake-dbt.mjs");

export interface Script {
  readonly version?: string;
  readonly build?: readonly Step[];
  readonly sigint?: readonly Step[];
  readonly ls?: {
    prints?: readonly string[];
    ids: readonly string[];
    exitCode?: number;
    stderr?: string;
    waitFor?: string;
  };
  /** What `dbt source freshness` leaves; unset: it fails. */
  readonly sources?: object;
  /** What `dbt compile --inline` prints. */
  readonly compile?: string;
  readonly manifest?: object;
  readonly runResults?: object;
}

export interface BenchOptions {
  readonly script: Script;
  readonly kind?: TaskKind;
  readonly task?: number;
  /** Number of the task that the ledger has, where it is not the container's. */
  readonly rowsOf?: number;
  readonly set?: readonly string[];
  /** Of a task that runs another command of dbt's. */
  readonly command?: readonly string[];
  readonly policy?: Partial<Policy>;
  readonly run?: Partial<RunRow>;
  /** What the task's row says beside its kind. */
  readonly row?: Partial<TaskRow>;
  readonly env?: Readonly<Record<string, string>>;
  readonly stopTimeoutSeconds?: number;
  readonly executable?: string;
  /** Objects that lie in the bucket already. */
  readonly objects?: Readonly<Record<string, unknown>>;
  /** Files of other buckets, by `bucket/key`. */
  readonly elsewhere?: Readonly<Record<string, string>>;
  /** Called before each vertex is written; may throw as the ledger does. */
  readonly onWrite?: (write: VertexWrite) => void | Promise<void>;
  /** Called before an object is put into the bucket; may throw as S3 does, or wait. */
  readonly onPut?: (key: string) => unknown;
  /** Called before a file is read from the bucket; may throw as S3 does. */
  readonly onGet?: (key: string) => void;
  readonly memoryKills?: () => Promise<number | null>;
  readonly makeFolders?: SupervisorDeps["makeFolders"];
}

/** A start or a signal, as the fake dbt noted it. */
export interface Noted {
  readonly pid: number;
  readonly atMs: number;
  readonly started?: string;
  readonly signal?: string;
  readonly argv?: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** One container over a ledger and a bucket in memory, with a scripted dbt. */
export async function bench(options: BenchOptions) {
  const dir = mkdtempSync(join(tmpdir(), "stepwatch-runner-"));
  const projectDir = join(dir, "project");
  const ledger = memoryLedger();
  const objects = new Map<string, unknown>(Object.entries(options.objects ?? {}));
  const task = options.task ?? (options.set ? 2 : 1);
  await prepare(ledger, objects, options, options.rowsOf ?? task, projectDir);
  const journal = join(dir, "journal.jsonl");
  const scriptFile = join(dir, "script.json");
  writeFileSync(journal, "");
  writeFileSync(scriptFile, JSON.stringify({ version: "1.11.16", build: [], ...options.script, journal }));
  const writes: (VertexWrite & { atMs: number })[] = [];
  const stop = new StopSwitch();
  const lines: string[] = [];

  const container = async (ownArn = ARN, stopSwitch = stop): Promise<ExitCode> => {
    const output = new LogOutput(1, (_fd, bytes, done) => {
      lines.push(...bytes.toString("utf8").split("\n").slice(0, -1));
      done(null, bytes.length);
    });
    const supervised = supervise({
      environment: {
        STEPWATCH_TABLE: "table",
        STEPWATCH_BUCKET: "bucket",
        STEPWATCH_PROJECT: KEY.project,
        STEPWATCH_DBT_PROJECT_DIR: projectDir,
        STEPWATCH_DBT_PROFILES_DIR: projectDir,
        STEPWATCH_DBT_EXECUTABLE: options.executable ?? FAKE_DBT,
        STEPWATCH_WORK_DIR: join(dir, "work"),
        STEPWATCH_STOP_TIMEOUT_SECONDS: options.stopTimeoutSeconds ?? 30,
        STEPWATCH_RUN_ID: KEY.runId,
        STEPWATCH_TASK: task,
        ECS_CONTAINER_METADATA_URI_V4: "unused",
      },
      processEnv: { ...process.env, ...options.env, FAKE_DBT: scriptFile },
      ownTask: { taskArn: ownArn },
      ledger: {
        ...ledger,
        async writeVertex(key, number, write) {
          await options.onWrite?.(write);
          writes.push({ ...write, atMs: Date.now() });
          return ledger.writeVertex(key, number, write);
        },
        async writeEnds(key, number, ends) {
          const left: string[] = [];
          for (const write of ends) {
            try {
              await options.onWrite?.(write);
              writes.push({ ...write, atMs: Date.now() });
              await ledger.writeEnds(key, number, [write]);
            } catch (error) {
              if (!(error instanceof RetryableError)) throw error;
              left.push(write.uniqueId);
            }
          }
          return left;
        },
      },
      artefacts: bucket(objects, options.onPut, options.onGet),
      bucketNamed: (name) => {
        const files = Object.entries(options.elsewhere ?? {}).filter(([key]) => key.startsWith(`${name}/`));
        return bucket(new Map(files.map(([key, text]) => [key.slice(name.length + 1), text])));
      },
      output,
      stop: stopSwitch,
      moments: new Moments(),
      ...(options.makeFolders ? { makeFolders: options.makeFolders } : {}),
      memoryKills: options.memoryKills ?? (async () => null),
    });
    return supervised.finally(() => output.flush());
  };

  return {
    dir,
    projectDir,
    ledger,
    objects,
    writes,
    lines,
    stop,
    container,
    noted: (): Noted[] =>
      readFileSync(journal, "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Noted),
    said: (event: string) => lines.flatMap((line) => said(line, event)),
    task: async (): Promise<TaskRow> => (await ledger.readTask(KEY, task))!,
    statuses: async () => Object.fromEntries((await ledger.readVertices(KEY)).map((row) => [row.uniqueId, row.status])),
    vertex: async (uniqueId: string): Promise<VertexRow | undefined> =>
      (await ledger.readSomeVertices(KEY, [uniqueId]))[0],
    plan: () =>
      objects.get(artefactKeys.plan(KEY.project, KEY.runId, task)) as
        | { source: string; vertices: { uniqueId: string }[] }
        | undefined,
    /** Lets a fake dbt go on that stands at a step `waitFor`. */
    letGo: (name: string) => writeFileSync(join(dir, name), ""),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

export type Bench = Awaited<ReturnType<typeof bench>>;

/** Makes the benches of one test file; each is removed after its test. */
export function benches(): (options: BenchOptions) => Promise<Bench> {
  const made: Bench[] = [];
  afterEach(() => {
    for (const one of made.splice(0)) one.remove();
  });
  return async (options) => {
    const one = await bench(options);
    made.push(one);
    return one;
  };
}

function said(line: string, event: string): Record<string, unknown>[] {
  if (!line.startsWith('{"stepwatch"')) return [];
  const { stepwatch } = JSON.parse(line) as { stepwatch: Record<string, unknown> };
  return stepwatch.event === event ? [stepwatch] : [];
}

async function prepare(
  ledger: Ledger,
  objects: Map<string, unknown>,
  options: BenchOptions,
  task: number,
  projectDir: string,
): Promise<void> {
  mkdirSync(projectDir, { recursive: true });
  const plain = runRow(KEY);
  const settings = {
    ...plain.settings,
    threads: undefined,
    build: {},
    policy: policySchema.parse({ heartbeatSeconds: 0.5, ...options.policy }),
  };
  const planKey = options.set ? `runs/${KEY.project}/${KEY.runId}/plan.json` : undefined;
  const now = Date.now();
  await ledger.createRun({
    ...plain,
    startedAtMs: now,
    deadlineAtMs: now + 3_600_000,
    ...(planKey ? { planKey } : {}),
    ...options.run,
    input: { project: KEY.project, ...options.run?.input },
    settings: JSON.parse(JSON.stringify({ ...settings, ...options.run?.settings })),
  });
  const { command } = options;
  const setKey = options.set || command ? "set.json" : undefined;
  if (command) objects.set("set.json", { uniqueIds: [], claims: [], command });
  if (options.set) objects.set("set.json", { uniqueIds: options.set });
  const kind = options.kind ?? (command ? "command" : options.set ? "recovery" : "producer");
  await ledger.createTask(KEY, 0, taskRow(task, { kind, ...(setKey ? { setKey } : {}), ...options.row }));
  for (const uniqueId of options.set ?? []) await ledger.claimVertex(KEY, task, { uniqueId, from: null });
  await ledger.markClaimed(KEY, task);
}

function bucket(objects: Map<string, unknown>, onPut?: BenchOptions["onPut"], onGet?: (key: string) => void) {
  return {
    async putJson(key: string, value: unknown) {
      await onPut?.(key);
      objects.set(key, JSON.parse(JSON.stringify(value)));
    },
    async putFile(key: string, path: string) {
      await onPut?.(key);
      // What is no text would not survive as one.
      objects.set(key, key.endsWith(".msgpack") ? readFileSync(path) : readFileSync(path, "utf8"));
    },
    async getFile(key: string, path: string) {
      onGet?.(key);
      const found = objects.get(key);
      if (found !== undefined) writeFileSync(path, found as string | Buffer);
      return found !== undefined;
    },
    async getJson(key: string) {
      return objects.get(key) ?? null;
    },
  };
}

/** Waits for a condition by looking often; fails loudly, never by luck. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const refusal = () => new LedgerUnavailable("The ledger refused the call (a test's fault).");
