import { LOCK_FREE } from "#core/contracts/payloads.ts";
import type { Executions } from "./executions.ts";
import type { Ledger } from "./ledger.ts";

export interface HandOverDeps {
  readonly ledger: Pick<Ledger, "readLock" | "readQueue">;
  readonly executions: Pick<Executions, "fail">;
}

/**
 * Lets the next in the queue of a free lock look at once, instead of with its next turn. One whose wait is over already
 * (its turn has just ended, or its execution has) is passed over: it looks by itself, or is gone. The run that is let in
 * takes the lock itself, so that a hand-over that is lost, or made twice, costs a turn and nothing else.
 */
export async function handOver(lock: { project: string; lockKey: string }, deps: HandOverDeps): Promise<void> {
  if ((await deps.ledger.readLock(lock.project, lock.lockKey)) !== null) return;
  for (const { taskToken, replacedBy, runId } of await deps.ledger.readQueue(lock.project, lock.lockKey)) {
    if (taskToken === undefined || replacedBy !== undefined) continue;
    if (await deps.executions.fail(taskToken, { name: LOCK_FREE, cause: `Run ${runId} is next.` })) return;
  }
}
