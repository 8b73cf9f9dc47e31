import type { RunRow } from "#core/contracts/ledger.ts";
import { pastRound } from "#core/run/judging/rounds.ts";

/**
 * Turns of the run's loop that an execution may take beyond one per `averageSeconds` of its time: at a run's start and
 * end, and where many tasks end at once, wakes come close together.
 */
export const SPARE_TURNS = 40;

/** Milliseconds that the run's own rounds have taken by now; round 0 is of another execution. */
export function roundsMs(run: RunRow, nowMs: number): number {
  const ended = (run.rounds ?? []).filter(({ round }) => round > 0);
  const present = pastRound(run, { state: run.state, verdict: "", endedAtMs: run.endedAtMs ?? nowMs });
  return [...ended, present].reduce((sum, { startedAtMs, endedAtMs }) => sum + Math.max(0, endedAtMs - startedAtMs), 0);
}

/**
 * Whether the run's loop may take a turn out of turn, by a wake or a time that has come: not where its history would
 * be filled by them before its last minute. Then its net goes on alone.
 */
export const hasTurnsToSpare = (run: RunRow, nowMs: number, averageSeconds: number): boolean =>
  ((run.turns ?? 0) - SPARE_TURNS) * averageSeconds * 1_000 < roundsMs(run, nowMs);
