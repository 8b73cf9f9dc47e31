import type { Artefacts } from "#clients/artefacts.ts";
import type { Events } from "#clients/events.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { Tasks } from "#clients/tasks.ts";
import type { RunEvent } from "#core/contracts/events.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { CONTRACT, type RunOutput, type RunReference } from "#core/contracts/payloads.ts";
import { RowMissing, RunFailed, TaskStillBuilds } from "#core/errors.ts";
import { artefactKeys } from "#core/names.ts";
import type { Plan } from "#core/run/plan.ts";
import { type RunSummary, type SummaryInput, summarise, verdictOf } from "#core/run/summary.ts";
import { ended } from "#core/run/task-watch.ts";
import { isOver } from "#core/run/vertex-view.ts";
import { warningEvents } from "#core/run/warning-events.ts";
import { endFaultyRun } from "./end-of-faulty-run.ts";
import { orTold } from "./or-told.ts";

export interface SettleRunDeps {
  readonly ledger: Ledger;
  /** To end the tasks of a run that could not go on. */
  readonly tasks: Tasks;
  readonly artefacts: Pick<Artefacts, "putJson">;
  readonly events: Events;
  readonly readPlan: (planKey: string) => Promise<Plan | null>;
  readonly nowMs: () => number;
  /** Takes a sentence for the function's log. */
  readonly warn: (sentence: string) => void;
}

/**
 * Gives the verdict, writes the summary, gives the lock back, publishes the warnings. Run twice, the first verdict
 * stands and the rest is repeated. Green comes back as data; everything else is thrown.
 * @throws RunFailed, RowMissing; TaskStillBuilds
 */
export async function settleRun(reference: RunReference, deps: SettleRunDeps): Promise<RunOutput> {
  const { project, runId } = reference;
  if (reference.skipped !== undefined)
    return { contract: CONTRACT, project, runId, state: "skipped", verdict: reference.skipped };
  const found = await deps.ledger.readRun(reference);
  if (!found) throw new RowMissing(`The ledger has no run ${runId} of project ${project}.`);
  const before = await endFaultyRun(reference, found, deps);
  await closeTasks(before, deps);
  const { run, events } = before.state === "running" ? await giveVerdict(before, deps) : { run: before };
  await afterVerdict(run, events, deps);
  const { state } = run;
  const sentence = run.verdict ?? state;
  if (state !== "green")
    throw new RunFailed(
      `${sentence}\nLook further: npx stepwatch status ${runId}; npx stepwatch tasks ${runId}; npx stepwatch logs ${runId}`,
    );
  return {
    contract: CONTRACT,
    project,
    runId,
    state,
    verdict: sentence,
    ...(run.summaryKey === undefined ? {} : { summaryKey: run.summaryKey }),
  };
}

/** What follows a verdict never takes it back: what AWS refuses of it is told in the function's log. */
async function afterVerdict(run: RunRow, events: RunEvent[] | undefined, deps: SettleRunDeps): Promise<void> {
  const { project, runId, executionArn, startedAtMs, state, settings, endedAtMs, verdict } = run;
  await orTold(deps, `Not every task of run ${runId} could be closed`, () => closeTasks(run, deps));
  const lock = `The lock ${run.lockKey} of run ${runId} was not given back: the next run takes it over`;
  await orTold(deps, lock, () => deps.ledger.releaseLock(run.lockProject ?? project, run.lockKey, runId));
  const ends = { ...(endedAtMs === undefined ? {} : { endedAtMs }), ...(verdict === undefined ? {} : { verdict }) };
  const index = { project, runId, executionArn, startedAtMs, state, ...ends };
  await orTold(deps, `Run ${runId} is not in the list of runs`, () =>
    deps.ledger.putRunIndex(index, settings.policy.ttlDays),
  );
  await orTold(deps, `Not all events of run ${runId} were published`, () => publishEvents(run, events, deps));
}

/**
 * A check that decided at the same moment as the last one (it had not seen the stop) may still launch its task. After
 * the verdict it can not take another; the fence of one that has not begun is closed here, one that builds is waited for.
 */
async function closeTasks(run: RunRow, deps: SettleRunDeps): Promise<void> {
  for (const task of await deps.ledger.readTasks(run)) {
    if (isOver(task)) continue;
    if (task.state === "running") throw new TaskStillBuilds(run.runId, task.task);
    await deps.ledger.markStopped(run, task.task, ended(deps.nowMs(), "Not begun when the run was settled.", true));
  }
}

/** Two calls at once may find two verdicts; the first in the ledger is the run's, and the summary says what it says. */
async function giveVerdict(before: RunRow, deps: SettleRunDeps): Promise<{ run: RunRow; events?: RunEvent[] }> {
  const read = await readAll(before, deps);
  const { state, sentence: verdict } = verdictOf(read);
  const key = artefactKeys.summary(before.project, before.runId, before.round);
  const end = { state, verdict, endedAtMs: read.nowMs };
  const summary = summarise({ ...read, run: { ...before, ...end, summaryKey: key } });
  const summaryKey = (await putSummary(key, summary, deps)) ? key : null;
  const run: RunRow = { ...before, ...end, ...(summaryKey ? { summaryKey } : {}) };
  if (await deps.ledger.endRun(before, { ...end, summaryKey }))
    return { run, events: warningEvents(summary, read.plan) };
  const ended = (await deps.ledger.readRun(before)) ?? run;
  await putSummary(key, summarise({ ...read, run: ended }), deps);
  return { run: ended };
}

/** A bucket that refuses the summary for good must not keep a run from its verdict: it can be made again from the rows. */
const putSummary = async (key: string, summary: RunSummary, deps: SettleRunDeps): Promise<boolean> =>
  (await orTold(deps, `The summary ${key} could not be written; the run's rows still have it all`, async () => {
    await deps.artefacts.putJson(key, summary);
    return true;
  })) ?? false;

async function readAll(run: RunRow, deps: SettleRunDeps): Promise<SummaryInput> {
  const tasks = await deps.ledger.readTasks(run);
  const vertices = () => deps.ledger.readVertices(run);
  // A run that could not go on has its verdict by that; what can not be read of it then is left out of its summary.
  const rows = run.fault === undefined ? await vertices() : ((await orTold(deps, "Its rows", vertices)) ?? []);
  const planKey = run.planKey;
  const plan = planKey ? await orTold(deps, `The plan ${planKey} can not be read`, () => deps.readPlan(planKey)) : null;
  return { run, plan, rows, tasks, nowMs: deps.nowMs() };
}

async function readEvents(run: RunRow, deps: SettleRunDeps): Promise<RunEvent[]> {
  const read = await readAll(run, deps);
  return warningEvents(summarise(read), read.plan);
}

/**
 * Publishes what the run's summary warns of, once: by the mark on the run row when this is repeated. Events that
 * EventBridge does not take change neither the verdict nor how the execution ends: they stand in the summary.
 */
async function publishEvents(run: RunRow, known: RunEvent[] | undefined, deps: SettleRunDeps): Promise<void> {
  if (run.eventsSentAtMs !== undefined) return;
  const events = known ?? (await readEvents(run, deps));
  if (events.length === 0) return;
  try {
    await deps.events.publish(events);
  } catch (error) {
    deps.warn(
      `Not all of ${events.length} events of run ${run.runId} were published (${String(error)}). Its warnings stand in ${run.summaryKey}.`,
    );
    return;
  }
  await deps.ledger.markEventsSent(run, deps.nowMs());
}
