import type { RunRow } from "#core/contracts/ledger.ts";
import type { LockRow } from "#core/contracts/project-rows.ts";

/**
 * What a run may take beyond its deadline: its tasks have two minutes to stop, then come verdict and summary, and a service
 * that hiccups. Milliseconds.
 */
const SETTLED_WITHIN_MS = 15 * 60_000;

/** Since when a run takes longer than it should: its own bound (overdueMinutes), or its deadline; null if it does not. */
export function overdueSinceMs(run: RunRow, nowMs: number): number | null {
  if (run.state !== "running") return null;
  const { overdueMinutes } = run.settings.policy;
  const wantedMs =
    overdueMinutes === undefined
      ? Number.POSITIVE_INFINITY
      : (run.roundStartedAtMs ?? run.startedAtMs) + overdueMinutes * 60_000;
  const atMs = Math.min(wantedMs, run.deadlineAtMs + SETTLED_WITHIN_MS);
  return nowMs > atMs ? atMs : null;
}

/**
 * Whether a lock is held although its run has no more right to it: its deadline is long past, it has its verdict, or it
 * never had a row. As long as a run may take, its lock may be held, whoever waits.
 */
export function isHeldLong(lock: LockRow, holder: RunRow | null, nowMs: number): boolean {
  if (holder === null) return nowMs > lock.takenAtMs + SETTLED_WITHIN_MS;
  const rightfulUntilMs = holder.state === "running" ? holder.deadlineAtMs : (holder.endedAtMs ?? lock.takenAtMs);
  return nowMs > rightfulUntilMs + SETTLED_WITHIN_MS;
}
