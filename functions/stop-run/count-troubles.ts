import { count, tell } from "#clients/function-log.ts";
import type { Ledger, WaitingRun } from "#clients/ledger.ts";
import type { LockRow, RunIndexRow } from "#core/contracts/project-rows.ts";
import { isHeldLong, overdueSinceMs } from "#core/run/watching/run-troubles.ts";
import { GRACE_MS, missedStart } from "#core/schedule/missed.ts";
import { runKeyOf } from "../run-lock.ts";

/** What a sweep has read of the projects, by their names. */
export interface Swept {
  readonly runs: ReadonlyMap<string, readonly RunIndexRow[]>;
  readonly locks: readonly LockRow[];
  readonly waiting: readonly WaitingRun[];
}

export interface TroublesDeps {
  readonly ledger: Pick<Ledger, "readRun" | "knowSchedule">;
  readonly nowMs: () => number;
}

/**
 * Counts what nobody tells of itself: runs that take longer than they should, locks that are held with no right to them,
 * schedules that started nothing. Counted with each sweep for as long as it is so, so that an alarm ends with its cause.
 * It reads a row for each live run, lock and schedule, and none where there is none.
 */
export async function countTroubles(
  swept: Swept,
  schedules: Readonly<Record<string, string>>,
  deps: TroublesDeps,
): Promise<void> {
  for (const one of [...swept.runs.values()].flat().filter(({ state }) => state === "running")) {
    const run = await deps.ledger.readRun(one);
    const sinceMs = run === null ? null : overdueSinceMs(run, deps.nowMs());
    if (sinceMs !== null) note("RunsOverdue", "A run is overdue.", { ...ids(one), since: iso(sinceMs) });
  }
  for (const lock of swept.locks) {
    const holder = runKeyOf(lock);
    if (!isHeldLong(lock, await deps.ledger.readRun(holder), deps.nowMs())) continue;
    note("LocksHeldLong", "A lock is held long.", {
      ...ids(holder),
      lockKey: lock.lockKey,
      since: iso(lock.takenAtMs),
    });
  }
  for (const [of, schedule] of Object.entries(schedules)) {
    const [project = "", job] = of.split("/");
    const sinceMs = await deps.ledger.knowSchedule(project, schedule, deps.nowMs(), job);
    // A run that waits for a lock which several projects share may be another project's: it is taken for an answer.
    const startsMs = [
      ...(swept.runs.get(project) ?? []).filter((run) => run.job === job).map(({ startedAtMs }) => startedAtMs),
      ...swept.waiting.map(({ atMs }) => atMs),
    ];
    const missedMs = missedStart(parsed(schedule), sinceMs, startsMs, deps.nowMs());
    if (missedMs === null) continue;
    const facts = {
      project,
      ...(job !== undefined && { job }),
      schedule,
      dueAt: iso(missedMs),
      graceMinutes: GRACE_MS / 60_000,
    };
    note("SchedulesMissed", "A schedule has started nothing.", facts);
  }
}

function note(
  metric: "RunsOverdue" | "LocksHeldLong" | "SchedulesMissed",
  sentence: string,
  facts: { readonly project: string } & Readonly<Record<string, unknown>>,
): void {
  tell(sentence, facts);
  count({ [metric]: 1 }, facts);
}

const ids = ({ project, runId }: { readonly project: string; readonly runId: string }) => ({ project, runId });

const iso = (ms: number): string => new Date(ms).toISOString();

/** The expression holds spaces, a time zone's name none. */
function parsed(schedule: string) {
  const end = schedule.lastIndexOf(" ");
  return { expression: schedule.slice(0, end), timeZone: schedule.slice(end + 1) };
}
