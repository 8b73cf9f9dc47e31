import type { Executions } from "#clients/executions.ts";
import { type HandOverDeps, handOver } from "#clients/hand-over.ts";
import type { Ledger, RunKey } from "#clients/ledger.ts";
import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import type { LockRow } from "#core/contracts/project-rows.ts";
import { isOver } from "#core/run/judging/vertex-view.ts";
import { ended, lastSignMs } from "#core/run/watching/task-watch.ts";

/** What taking a run's lock needs. */
export interface LockDeps {
  readonly ledger: Ledger;
  readonly executions: Pick<Executions, "describe">;
  readonly nowMs: () => number;
}

/** The run that a lock's row names: of a project of its own where several share the lock. */
export const runKeyOf = ({ project, runProject, runId }: LockRow): RunKey => ({
  project: runProject ?? project,
  runId,
});

/** The lock of a run that has had it before: of a project of its own where several share it. */
export const lockOf = (run: RunRow, takenAtMs: number): LockRow => ({
  project: run.lockProject ?? run.project,
  ...(run.lockProject === undefined ? {} : { runProject: run.project }),
  lockKey: run.lockKey,
  runId: run.runId,
  executionArn: run.executionArn,
  takenAtMs,
});

/** Two sweeps, which come every 15 minutes: who has not ended a holder by then can not. Milliseconds. */
const LEFT_TO_OTHERS_MS = 30 * 60_000;

/**
 * Takes the lock, also from a holder that is gone: its execution has ended, and each of its tasks is over, or was on its
 * way and is silent. One whose container may still build, silent as it is, is left to stop-run and the sweep: they ask ECS,
 * stop it, and give the lock back (behaviour D10).
 */
export async function takeRunLock(lock: LockRow, deps: LockDeps): Promise<LockRow | null> {
  const holder = await deps.ledger.takeLock(lock);
  if (holder === null) return null;
  const execution = await deps.executions.describe(holder.executionArn);
  if (execution?.status === "RUNNING") return holder;
  const held = runKeyOf(holder);
  const tasks = await deps.ledger.readTasks(held);
  const run = await deps.ledger.readRun(held);
  const silentMs = (run?.settings.policy.lostAfterSeconds ?? 60) * 1000;
  const leftMs = (task: TaskRow) => (task.state === "running" && run?.state === "running" ? LEFT_TO_OTHERS_MS : 0);
  const mayBuild = (task: TaskRow) => deps.nowMs() - lastSignMs(task) < Math.max(silentMs, leftMs(task));
  const alive = tasks.some((task) => !isOver(task) && mayBuild(task));
  if (alive) return holder;
  for (const task of tasks) {
    if (!isOver(task) && task.state !== "running")
      await deps.ledger.markStopped(
        held,
        task.task,
        ended(deps.nowMs(), `Not begun when run ${lock.runId} took the lock.`, true),
      );
  }
  return (await deps.ledger.replaceLock(lock, { runId: holder.runId })) ? null : holder;
}

/** A run as far as its lock is concerned. */
type LockedRun = Pick<RunRow, "project" | "runId" | "lockKey" | "lockProject"> & { readonly round?: number };

/** What giving a run's lock back needs. */
export interface GiveBackDeps extends HandOverDeps {
  readonly ledger: HandOverDeps["ledger"] & Pick<Ledger, "releaseLock">;
}

/**
 * Gives back the lock of a run whose tasks are all over, if it holds it, to the next in the lock's queue. Twice, the
 * second finds nothing to do; once a later round of the run has been opened, it is that round's (behaviour G23).
 */
export async function giveLockBack(run: LockedRun, deps: GiveBackDeps): Promise<void> {
  const lock = { project: run.lockProject ?? run.project, lockKey: run.lockKey };
  await deps.ledger.releaseLock(lock.project, lock.lockKey, run.runId, run.round);
  await handOver(lock, deps);
}
