import type { Executions } from "#clients/executions.ts";
import { handOver } from "#clients/hand-over.ts";
import { LOCK_FREE } from "#core/contracts/payloads.ts";
import type { LockRow, QueueEntry } from "#core/contracts/project-rows.ts";
import type { Policy } from "#core/contracts/settings.ts";
import { QueueFull, RunLocked } from "#core/errors.ts";
import { type LockDeps, takeRunLock } from "../run-lock.ts";

export interface QueueDeps extends LockDeps {
  readonly executions: Pick<Executions, "describe" | "fail">;
}

/** How a run comes to its lock. */
export interface Claim {
  readonly lock: LockRow;
  readonly overlap: Policy["overlap"];
  /** Of the present turn, where its wait may be ended from outside. */
  readonly taskToken?: string;
  /** What the run would build. */
  readonly work: string;
}

/** `taken`: the lock is ours. `waiting`: ask again with the next turn. A sentence: there is nothing to run, by policy. */
export type Turn = "taken" | "waiting" | { readonly skipped: string };

/** Runs that may wait for one lock. More would only pile up: the oldest schedule is behind by ten runs then. */
const QUEUE_BOUND = 10;

const NOT_QUEUED = "wait until it ends, or set overlap: queue.";

/**
 * Takes the lock, or a place in its queue, or neither, as the policy says. A run that had the lock before comes to it
 * past the queue: it must not stand behind those that wait for it.
 * @throws RunLocked, QueueFull
 */
export async function takeTurn(claim: Claim, hadIt: boolean, deps: QueueDeps): Promise<Turn> {
  const { lock, overlap } = claim;
  if (hadIt) {
    await deps.ledger.leaveQueue(lock.project, lock.lockKey, { runId: lock.runId, atMs: lock.takenAtMs });
    const holder = await takeRunLock(lock, deps);
    if (holder !== null) throw new RunLocked(lock.lockKey, holder.runId, NOT_QUEUED);
    return "taken";
  }
  return overlap === "queue" || overlap === "latest" ? await wait(claim, deps) : await takeOrLeave(claim, deps);
}

async function wait({ lock, overlap, taskToken, work }: Claim, deps: QueueDeps): Promise<Turn> {
  const { runId, executionArn, takenAtMs: atMs } = lock;
  // The token stands in the queue before the lock is looked at: whoever gives it back after this look ends the wait.
  const joined: QueueEntry = { runId, executionArn, atMs, work, ...(taskToken === undefined ? {} : { taskToken }) };
  const queue = await deps.ledger.joinQueue(lock.project, lock.lockKey, joined);
  const place = queue.findIndex((entry) => entry.runId === runId);
  const mine = queue[place] ?? joined;
  if (mine.replacedBy !== undefined) {
    // It may have been woken for a lock that is free; its row stays, so that a repeated call says the same.
    await handOver(lock, deps);
    return { skipped: `Run ${mine.replacedBy} came later, builds the same, and is run instead (overlap: latest).` };
  }
  const before = queue.slice(0, Math.max(place, 0)).filter((entry) => entry.replacedBy === undefined);
  const replaced = overlap === "latest" ? before.filter((entry) => entry.work === work) : [];
  for (const entry of replaced) await replace(entry, lock, deps);
  const ahead = await liveAmong(
    before.filter((entry) => !replaced.includes(entry)),
    lock,
    deps,
  );
  if (ahead.length >= QUEUE_BOUND) {
    await deps.ledger.leaveQueue(lock.project, lock.lockKey, mine);
    throw new QueueFull(lock.lockKey, QUEUE_BOUND, (await deps.ledger.readLock(lock.project, lock.lockKey))?.runId);
  }
  if (ahead.length > 0 || (await takeRunLock(lock, deps)) !== null) return "waiting";
  await deps.ledger.leaveQueue(lock.project, lock.lockKey, mine);
  return "taken";
}

/** The mark is what counts; that its wait ends now only spares it the rest of its turn. */
async function replace(entry: QueueEntry, lock: LockRow, deps: QueueDeps): Promise<void> {
  await deps.ledger.markReplaced(lock.project, lock.lockKey, entry, lock.runId);
  if (entry.taskToken !== undefined)
    await deps.executions.fail(entry.taskToken, { name: LOCK_FREE, cause: `Run ${lock.runId} is run instead.` });
}

/** Entries whose execution still runs; those of others are cleared away. */
async function liveAmong(entries: readonly QueueEntry[], lock: LockRow, deps: QueueDeps): Promise<QueueEntry[]> {
  const live: QueueEntry[] = [];
  for (const entry of entries) {
    const execution = await deps.executions.describe(entry.executionArn);
    if (execution?.status === "RUNNING") live.push(entry);
    else await deps.ledger.leaveQueue(lock.project, lock.lockKey, entry);
  }
  return live;
}

/** Policies that do not wait. A lock that is free for a moment while others wait for it is the first of them's. */
async function takeOrLeave({ lock, overlap }: Claim, deps: QueueDeps): Promise<Turn> {
  const queue = await deps.ledger.readQueue(lock.project, lock.lockKey);
  const waiting = queue.filter((entry) => entry.replacedBy === undefined && entry.runId !== lock.runId);
  const [first] = await liveAmong(waiting, lock, deps);
  const held = await deps.ledger.readLock(lock.project, lock.lockKey);
  const holder = first === undefined ? await takeRunLock(lock, deps) : (held ?? first);
  if (holder === null) return "taken";
  const how = first !== undefined && held === null ? "waits for" : "holds";
  if (overlap === "refuse") throw new RunLocked(lock.lockKey, holder.runId, NOT_QUEUED, how);
  return { skipped: `Run ${holder.runId} ${how} the lock ${lock.lockKey} (overlap: skip).` };
}
