import type { Executions } from "#clients/executions.ts";
import type { Tasks } from "#clients/tasks.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { CONTRACT, type RunOutput, type RunReference } from "#core/contracts/payloads.ts";
import { NO_COUNTS } from "#core/contracts/run-tally.ts";
import { FatalError, RoundOpened, RowMissing, RunFailed } from "#core/errors.ts";
import { stackOption } from "#core/names.ts";
import { requestedStop, stoppedAtMs } from "#core/run/watching/stop-reason.ts";
import { type AfterVerdictDeps, afterVerdict } from "../after-verdict.ts";
import { closeTasks } from "../close-tasks.ts";
import { giveVerdict } from "../give-verdict.ts";
import { openAutomaticRound, openRound, type RunExecution } from "../open-round.ts";
import { orTold } from "../or-told.ts";
import { endFaultyRun } from "./end-of-faulty-run.ts";

export interface SettleRunDeps extends AfterVerdictDeps {
  /** To end the tasks of a run that could not go on. */
  readonly tasks: Tasks;
  /** Also: how often was the run redriven, and is the holder of its lock still there? */
  readonly executions: Pick<Executions, "succeed" | "fail" | "describe">;
}

/**
 * Gives the verdict, writes the summary, gives the lock back, publishes the warnings; or opens a further round, where
 * somebody wants one. Run twice, the first verdict stands and the rest is repeated. Green comes back as data; everything
 * else is thrown.
 * @throws RunFailed, RoundOpened, RunLocked, HistoryFull, RowMissing; TaskStillBuilds
 */
export async function settleRun(
  reference: RunReference,
  deps: SettleRunDeps,
  execution: RunExecution = { context: {} },
): Promise<RunOutput> {
  const { project, runId } = reference;
  if (reference.skipped !== undefined)
    return {
      ...{ contract: CONTRACT, project, runId, state: "skipped", verdict: reference.skipped },
      ...{ counts: NO_COUNTS, summaryKey: null },
    };
  const found = await deps.ledger.readRun(reference);
  if (!found) throw new RowMissing(`The ledger has no run ${runId} of project ${project}.`);
  const before = await answered(await endFaultyRun(reference, found, deps), execution, deps);
  if (isOpenedByThis(before)) throw opened(runId);
  await closeTasks(before, deps);
  if (before.state === "running" && (await openAutomaticRound(before, deps))) throw opened(runId);
  const given = before.state === "running" ? await giveVerdict(before, deps) : { run: before };
  const { run } = given;
  const again = async () => {
    try {
      return await openRound(run, execution, deps);
    } catch (error) {
      // It has its verdict all the same: whoever waits for its lock, or reads the list of runs, is to have it.
      if (error instanceof FatalError) await afterVerdict(given, deps);
      throw error;
    }
  };
  if (await orTold(deps, `Whether run ${runId} is to go on is not known`, again)) throw opened(runId);
  await afterVerdict(given, deps);
  const { state } = run;
  const sentence = run.verdict ?? state;
  if (state !== "green") throw new RunFailed(`${sentence}\n${nextSteps(run)}`);
  return {
    contract: CONTRACT,
    project,
    runId,
    state,
    verdict: sentence,
    counts: run.tally?.counts ?? NO_COUNTS,
    summaryKey: run.summaryKey ?? null,
  };
}

/**
 * A further round that no check has looked at to its end: this state has opened it, and the answer of that call was lost.
 * To judge it would end it before anything of it is built, and what was asked for with it would be gone.
 */
const isOpenedByThis = ({ state, round, readyAtMs, fault }: RunRow): boolean =>
  state === "running" && round > 1 && readyAtMs === undefined && fault === undefined;

function nextSteps({ runId, executionArn }: RunRow): string {
  const option = stackOption(executionArn);
  return `Next: npx stepwatch why ${runId}${option}; npx stepwatch retry ${runId}${option}`;
}

/**
 * A run that was redriven while it ran has gone on by that, and no further round answers it; unless it was being stopped
 * by then: who redrives what somebody has stopped wants it finished.
 */
async function answered(run: RunRow, { context }: RunExecution, deps: SettleRunDeps): Promise<RunRow> {
  const { RedriveCount: redrives = 0, RedriveTime } = context;
  if (run.state !== "running" || redrives <= (run.redrives ?? 0)) return run;
  const redrivenAtMs = RedriveTime === undefined ? Number.POSITIVE_INFINITY : Date.parse(RedriveTime);
  if (requestedStop(run) !== null && redrivenAtMs > stoppedAtMs(run)) return run;
  await deps.ledger.markRedriven(run, redrives);
  return { ...run, redrives };
}

const opened = (runId: string) => new RoundOpened(`Run ${runId} goes on with a further round.`);
