import type { LockRow } from "#core/contracts/project-rows.ts";
import type { DeployedStack } from "./context.ts";

/** Where a run stands that waits for its lock. */
export interface QueuePlace {
  readonly lock: LockRow;
  /** From 1 on. */
  readonly place: number;
  readonly waiting: number;
  readonly sinceMs: number;
  /** Runs that go first, in order. */
  readonly ahead: readonly string[];
}

/**
 * The queue in which a run stands, found by looking at each lock that its project's runs, or those that share them, hold.
 * Null: no lock's queue has it.
 * @param entries whose runs share the lock
 */
export async function queuePlace(
  { ledger }: Pick<DeployedStack, "ledger">,
  entries: readonly string[],
  runId: string,
): Promise<QueuePlace | null> {
  for (const entry of entries) {
    for (const lock of await ledger.listLocks(entry)) {
      const queue = (await ledger.readQueue(entry, lock.lockKey)).filter((one) => one.replacedBy === undefined);
      const at = queue.findIndex((one) => one.runId === runId);
      if (at < 0) continue;
      const ahead = queue.slice(0, at).map((one) => one.runId);
      return { lock, place: at + 1, waiting: queue.length, sinceMs: queue[at]!.atMs, ahead };
    }
  }
  return null;
}
