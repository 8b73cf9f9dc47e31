import { isRefused } from "#clients/aws-errors.ts";
import type { Executions } from "#clients/executions.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import type { ExecutionContext } from "#core/contracts/payloads.ts";
import type { RoundRequest } from "#core/contracts/rounds.ts";
import { HistoryFull, RowsExpire, RunLocked } from "#core/errors.ts";
import { mayBeCured } from "#core/run/deciding/next-round.ts";
import { foldRequests, pastRound, pendingRequests, roundOf, rowsLastUntilMs } from "#core/run/judging/rounds.ts";
import { failedSteps, stepsOf } from "#core/run/judging/run-steps.ts";
import { verdictOf } from "#core/run/reporting/summary.ts";
import { roundsMs } from "#core/run/watching/spent-turns.ts";
import { requestedStop } from "#core/run/watching/stop-reason.ts";
import { type GiveVerdictDeps, readAll, summariseRound } from "./give-verdict.ts";
import { type LockDeps, lockOf, takeRunLock } from "./run-lock.ts";

export type OpenRoundDeps = GiveVerdictDeps & LockDeps & { readonly executions: Pick<Executions, "describe"> };

/** What the run's execution says of itself. */
export interface RunExecution {
  readonly context: ExecutionContext;
  /** Seconds that all rounds of an execution may take together; unset: no bound is known. */
  readonly roundsSeconds?: number | undefined;
}

/** Less time than this is no round: a task start and a build. Milliseconds. */
const SHORTEST_ROUND_MS = 10 * 60_000;

/**
 * Opens the next round of a run that has its verdict, if anybody wants one: the execution has been redriven more often
 * than rounds have answered, or requests stand on the row. False: nobody does. Twice, one of them opens it, and the
 * other finds it open.
 * @throws RunLocked if another run holds the lock by now; HistoryFull if the execution has no room for another round, RowsExpire
 * if its rows do not last as long
 */
export async function openRound(run: RunRow, execution: RunExecution, deps: OpenRoundDeps): Promise<boolean> {
  if (run.state === "running") return true;
  const requests = pendingRequests(run);
  if (run.state === "green" && !requests.some(({ nodes }) => nodes !== undefined)) return false;
  const redrives = await redriveCount(run, execution, deps);
  if (requests.length === 0 && redrives <= (run.redrives ?? 0)) return false;
  const startedAtMs = deps.nowMs();
  const timeMs = roomFor(run, execution);
  if (startedAtMs + timeMs > rowsLastUntilMs(run))
    throw new RowsExpire({ runId: run.runId, verdict: run.verdict ?? run.state });
  const redriven: RoundRequest = { ...BY_REDRIVE, round: run.round, atMs: startedAtMs };
  const opening = requests.length > 0 ? foldRequests(requests) : redriven;
  await lockAgain(run, deps);
  const end = { state: run.state, verdict: run.verdict ?? run.state, endedAtMs: run.endedAtMs ?? startedAtMs };
  const next = { opening, past: pastRound(run, end), startedAtMs, deadlineAtMs: startedAtMs + timeMs, redrives };
  return await openAsSeen(run, next, execution, deps);
}

const BY_REDRIVE = { by: "redrive", downstream: false, force: false, fullRefresh: false } as const;

/**
 * Opens a further round of a run that would end red of what may pass, as often as its policy says and within its time
 * (behaviour G9). It keeps its lock and its deadline. False: the run is to have its verdict.
 */
