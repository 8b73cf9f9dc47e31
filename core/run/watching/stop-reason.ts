import type { RunRow } from "#core/contracts/ledger.ts";

/** Why nothing more may be launched, and whether what runs is let end. */
export interface StopOrder {
  /** Goes on from "The run was" or "Stopped:". */
  readonly reason: string;
  readonly afterCurrent: boolean;
}

/**
 * The order to stop that holds for a run at a moment: a stop, the deadline, or a stop that lets builds end. What comes
 * after the last check found nothing left to wait for stops nothing.
 */
export function stopOrder(run: RunRow, nowMs: number): StopOrder | null {
  const asked = requestedStop(run);
  if (asked?.afterCurrent === false) return asked;
  if (nowMs >= run.deadlineAtMs) {
    const { runTimeoutMinutes } = run.settings.policy;
    return { reason: `its deadline has passed (runTimeoutMinutes: ${runTimeoutMinutes}).`, afterCurrent: false };
  }
  return asked;
}

/** When somebody asked for it; infinity if nobody has. Milliseconds. */
export const stoppedAtMs = ({ stopRequestedAtMs, stopAfterCurrentAtMs }: RunRow): number =>
  stopRequestedAtMs ?? stopAfterCurrentAtMs ?? Number.POSITIVE_INFINITY;

/** Why nothing may be launched any more, if so. */
export const stopReason = (run: RunRow, nowMs: number): string | null => stopOrder(run, nowMs)?.reason ?? null;

/** The stop that somebody asked for, whatever the time is. */
export function requestedStop(run: RunRow): StopOrder | null {
  const { stopRequestedAtMs, stopAfterCurrentAtMs, readyAtMs = Number.POSITIVE_INFINITY } = run;
  const atMs = stopRequestedAtMs ?? stopAfterCurrentAtMs;
  if (atMs === undefined || atMs > readyAtMs) return null;
  const afterCurrent = stopRequestedAtMs === undefined;
  return { reason: words(run, atMs, afterCurrent), afterCurrent };
}

function words(run: RunRow, atMs: number, afterCurrent: boolean): string {
  const { stopReason: why = "a person asked for it.", stopRequestedBy: by } = run;
  if (by === undefined) return why;
  const at = `${new Date(atMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;
  return `stopped by ${by} at ${at}${afterCurrent ? ", after what was building then" : ""}: ${why}`;
}

/** Why a run is stopped whose execution has ended without a verdict, in Step Functions' words; null: nobody knows the execution. */
export function executionEnd(
  execution: { readonly status: string; readonly error: string | null; readonly cause: string | null } | null,
): string {
  if (execution === null) return "its execution is not known to Step Functions any more.";
  const { status, error, cause } = execution;
  const words = [error, cause].filter(Boolean).join(": ").slice(0, MOST_WORDS);
  if (status === "ABORTED") return `its execution was stopped in Step Functions${words === "" ? "." : `: ${words}`}`;
  if (status === "TIMED_OUT") return "its execution ran into its timeout in Step Functions.";
  return `its execution ended in Step Functions (${status})${words === "" ? "." : `: ${words}`}`;
}

/** Of a cause, which Step Functions takes up to 32,768 characters: the run's row and each of its vertices hold it. */
const MOST_WORDS = 500;

/** The order as a sentence of its own. */
export const stoppedSentence = (reason: string): string =>
  reason.startsWith("stopped ") ? `S${reason.slice(1)}` : `Stopped: ${reason}`;
