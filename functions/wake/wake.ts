import type { Executions } from "#clients/executions.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { WOKEN } from "#core/contracts/payloads.ts";
import { classOfStatus } from "#core/dbt/status.ts";
import { eachLimited } from "#core/limit.ts";
import { mayFollowAtOnce } from "#core/run/deciding/early-refusal.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import {
  consumersDue,
  consumersOf,
  isOpenTest,
  type OpenWait,
  openWaits,
  rowsOfConsumer,
  testsToWaitFor,
  waitsByItsRow,
} from "#core/run/watching/consumer.ts";
import type { LedgerChange } from "#core/run/watching/ledger-change.ts";
import { hasTurnsToSpare } from "#core/run/watching/spent-turns.ts";
import { type AnswerDeps, answerConsumers, type ReadRun } from "../answer-consumers.ts";
import { type About, aboutNothing, eachRun } from "../each-run.ts";
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
 */
export const wake = (changes: readonly LedgerChange[], deps: WakeDeps, about: About = aboutNothing): Promise<void> =>
  eachRun(changes, about, (ofRun) => wakeRun(ofRun, deps));

async function wakeRun(changes: readonly LedgerChange[], deps: WakeDeps): Promise<void> {
  const run = await deps.ledger.readRun(changes[0]!);
  if (run === null) return;
  // Without a noted wait it polls, as a run does that began before a deploy; its consumers may wait all the same.
  if (run.wait && changes.some((change) => concernsRun(change, run))) await endWait(run, run.wait, deps);
  await tellConsumers(run, changes, deps);
}

const ALWAYS: ReadonlySet<LedgerChange["kind"]> = new Set(["task over", "plan told", "stop", "marked"]);

type VertexChange = Extract<LedgerChange, { kind: "vertex" }>;

/** What the run's loop may decide about. A failure alone only where it is repaired beside the build (`recovery: early`). */
function concernsRun(change: LedgerChange, { settings }: RunRow): boolean {
  if (ALWAYS.has(change.kind)) return true;
  if (change.kind !== "vertex" || change.is !== "ended" || settings.policy.recovery !== "early") return false;
  return classOfStatus(change.status ?? "") !== "good";
}

/**
 * Whether the last word is among these that was missing of a fallback which has made all of its vertices good: it is
 * done, whatever its dbt has to do yet, and what it gates need not wait for its end.
 */
async function isFallbackDone(
  changes: readonly VertexChange[],
  { run, plan, rows, tasks }: ReadRun,
  { ledger }: WakeDeps,
): Promise<boolean> {
  const running = tasks.filter(({ kind, state }) => kind === "fallback" && state === "running").filter(isNamedWhole);
  if (running.length === 0 || !mayFollowAtOnce(plan, run.settings.policy)) return false;
  const rowOf = new Map(rows.map((row) => [row.uniqueId, row]));
  for (const { task, setSample } of running) {
    const told = changes.filter(({ uniqueId }) => setSample.includes(uniqueId));
    if (!told.some(({ is }) => is === "ended") || !gatesOthers(plan, setSample)) continue;
    const others = setSample.filter((id) => !rowOf.has(id));
    const read = others.length === 0 ? [] : await ledger.readSomeVertices(run, others);
    for (const row of read) rowOf.set(row.uniqueId, row);
    const set = setSample.map((id) => rowOf.get(id));
    if (!set.every((row) => row?.statusTask === task && classOfStatus(row.status ?? "") === "good")) continue;
    const lastMs = Math.max(...set.map((row) => row?.endedAtMs ?? 0));
    if (told.some(({ uniqueId }) => rowOf.get(uniqueId)?.endedAtMs === lastMs)) return true;
  }
  return false;
}

/** The task's row names all of its vertices: of a large set it names the first. */
const isNamedWhole = ({ setSize, setSample }: TaskRow): boolean => setSize === setSample.length;

const gatesOthers = (plan: Plan, set: readonly string[]): boolean =>
  plan.vertices.some(
    ({ uniqueId, gateParents }) => !set.includes(uniqueId) && gateParents.some((id) => set.includes(id)),
  );

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
  const round = roundOf(run, plan);
  // What has only begun is no word on a consumer; in a further round it is still to be told from what an earlier began.
  const isWord = planned || vertices.some(({ is }) => is !== "started");
  // Tasks before rows: a task that is seen as over is seen with all of its statuses (behaviour F12).
  const tasks = isWord || round.goesOn ? await deps.ledger.readTasks(run) : [];
  const concerned = consumersOf(plan, vertices);
  const ids = [...new Set([...vertices.map(({ uniqueId }) => uniqueId), ...concerned])];
  const rows = planned ? await deps.ledger.readVertices(run) : await deps.ledger.readSomeVertices(run, ids);
  if (run.wait && (await isFallbackDone(vertices, { run, plan, rows, tasks }, deps)))
    await endWait(run, run.wait, deps);
  if (run.state === "running") {
    const due = consumersDue(plan, rows, run.settings.policy.testBehavior, round, tasks);
    await startConsumers(run, due, deps);
  }
  if (!isWord) return;
  const waits = run.state === "running" ? await withoutOpenTests(run, plan, rows, deps) : openWaits(rows);
  const known = new Set(rows.map(({ uniqueId }) => uniqueId));
  const near = waits.flatMap(({ uniqueId }) => rowsOfConsumer(plan, uniqueId)).filter((id) => !known.has(id));
  const more = near.length === 0 ? [] : await deps.ledger.readSomeVertices(run, near);
  await answerConsumers({ run, plan, rows: [...rows, ...more], tasks }, deps, waits);
}

/** Tests that are looked at first, and then twice as many each time. */
const FIRST_TESTS = 8;

/** Consumers whose tests are looked at, at once. */
const LOOKS_AT_ONCE = 10;

/**
 * The consumers that may have a word. Of one with many tests, as a dimension has of which each fact has a relationships
 * test, all rows are read when its last test ends, not each time that one does: reads would grow by the square.
 */
async function withoutOpenTests(
  run: RunRow,
  plan: Plan,
  rows: readonly VertexRow[],
  { ledger }: WakeDeps,
): Promise<OpenWait[]> {
  const rowOf = new Map<string, VertexRow | undefined>(rows.map((row) => [row.uniqueId, row]));
  const isOpen = (id: string) => rowOf.has(id) && isOpenTest(rowOf.get(id));
  const left: OpenWait[] = [];
  await eachLimited(openWaits(rows), LOOKS_AT_ONCE, async (wait) => {
    const node = rowOf.get(wait.uniqueId);
    if (node !== undefined && waitsByItsRow(node)) return;
    const tests = testsToWaitFor(plan, wait, run.settings.policy.testBehavior);
    // A last word on it, or on a test of it, may be one on its consumer, whatever the other tests say.
    const isClosed = (id: string) => rowOf.get(id)?.final !== undefined;
    if ([wait.uniqueId, ...tests].some(isClosed)) return void left.push(wait);
    for (let from = 0, step = FIRST_TESTS; !tests.some(isOpen); from += step, step *= 2) {
      if (from >= tests.length) return void left.push(wait);
      const ids = tests.slice(from, from + step).filter((id) => !rowOf.has(id));
      const read = new Map((await ledger.readSomeVertices(run, ids)).map((row) => [row.uniqueId, row]));
      for (const id of ids) rowOf.set(id, read.get(id));
    }
  });
  return left;
}
