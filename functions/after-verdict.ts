import type { Events } from "#clients/events.ts";
import type { Executions } from "#clients/executions.ts";
import type { WarningEvent } from "#core/contracts/events.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import type { NodeFacts } from "#core/run/planning/node-facts.ts";
import { type SummaryInput, summarise } from "#core/run/reporting/summary.ts";
import { warningEvents, withMeaning } from "#core/run/reporting/warning-events.ts";
import { isUnheard, openWaits } from "#core/run/watching/consumer.ts";
import { answerConsumers } from "./answer-consumers.ts";
import { closeTasks } from "./close-tasks.ts";
import { type GiveVerdictDeps, readAll, type Verdict } from "./give-verdict.ts";
import { orTold } from "./or-told.ts";
import { giveLockBack } from "./run-lock.ts";

export interface AfterVerdictDeps extends GiveVerdictDeps {
  readonly events: Events;
  /** To end the waits of consumers, and of the run that has the lock next. */
  readonly executions: Pick<Executions, "succeed" | "fail">;
  /** Puts the run's artefacts together (functions/publish-artefacts.ts). */
  readonly publish?: (read: SummaryInput) => Promise<void>;
  /** What the dbt project says of its nodes; never throws. Absent: events go without it. */
  readonly readFacts?: (planKey: string) => Promise<NodeFacts | null>;
}

/** What follows a verdict never takes it back: what AWS refuses of it is told in the function's log. */
export async function afterVerdict({ run, events, read }: Verdict, deps: AfterVerdictDeps): Promise<void> {
  const { project, runId, executionArn, startedAtMs, state, settings, endedAtMs, verdict, tally } = run;
  await orTold(deps, `Not every task of run ${runId} could be closed`, () => closeTasks(run, deps));
  const lock = `The lock ${run.lockKey} of run ${runId} was not given back: the next run takes it over`;
  await orTold(deps, lock, () => giveLockBack(run, deps));
  const readOnce = onceRead(run, read, deps);
  await orTold(deps, `Not every consumer of run ${runId} was answered`, () => answerRest(run, readOnce, deps));
  const ends = {
    ...(endedAtMs === undefined ? {} : { endedAtMs }),
    ...(verdict === undefined ? {} : { verdict }),
    ...(tally === undefined ? {} : { tally }),
  };
  const index = { project, runId, executionArn, startedAtMs, state, round: run.round, ...ends };
  await orTold(deps, `Run ${runId} is not in the list of runs`, () =>
    deps.ledger.putRunIndex(index, settings.policy.ttlDays),
  );
  await orTold(deps, `Not all events of run ${runId} were published`, () => publishEvents(run, events, readOnce, deps));
  await publish(run, readOnce, deps);
}

type ReadRun = () => Promise<SummaryInput>;

/** All that the ledger has of the run, read by the first that needs it, where whoever gave the verdict has not read it. */
function onceRead(run: RunRow, known: SummaryInput | undefined, deps: AfterVerdictDeps): ReadRun {
  let read = known;
  return async () => {
    read ??= await readAll(run, deps);
    return { ...read, run };
  };
}

/** Last of all, since it waits for what containers bring after their ends; nothing that goes wrong with it is the run's. */
async function publish(run: RunRow, read: ReadRun, deps: AfterVerdictDeps): Promise<void> {
  if (deps.publish === undefined) return;
  try {
    await deps.publish(await read());
  } catch (error) {
    deps.warn(
      `The artefacts of run ${run.runId} are not put together (${String(error)}): those of its tasks are there.`,
    );
  }
}

/**
 * Consumers that wait for more than the run has said of their nodes: it says no more. One that has noted its token since
 * these rows were read, and looked while the run had no end, is found by a second look; one that notes it after that sees
 * the end itself.
 */
async function answerRest(run: RunRow, read: ReadRun, deps: AfterVerdictDeps): Promise<void> {
  const { plan, rows, tasks } = await read();
  if (plan === null) return;
  await answerConsumers({ run, plan, rows, tasks }, deps);
  // A consumer that polls notes nothing, and looks again in seconds.
  if (run.wait === undefined) return;
  const unheard = rows.filter(isUnheard).map(({ uniqueId }) => uniqueId);
  if (unheard.length === 0) return;
  const since = await deps.ledger.readSomeVertices(run, unheard);
  const now = new Map([...rows, ...since].map((row) => [row.uniqueId, row]));
  await answerConsumers({ run, plan, rows: [...now.values()], tasks }, deps, openWaits(since));
}

async function readEvents(read: ReadRun): Promise<WarningEvent[]> {
  const all = await read();
  return warningEvents(summarise(all), all.plan);
}

/**
 * Publishes what the run's summary warns of, once: by the mark on the run row when this is repeated. Events that
 * EventBridge does not take change neither the verdict nor how the execution ends: they stand in the summary.
 */
async function publishEvents(
  run: RunRow,
  known: WarningEvent[] | undefined,
  read: ReadRun,
  deps: AfterVerdictDeps,
): Promise<void> {
  if (run.eventsSentAtMs !== undefined) return;
  const events = known ?? (await readEvents(read));
  if (events.length === 0) return;
  try {
    const facts = (run.planKey && (await deps.readFacts?.(run.planKey))) || null;
    await deps.events.publish(events.map((event) => withMeaning(event, facts)));
  } catch (error) {
    deps.warn(
      `Not all of ${events.length} events of run ${run.runId} were published (${String(error)}). Its warnings stand in ${run.summaryKey}.`,
    );
    return;
  }
  await deps.ledger.markEventsSent(run, deps.nowMs());
}
