import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Launch } from "#clients/tasks.ts";
import { policySchema } from "#core/contracts/settings.ts";
import { type RunSummary, summarise, verdictOf } from "#core/run/reporting/summary.ts";
import { LogOutput } from "../../containers/dbt-runner/log-output.ts";
import { Moments } from "../../containers/dbt-runner/moments.ts";
import { StopSwitch } from "../../containers/dbt-runner/stop-switch.ts";
import { supervise } from "../../containers/dbt-runner/supervise.ts";
import { checkRun } from "../../functions/check-run/check-run.ts";
import { FakeEvents, FakeExecutions, FakeTasks } from "./fake-clients.ts";
import { runRow } from "./ledger-rows.ts";
import { memoryLedger } from "./memory-ledger.ts";

const run = promisify(execFile);

/** Small numbers, so that a test waits for the mechanism and not for its default patience. */
const QUICK = { retryDelaySeconds: 0.5, holdSeconds: 0.5, heartbeatSeconds: 0.5, orphanGraceSeconds: 1 };

const TURN_MS = 200;

export interface RealRunOptions {
  /** Folder of a dbt project with its profiles.yml; the run works on a copy. */
  readonly projectDir: string;
  readonly dbt: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly policy?: Record<string, unknown>;
  readonly input?: Record<string, unknown>;
  /** Milliseconds by which every producer says that it began earlier than it did. */
  readonly beganEarlierMs?: number;
}

export interface RealRun {
  /** Events that the supervisors said, by name. */
  said(event: string): Record<string, unknown>[];
  /** The live dbt process whose arguments have this word. */
  dbtPid(word: string): Promise<number>;
  /** What the run looks like now. */
  summary(): Promise<RunSummary>;
  /** Resolves when the run is over. */
  readonly end: Promise<RunSummary>;
}

/**
 * A run by the real check-run and the real supervisor with a real dbt, all in this process, over a ledger and a bucket
 * in memory. Everything but AWS.
 */
export function realRun(options: RealRunOptions): RealRun {
  const key = { project: "shop", runId: `run-${++runs}` };
  const dir = mkdtempSync(join(tmpdir(), "stepwatch-real-"));
  const projectDir = join(dir, "project");
  cpSync(options.projectDir, projectDir, { recursive: true });
  const ledger = memoryLedger();
  const objects = new Map<string, unknown>();
  const lines: string[] = [];
  const artefacts = {
    putJson: async (name: string, value: unknown) => void objects.set(name, JSON.parse(JSON.stringify(value))),
    putFile: async (name: string, path: string) => {
      if (name.endsWith("/run_results.json")) objects.set(name, readFileSync(path, "utf8"));
    },
    getFile: async (name: string, path: string) => {
      const found = objects.get(name);
      if (typeof found === "string") writeFileSync(path, found);
      return typeof found === "string";
    },
    getJson: async (name: string) => objects.get(name) ?? null,
  };
  const passFence: typeof ledger.passFence = (of, task, fence) =>
    ledger.passFence(of, task, {
      ...fence,
      startedAtMs: fence.startedAtMs - (task === 1 ? (options.beganEarlierMs ?? 0) : 0),
    });
  const container = (launch: Launch, taskArn: string) =>
    supervise({
      environment: {
        STEPWATCH_TABLE: "table",
        STEPWATCH_BUCKET: "bucket",
        STEPWATCH_PROJECT: key.project,
        STEPWATCH_DBT_PROJECT_DIR: projectDir,
        STEPWATCH_DBT_PROFILES_DIR: projectDir,
        STEPWATCH_DBT_EXECUTABLE: options.dbt,
        STEPWATCH_WORK_DIR: join(dir, "work"),
        STEPWATCH_STOP_TIMEOUT_SECONDS: 30,
        STEPWATCH_RUN_ID: key.runId,
        STEPWATCH_TASK: Number(launch.environment.STEPWATCH_TASK),
        ECS_CONTAINER_METADATA_URI_V4: "unused",
      },
      processEnv: { ...process.env, ...options.environment },
      ownTask: { taskArn },
      ledger: { ...ledger, passFence },
      artefacts,
      output: new LogOutput(1, (_fd, bytes, done) => {
        lines.push(...bytes.toString("utf8").split("\n").slice(0, -1));
        done(null, bytes.length);
      }),
      stop: new StopSwitch(),
      moments: new Moments(),
      memoryKills: async () => null,
    });

  class LiveTasks extends FakeTasks {
    override async launch(launch: Launch) {
      const known = this.launched.length;
      const answer = await super.launch(launch);
      if ("taskArn" in answer && this.launched.length > known) void container(launch, answer.taskArn);
      return answer;
    }
  }

  const deps = {
    ledger,
    artefacts,
    tasks: new LiveTasks(),
    executions: new FakeExecutions(),
    consumerMachineArn: "arn:aws:states:us-east-1:000000000000:stateMachine:consumer",
    readPlan: async (planKey: string) => (objects.get(planKey) ?? null) as never,
    seen: new Map(),
    events: new FakeEvents(),
    warn: () => undefined,
    nowMs: () => Date.now(),
  };
  const summary = async (isOver = false): Promise<RunSummary> => {
    const row = (await ledger.readRun(key))!;
    const [tasks, rows] = [await ledger.readTasks(key), await ledger.readVertices(key)];
    const plan = row.planKey ? ((objects.get(row.planKey) ?? null) as never) : null;
    const input = { run: row, plan, rows, tasks, nowMs: Date.now() };
    return summarise(isOver ? { ...input, run: { ...row, state: verdictOf(input).state } } : input);
  };
  const toItsEnd = async () => {
    const plain = runRow(key);
    const settings = {
      ...plain.settings,
      threads: 2,
      build: {},
      policy: policySchema.parse({ ...QUICK, ...options.policy }),
    };
    const now = Date.now();
    const input = { project: key.project, ...options.input };
    await ledger.createRun({ ...plain, startedAtMs: now, deadlineAtMs: now + 3_600_000, settings, input });
    try {
      const reference = { contract: 1 as const, round: 1, ...key };
      while ((await checkRun(reference as never, deps)) !== "settle")
        await new Promise((resolve) => setTimeout(resolve, TURN_MS));
      return await summary(true);
    } finally {
      // A container may still be reading dbt's files, which go up after its end.
      rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
    }
  };
  return {
    said: (event) => lines.flatMap((line) => saidIn(line, event)),
    dbtPid: async (word) => {
      const { stdout } = await run("ps", ["-A", "-o", "pid=,ppid=,args="]);
      const mine = stdout.split("\n").map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line));
      const found = mine.find((one) => one?.[2] === String(process.pid) && one[3]!.includes(` ${word} `));
      if (!found) throw new Error(`No dbt ${word} of this process is alive.`);
      return Number(found[1]);
    },
    summary,
    end: toItsEnd(),
  };
}

let runs = 0;

function saidIn(line: string, event: string): Record<string, unknown>[] {
  if (!line.startsWith('{"stepwatch"')) return [];
  const { stepwatch } = JSON.parse(line) as { stepwatch: Record<string, unknown> };
  return stepwatch.event === event ? [stepwatch] : [];
}
