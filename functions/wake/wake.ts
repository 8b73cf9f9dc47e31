import type { Executions } from "#clients/executions.ts";
import type { Ledger, RunKey } from "#clients/ledger.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { WOKEN } from "#core/contracts/payloads.ts";
import { classOfStatus } from "#core/dbt/status.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { consumersDue, consumersOf, openWaits, rowsOfConsumer } from "#core/run/watching/consumer.ts";
import type { LedgerChange } from "#core/run/watching/ledger-change.ts";
import { hasTurnsToSpare } from "#core/run/watching/spent-turns.ts";
import { type AnswerDeps, answerConsumers } from "../answer-consumers.ts";
import { type StartConsumersDeps, startConsumers } from "../start-consumers.ts";

export interface WakeDeps extends AnswerDeps, StartConsumersDeps {
  readonly ledger: Pick<
    Ledger,
    "readRun" | "readTasks" | "readVertices" | "readSomeVertices" | "markConsumerStarted" | "setOutcome"
  >;
  readonly executions: Pick<Executions, "start" | "succeed" | "fail">;
  readonly readPlan: (planKey: string) => Promise<Plan | null>;
  readonly nowMs: () => number;
}

/**
 * Tells those who wait what has changed: starts the consumers of nodes that dbt has just reached, answers those whose
 * nodes have their last word, ends the wait of the run's loop where it has something to decide. It decides nothing, and
 * what it does twice, late or not at all is made up for by the run's next look. Changes of one run are taken together.
 * @param about says of which run the lines of the function's log are
 */
export async function wake(
  changes: readonly LedgerChange[],
  deps: WakeDeps,
  about: (run: RunKey, work: () => Promise<void>) => Promise<void> = (_, work) => work(),
): Promise<void> {
  for (const ofRun of byRun(changes)) await about(keyOf(ofRun), () => wakeRun(ofRun, deps));
}

const keyOf = ([first]: readonly LedgerChange[]): RunKey => ({ project: first!.project, runId: first!.runId });

function byRun(changes: readonly LedgerChange[]): LedgerChange[][] {
  const runs = new Map<string, LedgerChange[]>();
  for (const change of changes) {
    const key = JSON.stringify([change.project, change.runId]);
    const known = runs.get(key);
    if (known) known.push(change);
    else runs.set(key, [change]);
  }
  return [...runs.values()];
}

async function wakeRun(changes: readonly LedgerChange[], deps: WakeDeps): Promise<void> {
  const run = await deps.ledger.readRun(keyOf(changes));
  if (run === null) return;
  // Without a noted wait it polls, as a run does that began before a deploy; its consumers may wait all the same.
  if (run.wait && changes.some((change) => concernsRun(change, run))) await endWait(run, run.wait, deps);
  await tellConsumers(run, changes, deps);
}

/** What the run's loop may decide about. A failure alone only where it is repaired beside the build (`recovery: early`). */
function concernsRun(change: LedgerChange, { settings }: RunRow): boolean {
  if (change.kind === "task over" || change.kind === "plan told" || change.kind === "stop") return true;
  if (change.kind !== "vertex" || change.is !== "ended" || settings.policy.recovery !== "early") return false;
  return classOfStatus(change.status ?? "") !== "good";
}

/** The loop looks again at once; a wait that is over by itself is none. */
async function endWait(run: RunRow, wait: NonNullable<RunRow["wait"]>, deps: WakeDeps): Promise<void> {
  const { state, readyAtMs } = run;
  if (state !== "running" || readyAtMs !== undefined) return;
  if (!hasTurnsToSpare(run, deps.nowMs(), wait.averageSeconds)) return;
  await deps.executions.fail(wait.token, { name: WOKEN, cause: "Something has happened that it decides about." });
}

async function tellConsumers(run: RunRow, changes: readonly LedgerChange[], deps: WakeDeps): Promise<void> {
  const plan = run.planKey === undefined ? null : await deps.readPlan(run.planKey);
  if (plan === null) return;
  const planned = changes.some(({ kind }) => kind === "planned");
  const vertices = changes.filter((change) => change.kind === "vertex");
  if (!planned && vertices.length === 0) return;
  // Tasks before rows: a task that is seen as over is seen with all of its statuses (behaviour F12).
  const tasks = await deps.ledger.readTasks(run);
  const concerned = consumersOf(plan, vertices);
  const ids = [...new Set([...vertices.map(({ uniqueId }) => uniqueId), ...concerned])];
  const rows = planned ? await deps.ledger.readVertices(run) : await deps.ledger.readSomeVertices(run, ids);
  if (run.state === "running") {
    const due = consumersDue(plan, rows, run.settings.policy.testBehavior, roundOf(run, plan), tasks);
    await startConsumers(run, due, deps);
  }
  const waits = openWaits(rows);
  const known = new Set(rows.map(({ uniqueId }) => uniqueId));
  const near = waits.flatMap(({ uniqueId }) => rowsOfConsumer(plan, uniqueId)).filter((id) => !known.has(id));
  const more = near.length === 0 ? [] : await deps.ledger.readSomeVertices(run, near);
  await answerConsumers({ run, plan, rows: [...rows, ...more], tasks }, deps, waits);
}
