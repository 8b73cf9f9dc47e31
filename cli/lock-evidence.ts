import type { RunKey } from "#clients/ledger.ts";
import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import type { LockRow } from "#core/contracts/project-rows.ts";
import { isOver } from "#core/run/judging/vertex-view.ts";
import { lastSignMs } from "#core/run/watching/task-watch.ts";
import type { DeployedStack } from "./context.ts";
import { duration } from "./view/style.ts";

/** What is known of a lock's holder and of those that wait for it. */
export interface LockEvidence {
  readonly lock: LockRow;
  readonly holder: RunKey;
  /** Null: the run has no row, so it has launched nothing. */
  readonly run: RunRow | null;
  /** In Step Functions' words; null: it knows no such execution any more. */
  readonly execution: string | null;
  /** Tasks of the holder that nobody knows to be over. */
  readonly tasks: readonly (TaskRow & { readonly silentMs: number; readonly alive: boolean })[];
  readonly waiting: readonly { readonly runId: string; readonly atMs: number }[];
}

/** Silence of a task that counts as a sign of life, where the run's own setting is not known. Milliseconds. */
const LOST_AFTER_MS = 60_000;

export async function readEvidence(stack: DeployedStack, lock: LockRow, nowMs: number): Promise<LockEvidence> {
  const { ledger, executions } = stack;
  const holder = { project: lock.runProject ?? lock.project, runId: lock.runId };
  const run = await ledger.readRun(holder);
  const lostAfterMs = run === null ? LOST_AFTER_MS : run.settings.policy.lostAfterSeconds * 1_000;
  const tasks = (await ledger.readTasks(holder))
    .filter((task) => !isOver(task))
    .map((task) => {
      const silentMs = nowMs - lastSignMs(task);
      return { ...task, silentMs, alive: silentMs < lostAfterMs };
    });
  const queue = await ledger.readQueue(lock.project, lock.lockKey);
  const waiting = queue.filter((entry) => entry.replacedBy === undefined);
  const execution = (await executions.describe(lock.executionArn))?.status ?? null;
  return { lock, holder, run, execution, tasks, waiting };
}

/** What speaks for the holder being alive; empty: it is gone. */
export function signsOfLife({ execution, tasks }: LockEvidence): string[] {
  return [
    ...(execution === "RUNNING" ? ["its execution runs"] : []),
    ...tasks
      .filter((task) => task.alive)
      .map((task) => `its task ${task.task} gave a sign of life ${duration(Math.max(0, task.silentMs))} ago`),
  ];
}

export function evidenceLines(evidence: LockEvidence, nowMs: number): string[] {
  const { lock, holder, run, execution, tasks, waiting } = evidence;
  const ago = (atMs: number) => `${new Date(atMs).toISOString()}, ${duration(Math.max(0, nowMs - atMs))} ago`;
  const state = run === null ? "it has no row: nothing was launched" : `its row says ${run.state}`;
  return [
    `Lock ${lock.lockKey} of ${lock.project}`,
    `  held by    run ${holder.runId} of ${holder.project}, since ${ago(lock.takenAtMs)}`,
    `  execution  ${execution ?? "not known to Step Functions any more"}; ${state}`,
    ...(tasks.length === 0 ? ["  tasks      none that is not over"] : []),
    ...tasks.map(
      (task) =>
        `  task ${String(task.task).padEnd(5)} ${task.kind}, ${task.state}, last sign of life ${ago(nowMs - task.silentMs)}`,
    ),
    ...(waiting.length === 0 ? ["  waiting    nobody"] : []),
    ...waiting.map((entry, n) => `  waiting ${n + 1}  run ${entry.runId}, since ${ago(entry.atMs)}`),
  ];
}

/** The same for scripts. */
export const evidenceJson = ({ lock, holder, run, execution, tasks, waiting }: LockEvidence) => ({
  lockKey: lock.lockKey,
  holder: {
    ...holder,
    executionArn: lock.executionArn,
    execution,
    state: run?.state ?? null,
    since: new Date(lock.takenAtMs).toISOString(),
    tasks: tasks.map(({ task, kind, state, silentMs, alive }) => ({ task, kind, state, silentMs, alive })),
  },
  waiting: waiting.map(({ runId, atMs }) => ({ runId, since: new Date(atMs).toISOString() })),
});
