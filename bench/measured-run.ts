import { randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { RunKey } from "#clients/ledger.ts";
import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { consumerName, executionArn, newRunId } from "#core/names.ts";
import { hasConsumer, type Plan } from "#core/run/planning/plan.ts";
import { type Histories, readHistories } from "./histories.ts";
import type { LedgerTraffic } from "./ledger-proxy.ts";
import { type RunUsage, UsageSampler } from "./process-usage.ts";
import type { BenchProject } from "./projects.ts";
import type { ServiceCall } from "./service-calls.ts";
import type { BenchStack } from "./stack.ts";
import { readTaskLog, type TaskLog } from "./task-log.ts";

/** Everything that is known of one run when it is over. */
export interface MeasuredRun {
  /** Just before StartExecution. */
  readonly startedAtMs: number;
  readonly run: RunRow;
  readonly plan: Plan;
  readonly tasks: readonly TaskRow[];
  readonly vertices: readonly VertexRow[];
  /** By task number. */
  readonly logs: ReadonlyMap<number, TaskLog>;
  readonly usage: RunUsage;
  readonly traffic: LedgerTraffic;
  readonly services: readonly ServiceCall[];
  /** Calls of each function in the run. */
  readonly functionCalls: Readonly<Record<string, number>>;
  readonly histories: Histories;
}

const RUN_WITHIN_MS = 20 * 60_000;

/** Consumers that are still open so long after the verdict are counted as such and stopped: the next run is to be alone. */
const CONSUMERS_WITHIN_MS = 60_000;

const LOOK_MS = 1000;

/** Starts a run, waits for its verdict, its consumers and its containers, then reads what they left behind. */
export async function measureRun(stack: BenchStack, project: BenchProject): Promise<MeasuredRun> {
  const { executions, resources } = stack.deployed;
  stack.proxy.take();
  stack.services.take();
  const callsBefore = await stack.functionCalls();
  const sampler = new UsageSampler(stack.processes);
  const startedAtMs = Date.now();
  const key = { project: project.name, runId: newRunId(startedAtMs, randomBytes(4).toString("hex")) };
  await executions.start(resources.runMachineArn, key.runId, { project: key.project });
  let usage: RunUsage;
  try {
    await untilOver(stack, key);
  } finally {
    usage = sampler.end();
  }
  const counted = { traffic: stack.proxy.take(), services: stack.services.take() };
  const callsAfter = Object.entries(await stack.functionCalls());
  const functionCalls = Object.fromEntries(callsAfter.map(([name, calls]) => [name, calls - (callsBefore[name] ?? 0)]));
  return { startedAtMs, usage, ...counted, functionCalls, ...(await readWhatIsLeft(stack, key)) };
}

async function readWhatIsLeft(stack: BenchStack, key: RunKey) {
  const { ledger, readPlan } = stack.deployed;
  const run = await ledger.readRun(key);
  const plan = run?.planKey === undefined ? null : await readPlan(run.planKey);
  if (run === null || plan === null) throw new Error(`The run ${key.runId} of ${key.project} has no plan.`);
  const tasks = await ledger.readTasks(key);
  const vertices = await ledger.readVertices(key);
  const watched = new Set(plan.vertices.filter(hasConsumer).map(({ uniqueId }) => uniqueId));
  const nodes = vertices.filter((row) => watched.has(row.uniqueId) && row.consumerStartedAtMs !== undefined);
  const ids = nodes.map(({ uniqueId }) => uniqueId);
  const logs = new Map(
    tasks.filter((task) => task.fencedBy).map((task) => [task.task, readTaskLog(stack.stateDir, task)]),
  );
  return { run, plan, tasks, vertices, logs, histories: await readHistories(stack, run, ids) };
}

/**
 * Waits for verdict, consumers and containers. Looks at the ledger past the counting proxy, so that our own
 * looks are not counted.
 */
async function untilOver(stack: BenchStack, key: RunKey): Promise<void> {
  const { ledger } = stack.deployed;
  const untilMs = Date.now() + RUN_WITHIN_MS;
  const before = async (isDone: () => Promise<boolean>, what: string) => {
    while (!(await isDone())) {
      if (Date.now() > untilMs) throw new Error(`The run ${key.runId} of ${key.project} has no ${what}.`);
      await refuseBroken(stack, key);
      await wait(LOOK_MS);
    }
  };
  await before(async () => {
    const run = await ledger.readRun(key);
    return run !== null && run.state !== "running";
  }, "verdict");
  await before(async () => (await stack.runningTasks()) === 0, "end of its containers");
  await untilConsumersEnd(stack, key);
}

/** An outcome in the ledger is not yet an end: the answer to Step Functions may have come too late for the turn. */
async function untilConsumersEnd({ deployed }: BenchStack, key: RunKey): Promise<void> {
  const run = await deployed.ledger.readRun(key);
  const rows = await deployed.ledger.readVertices(key);
  if (run === null) return;
  const untilMs = Date.now() + CONSUMERS_WITHIN_MS;
  for (const { uniqueId } of rows.filter((row) => row.consumerStartedAtMs !== undefined)) {
    const arn = executionArn(deployed.resources.consumerMachineArn, consumerName(run, uniqueId));
    while ((await deployed.executions.describe(arn))?.status === "RUNNING") {
      if (Date.now() > untilMs) await deployed.executions.stop(arn, "The benchmark waits no longer.");
      await wait(LOOK_MS);
    }
  }
}

/** An execution that ended without a verdict leaves nothing to wait for. */
async function refuseBroken({ deployed }: BenchStack, key: RunKey): Promise<void> {
  const execution = await deployed.executions.describe(executionArn(deployed.resources.runMachineArn, key.runId));
  if (execution === null || execution.status === "RUNNING") return;
  const run = await deployed.ledger.readRun(key);
  if (run !== null && run.state !== "running") return;
  throw new Error(`The run ${key.runId} of ${key.project} broke: ${execution.error}: ${execution.cause}`);
}
