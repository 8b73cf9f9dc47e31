import type { RunRow } from "#core/contracts/ledger.ts";

/** Why nothing may be launched any more, if so: a person's stop, or the deadline. */
export function stopReason(run: RunRow, nowMs: number): string | null {
  if (run.stopRequestedAtMs !== undefined) return run.stopReason ?? "a person asked for it.";
  if (nowMs >= run.deadlineAtMs)
    return `its deadline has passed (runTimeoutMinutes: ${run.settings.policy.runTimeoutMinutes}).`;
  return null;
}
