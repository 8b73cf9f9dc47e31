import type { Artefacts } from "#clients/artefacts.ts";
import { count, tell } from "#clients/function-log.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { WarningEvent } from "#core/contracts/events.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import type { MetricValues } from "#core/contracts/metrics.ts";
import { artefactKeys } from "#core/names.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { taskMetrics, verdictMetrics } from "#core/run/reporting/run-metrics.ts";
import { type RunSummary, type SummaryInput, summarise, verdictOf } from "#core/run/reporting/summary.ts";
import { tallyOf } from "#core/run/reporting/tally.ts";
import { warningEvents } from "#core/run/reporting/warning-events.ts";
import { silenceAfter, silenceSchema } from "#core/run/watching/quiet.ts";
import { orTold } from "./or-told.ts";
import { timeOfReused } from "./reused-time.ts";

export interface GiveVerdictDeps {
  readonly ledger: Ledger;
  readonly artefacts: Pick<Artefacts, "putJson" | "getJson">;
  readonly readPlan: (planKey: string) => Promise<Plan | null>;
  readonly nowMs: () => number;
  /** Takes a sentence for the function's log. */
  readonly warn: (sentence: string) => void;
}

/** A run that has its verdict, and what the call that gave it has read for that. */
export interface Verdict {
  readonly run: RunRow;
  readonly events?: WarningEvent[];
  readonly read?: SummaryInput;
}

/** Two calls at once may find two verdicts; the first in the ledger is the run's, and the summary says what it says. */
export async function giveVerdict(before: RunRow, deps: GiveVerdictDeps): Promise<Verdict> {
  const read = await readAll(before, deps);
  const { state, sentence: verdict } = verdictOf(read);
  const key = artefactKeys.summary(before.project, before.runId, before.round);
  const end = { state, verdict, endedAtMs: read.nowMs };
  const savedMs = await timeOfReused(before, read.rows, deps.ledger).catch((error: unknown) => {
    // A number for people is no reason to leave a run without its verdict.
    deps.warn(`How long the reused ones took is not known (${String(error)}).`);
    return null;
  });
  const summary = { ...summarise({ ...read, run: { ...before, ...end, summaryKey: key } }), savedMs };
  const summaryKey = (await putSummary(key, summary, deps)) ? key : null;
  const tally = { ...tallyOf(summary), ...(savedMs === null ? {} : { savedMs }) };
  const run: RunRow = { ...before, ...end, tally, ...(summaryKey ? { summaryKey } : {}) };
  if (await deps.ledger.endRun(before, { ...end, summaryKey, tally })) {
    tell(verdict, { verdict: state });
    countRound(read, state, verdictMetrics(summary));
    await orTold(deps, "The project's longest silence could not be kept", () => keepSilence(read, deps));
    return { run, events: warningEvents(summary, read.plan), read };
  }
  const ended = (await deps.ledger.readRun(before)) ?? run;
  await putSummary(key, summarise({ ...read, run: ended }), deps);
  return { run: ended };
}

/**
 * A run that goes on has a summary of the round that it leaves too; null where it could not be written.
 * @param end as it would have ended
 */
export async function summariseRound(
  read: SummaryInput,
  end: { state: RunRow["state"]; verdict: string; endedAtMs: number },
  deps: GiveVerdictDeps,
): Promise<string | null> {
  const { run } = read;
  countRound(read, end.state);
  const summaryKey = artefactKeys.summary(run.project, run.runId, run.round);
  return (await putSummary(summaryKey, summarise({ ...read, run: { ...run, ...end, summaryKey } }), deps))
    ? summaryKey
    : null;
}

/** What this round's builds have shown of the project's silences, for its next run: a help, without which the setting counts. */
async function keepSilence({ run, tasks, nowMs }: SummaryInput, { artefacts }: GiveVerdictDeps): Promise<void> {
  const key = artefactKeys.silence(run.project);
  const before = silenceSchema.safeParse(await artefacts.getJson(key)).data?.longestMs ?? 0;
  const longestMs = silenceAfter(before, run, tasks, nowMs);
  if (longestMs !== null) await artefacts.putJson(key, { longestMs });
}

/** Once, where the round's end is first written: a call that dies before it leaves it out, one that is repeated too. */
function countRound({ run, tasks }: SummaryInput, state: RunRow["state"], ofRun: MetricValues = {}): void {
  const { project, runId, round } = run;
  count({ ...taskMetrics(tasks, round, state === "stopped"), ...ofRun }, { project, runId, round });
}

/** A bucket that refuses the summary for good must not keep a run from its verdict: it can be made again from the rows. */
const putSummary = async (key: string, summary: RunSummary, deps: GiveVerdictDeps): Promise<boolean> =>
  (await orTold(deps, `The summary ${key} could not be written; the run's rows still have it all`, async () => {
    await deps.artefacts.putJson(key, summary);
    return true;
  })) ?? false;

/** All that a verdict and a summary are made of. */
export async function readAll(run: RunRow, deps: GiveVerdictDeps): Promise<SummaryInput> {
  const tasks = await deps.ledger.readTasks(run);
  const vertices = () => deps.ledger.readVertices(run);
  // A run that could not go on has its verdict by that; what can not be read of it then is left out of its summary.
  const rows = run.fault === undefined ? await vertices() : ((await orTold(deps, "Its rows", vertices)) ?? []);
  const planKey = run.planKey;
  const plan = planKey ? await orTold(deps, `The plan ${planKey} can not be read`, () => deps.readPlan(planKey)) : null;
  return { run, plan, rows, tasks, nowMs: deps.nowMs() };
}
