import { handOver } from "#clients/hand-over.ts";
import type { Ledger } from "#clients/ledger.ts";
import { type GiveBackDeps, giveLockBack } from "../run-lock.ts";

export interface PlacesDeps extends GiveBackDeps {
  readonly ledger: GiveBackDeps["ledger"] & Pick<Ledger, "listLocks" | "listWaiting" | "leaveQueue">;
}

/**
 * Takes a run that never got a row out of the queue, and gives the lock back that it may have taken.
 * @param project in whose partition they stand: where several projects share a lock, the first of them
 */
export async function leavePlaces(project: string, runId: string, deps: PlacesDeps): Promise<void> {
  for (const entry of await deps.ledger.listWaiting(project)) {
    if (entry.runId !== runId) continue;
    await deps.ledger.leaveQueue(project, entry.lockKey, entry);
    // It may have been woken for a lock that is free, and have ended before it took it.
    await handOver({ project, lockKey: entry.lockKey }, deps);
  }
  for (const lock of await deps.ledger.listLocks(project))
    if (lock.runId === runId) await giveLockBack({ project, runId, lockKey: lock.lockKey }, deps);
}
