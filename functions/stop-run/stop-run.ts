import type { Executions } from "#clients/executions.ts";
import type { RunKey } from "#clients/ledger.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { RetryableError, TaskStillBuilds } from "#core/errors.ts";
import { PROJECT_NAME } from "#core/names.ts";
import { isOver } from "#core/run/judging/vertex-view.ts";
import { executionEnd, requestedStop } from "#core/run/watching/stop-reason.ts";
import { type AfterVerdictDeps, afterVerdict } from "../after-verdict.ts";
import { type DecideDeps, type Decided, decideRun } from "../check-run/check-run.ts";
import { type EndTasksDeps, endTasks } from "../end-tasks.ts";
import { giveVerdict } from "../give-verdict.ts";
import { leavePlaces } from "./places.ts";

export interface StopRunDeps extends AfterVerdictDeps, EndTasksDeps, DecideDeps {
  readonly executions: Pick<Executions, "describe" | "start" | "succeed" | "fail">;
  readonly artefacts: DecideDeps["artefacts"];
  readonly pause: (milliseconds: number) => Promise<void>;
}

/** An execution of the run machine that has ended, or may have. */
export interface EndedExecution {
  readonly executionArn: string;
  /** Of the event that tells of its end: one of an earlier redrive says nothing of a later one (behaviour G23). */
  readonly redriveCount?: number | null | undefined;
  /** Where it is known; otherwise the execution's own input and name say it. */
  readonly run?: RunKey | undefined;
  /** The project in whose partition its lock, or its place in a queue, was found; otherwise its own is looked at. */
  readonly lockProject?: string | undefined;
}

/**
 * How long the tasks of a run are waited for: the stop timeout (2 minutes), what ECS takes on top of it, and the last
 * statuses. Shorter than the function's own timeout. Milliseconds.
 */
const PATIENCE_MS = 4 * 60_000;

const TURN_MS = 2_000;

/** A start-run that was under way when its execution ended may write the run's row a moment later. Milliseconds. */
const ROW_PATIENCE_MS = 10_000;

/** Statuses of an execution that goes on, or will. */
const GOES_ON: ReadonlySet<string> = new Set(["RUNNING", "PENDING_REDRIVE"]);

/** Start-run's answers to a run that it does not begin: no row, no lock and no place in a queue is left of it. */
const REFUSALS: ReadonlySet<string> = new Set([
  "InputError",
  "RunLocked",
  "RunLeftOut",
  "QueueFull",
  "PastNotGreen",
  "StillRunning",
]);

/**
 * Ends what is left of a run whose execution is over without a verdict (behaviour G33): requests its stop, stops its
 * tasks and waits until they are over, gives last words and verdict, and hands its lock on. Any number of these may run
 * at once, or beside a run machine that has been redriven: each write is that of a round, and none launches anything.
 * @throws TaskStillBuilds, and what else may be right a moment later
 */
export async function stopRun(asked: EndedExecution, deps: StopRunDeps): Promise<void> {
  const execution = await deps.executions.describe(asked.executionArn);
  if (goesOn(asked, execution) || hasVerdict(asked, execution)) return;
  const key = asked.run ?? keyOf(execution);
  if (key === null) return;
  const rowUntilMs = deps.nowMs() + (REFUSALS.has(execution?.error ?? "") ? 0 : ROW_PATIENCE_MS);
  const untilMs = deps.nowMs() + PATIENCE_MS;
  for (;;) {
    const left = await stopTurn(key, asked, rowUntilMs, deps).catch(waitedOut);
    if (left === null) return;
    if (deps.nowMs() >= untilMs) throw left instanceof RetryableError ? left : new TaskStillBuilds(key.runId, left);
    await deps.pause(TURN_MS);
  }
}

type Execution = Awaited<ReturnType<Executions["describe"]>>;

const goesOn = ({ redriveCount }: EndedExecution, execution: Execution): boolean => {
  if (execution === null) return false;
  return GOES_ON.has(execution.status) || (redriveCount ?? execution.redriveCount) < execution.redriveCount;
};

/** Settle-run has said so, and what it may have left undone is found by the sweep, which names the run. */
const hasVerdict = ({ run }: EndedExecution, execution: Execution): boolean =>
  run === undefined && execution?.error === "RunFailed";

function keyOf(execution: Execution): RunKey | null {
  const input = execution?.input;
  const project = typeof input === "object" && input !== null && "project" in input ? input.project : null;
  if (execution === null || typeof project !== "string" || !PROJECT_NAME.test(project)) return null;
  return { project, runId: execution.name };
}

/** A service that does not answer is asked again until the patience is over. */
function waitedOut(error: unknown): RetryableError {
  if (error instanceof RetryableError) return error;
  throw error;
}

/** Null: nothing is left to do, or the execution goes on. Otherwise the task that is waited for; 0: something else. */
async function stopTurn(
  key: RunKey,
  asked: EndedExecution,
  rowUntilMs: number,
  deps: StopRunDeps,
): Promise<number | null> {
  const run = await deps.ledger.readRun(key);
  // The row before the execution: where a redrive opens the next round in between, what is written is of an old one.
  const execution = await deps.executions.describe(asked.executionArn);
  if (goesOn(asked, execution)) return null;
  if (run === null) {
    if (deps.nowMs() < rowUntilMs) return 0;
    await leavePlaces(asked.lockProject ?? key.project, key.runId, deps);
    return null;
  }
  if (run.state === "running")
    await deps.ledger.requestStop(run, { atMs: deps.nowMs(), reason: executionEnd(execution) });
  await endTasks(run, deps);
  const open = (await deps.ledger.readTasks(run)).find((task) => !isOver(task));
  if (open !== undefined) return open.task;
  return (await endRun(run, deps)) ? null : 0;
}

/** False: somebody else has moved the run; look again. */
async function endRun(before: RunRow, deps: StopRunDeps): Promise<boolean> {
  const run = before.state === "running" ? await deps.ledger.readRun(before) : before;
  if (run === null || run.round !== before.round) return false;
  if (run.state !== "running") {
    await afterVerdict({ run }, deps);
    return true;
  }
  if (run.readyAtMs === undefined && (await giveLastWords(run, deps)) !== "settle") return false;
  const settled = (await deps.ledger.readRun(run)) ?? run;
  if (settled.round !== run.round) return false;
  const given = settled.state === "running" ? await giveVerdict(settled, deps) : { run: settled };
  // A redrive may have opened a further round in between, which has the lock and tasks of its own.
  if (given.run.round !== run.round) return false;
  await afterVerdict(given, deps);
  return true;
}

/** What can not be decided of a run (its plan is not readable, say) must not keep it from its verdict. */
async function giveLastWords(run: RunRow, deps: StopRunDeps): Promise<Decided["answer"]> {
  const { reason } = requestedStop(run) ?? { reason: "its execution has ended." };
  const tasks = await deps.ledger.readTasks(run);
  try {
    return (await decideRun(run, tasks, { reason, afterCurrent: false }, deps)).answer;
  } catch (error) {
    if (error instanceof RetryableError) throw error;
    deps.warn(`Not every last word of run ${run.runId} was given (${String(error)}).`);
    return "settle";
  }
}
