import { handOver } from "#clients/hand-over.ts";
import type { WaitingRun } from "#clients/ledger.ts";
import type { LockRow, RunIndexRow } from "#core/contracts/project-rows.ts";
import { eachLimited } from "#core/limit.ts";
import { isOver } from "#core/run/judging/vertex-view.ts";
import { runKeyOf } from "../run-lock.ts";
import { countTroubles } from "./count-troubles.ts";
import { type EndedExecution, type StopRunDeps, stopRun } from "./stop-run.ts";

/** Runs of a project that a sweep looks at, newest first: more than begin under one lock between two sweeps. */
const RUNS_LOOKED_AT = 40;

/** A run that has ended is looked at for so long, for a task of it that builds on. Milliseconds. */
const TASKS_LOOKED_AT_MS = 3 * 3_600_000;

/** Runs ended at once: each waits for its tasks. */
const RUNS_AT_ONCE = 8;

/**
 * Finds what is left of runs that are gone, where even the event of their execution's end was lost: rows that still
 * say running, tasks of runs that are over, locks and places in queues. Where no run is live it makes three queries a
 * project and nothing else. One run that can not be ended keeps none of the others.
 */
export async function sweep(
  projects: readonly string[],
  deps: StopRunDeps,
  schedules: Readonly<Record<string, string>> = {},
): Promise<void> {
  const found = new Map<string, EndedExecution>();
  const runs = new Map<string, readonly RunIndexRow[]>();
  const locks: LockRow[] = [];
  const waiting: WaitingRun[] = [];
  for (const project of projects) {
    const listed = await deps.ledger.listRuns(project, RUNS_LOOKED_AT);
    runs.set(project, listed);
    for (const { executionArn, runId } of await leftRuns(listed, deps))
      found.set(executionArn, { executionArn, run: { project, runId } });
    for (const lock of await deps.ledger.listLocks(project)) {
      locks.push(lock);
      found.set(lock.executionArn, { executionArn: lock.executionArn, run: runKeyOf(lock), lockProject: project });
    }
    for (const entry of await deps.ledger.listWaiting(project)) {
      waiting.push(entry);
      const execution = await deps.executions.describe(entry.executionArn);
      if (execution?.status === "RUNNING") continue;
      await deps.ledger.leaveQueue(project, entry.lockKey, entry);
      // It may have been woken for a lock that is free: the next one is let in.
      await handOver({ project, lockKey: entry.lockKey }, deps);
    }
  }
  const failures: unknown[] = [];
  // Before anything is ended: what a sweep can mend by itself is a trouble all the same.
  await countTroubles({ runs, locks, waiting }, schedules, deps).catch((error: unknown) => failures.push(error));
  await eachLimited([...found.values()], RUNS_AT_ONCE, (one) =>
    stopRun(one, deps).catch((error: unknown) => failures.push(error)),
  );
  if (failures.length > 0) throw failures[0];
}

/** Runs that say they go on, and those that have ended with a task that has not. */
async function leftRuns(listed: readonly RunIndexRow[], deps: StopRunDeps): Promise<RunIndexRow[]> {
  const left: RunIndexRow[] = [];
  for (const run of listed) {
    if (run.state === "running") left.push(run);
    else if (deps.nowMs() - (run.endedAtMs ?? 0) < TASKS_LOOKED_AT_MS) {
      const tasks = await deps.ledger.readTasks(run);
      if (tasks.some((task) => !isOver(task))) left.push(run);
    }
  }
  return left;
}
