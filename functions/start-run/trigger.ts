import type { Executions } from "#clients/executions.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { TriggerRow } from "#core/contracts/project-rows.ts";

export interface TriggerDeps {
  readonly ledger: Pick<Ledger, "claimTrigger" | "replaceTrigger" | "readRun">;
  readonly executions: Pick<Executions, "describe">;
}

/**
 * The run that a trigger has started already, of which this one would be a duplicate; null: this run is the trigger's,
 * now or already. A run that never began, since it was refused or ended before, has not used its trigger up.
 */
export async function duplicateOf(
  project: string,
  dedupeKey: string,
  trigger: TriggerRow,
  deps: TriggerDeps,
): Promise<string | null> {
  const first = await deps.ledger.claimTrigger(project, dedupeKey, trigger);
  if (first === null) return null;
  if ((await deps.ledger.readRun({ project, runId: first.runId })) !== null) return first.runId;
  const status = (await deps.executions.describe(first.executionArn))?.status;
  if (status !== undefined && !NEVER_BEGAN.has(status)) return first.runId;
  if (await deps.ledger.replaceTrigger(project, dedupeKey, trigger, first)) return null;
  return await duplicateOf(project, dedupeKey, trigger, deps);
}

/** Ends of an execution whose run has no row. One that succeeded was left out by policy, which is an answer too. */
const NEVER_BEGAN: ReadonlySet<string> = new Set(["FAILED", "TIMED_OUT", "ABORTED"]);