export async function openAutomaticRound(run: RunRow, deps: OpenRoundDeps): Promise<boolean> {
  const { runRetries, runRetryDelaySeconds } = run.settings.policy;
  const startedAtMs = deps.nowMs();
  const notBeforeMs = startedAtMs + runRetryDelaySeconds * 1_000;
  if (automaticRounds(run) >= runRetries || notBeforeMs >= run.deadlineAtMs) return false;
  // Who named nodes has said what is to be built, and the rest is left.
  if (run.opening?.nodes !== undefined) return false;
  if (requestedStop(run) !== null || run.fault !== undefined || pendingRequests(run).length > 0) return false;
  const read = await readAll(run, deps);
  const { state, sentence: verdict } = verdictOf(read);
  const none = { downstream: false, force: false, fullRefresh: false };
  const opening: RoundRequest = { ...none, round: run.round, by: "run_retry", atMs: startedAtMs };
  // What a command has done is looked at by a person first.
  const steps = stepsOf(run);
  const hasFailed =
    steps !== null &&
    failedSteps(steps, { ...read, policy: run.settings.policy, round: roundOf(run, read.plan) }).length > 0;
  if (state !== "red" || hasFailed || !mayBeCured({ ...read, policy: run.settings.policy }, opening)) return false;
  const end = { state, verdict, endedAtMs: startedAtMs };
  const summaryKey = (await summariseRound(read, end, deps)) ?? undefined;
  const past = pastRound({ ...run, summaryKey }, end);
  const { deadlineAtMs, redrives = 0 } = run;
  const next = { opening, past, startedAtMs, deadlineAtMs, notBeforeMs, redrives };
  return await openAsSeen(run, next, { context: {} }, deps);
}

/** Automatic rounds since a person's last one, or since the run's start. */
function automaticRounds({ rounds = [], opening }: RunRow): number {
  const openers = [...rounds.map((round) => round.opening?.by), opening?.by];
  return openers.length - 1 - openers.findLastIndex((by) => by !== "run_retry");
}

/** The first of two wins; who comes second, or has not seen a request, looks again. */
async function openAsSeen(
  run: RunRow,
  next: Parameters<OpenRoundDeps["ledger"]["openRound"]>[1],
  execution: RunExecution,
  deps: OpenRoundDeps,
): Promise<boolean> {
  if (!(await deps.ledger.openRound(run, next))) {
    const now = await deps.ledger.readRun(run);
    if (now === null || now.round > run.round) return now !== null;
    return now.state === "running" ? openAutomaticRound(now, deps) : openRound(now, execution, deps);
  }
  const { project, runId, executionArn, startedAtMs, settings } = run;
  const index = { project, runId, executionArn, startedAtMs, state: "running" as const, round: run.round + 1 };
  try {
    await deps.ledger.putRunIndex(index, settings.policy.ttlDays);
  } catch (error) {
    // The row says it; the list of runs has it again at the round's end.
    if (!isRefused(error)) throw error;
    deps.warn(`Run ${runId} is not shown as running in the list of runs (${String(error)}).`);
  }
  return true;
}

/** By the execution's context, or where that has none by DescribeExecution. */
async function redriveCount(run: RunRow, { context }: RunExecution, deps: OpenRoundDeps): Promise<number> {
  return context.RedriveCount ?? (await deps.executions.describe(run.executionArn))?.redriveCount ?? 0;
}

async function lockAgain(run: RunRow, deps: OpenRoundDeps): Promise<void> {
  // For the round that is to come, before it is opened: whoever is still at the end of this one gives nothing back then.
  const holder = await takeRunLock({ ...lockOf(run, deps.nowMs()), round: run.round + 1 }, deps);
  if (holder === null) return;
  const next = `when it has ended, npx stepwatch retry ${run.runId}`;
  throw new RunLocked(run.lockKey, holder.runId, next);
}

/** Milliseconds that the round may take: the run's timeout, or what its execution's history has left. */
function roomFor(run: RunRow, { roundsSeconds }: RunExecution): number {
  const wantedMs = run.settings.policy.runTimeoutMinutes * 60_000;
  if (roundsSeconds === undefined) return wantedMs;
  const leftMs = roundsSeconds * 1_000 - roundsMs(run, 0);
  if (leftMs < Math.min(wantedMs, SHORTEST_ROUND_MS))
    throw new HistoryFull({ runId: run.runId, verdict: run.verdict ?? run.state });
  return Math.min(wantedMs, leftMs);
}
