import type { ConsumerWait, RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { ConsumerPart } from "#core/contracts/payloads.ts";
import type { Policy } from "#core/contracts/settings.ts";
import { classOfStatus, isTerminal } from "#core/dbt/status.ts";
import { earlierTasks, FIRST_ROUND, type Round, roundOf } from "#core/run/judging/rounds.ts";
import { isFailure, type VertexView, viewVertices } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { hasConsumer } from "#core/run/planning/plan.ts";
import { planIndex } from "#core/run/planning/plan-index.ts";

/** What a consumer says of its node, or that it can not say anything yet. */
export type ConsumerAnswer =
  | { readonly state: "waiting" }
  | {
      readonly state: "green" | "skipped";
      readonly status: string;
      readonly tries: number;
      readonly notes: readonly string[];
    }
  | { readonly state: "red"; readonly status: string; readonly tries: number; readonly message: string };

const waiting: ConsumerAnswer = { state: "waiting" };

/** The vertices whose rows a consumer must read: its node, the node's planned tests, and the gate parents of all (F10). */
export function rowsOfConsumer(plan: Plan, uniqueId: string): string[] {
  const { vertexOf } = planIndex(plan);
  const ids = new Set([uniqueId, ...testsOf(plan, uniqueId)]);
  for (const id of [...ids]) for (const parent of vertexOf.get(id)?.gateParents ?? []) ids.add(parent);
  return [...ids];
}

/**
 * Whether the node's own row says that its consumer waits while the run runs, whatever stands in any other row: dbt's last
 * word on it is not good, and nobody has given a last word or a mark. {@link consumerAnswer} says the same by the plan, the
 * tasks and the rows around the node, which need not be read then.
 */
export function waitsByItsRow({ status, final, mark }: VertexRow): boolean {
  if (status === undefined || final !== undefined || mark !== undefined) return false;
  return !isTerminal(status) || classOfStatus(status) !== "good";
}

/** The planned tests of a node, unit tests included. A test over several nodes counts for each of them (C2). */
export const testsOf = (plan: Plan, uniqueId: string): string[] =>
  (planIndex(plan).testsOf.get(uniqueId) ?? []).map((vertex) => vertex.uniqueId);

/**
 * The tests that one consumer answers for. `build`: the node's counts for all of them (C5). `after_each`: the data tests
 * have a consumer of their own (C6). `after_all`: they follow all nodes and count for none (C7).
 */
function testsOfPart(plan: Plan, uniqueId: string, part: ConsumerPart, behavior: Policy["testBehavior"]): string[] {
  const tests = (planIndex(plan).testsOf.get(uniqueId) ?? []).filter((vertex) => !vertex.deferred);
  const isOfPart = (type: string) => behavior !== "after_each" || (type === "test") === (part === "tests");
  return tests.filter((test) => isOfPart(test.resourceType)).map((test) => test.uniqueId);
}

/**
 * The tests without whose word a consumer has none, in an order that has nothing to do with the one in which dbt runs
 * them: so a look from the first one on soon finds one that is open, if many are. A generic test's name ends in a hash.
 */
export function testsToWaitFor(plan: Plan, { uniqueId, part }: OpenWait, behavior: Policy["testBehavior"]): string[] {
  const place = (id: string) => id.slice(id.lastIndexOf(".") + 1);
  const counted = testsOfPart(plan, uniqueId, part, behavior);
  return counted.sort((a, b) => (place(a) < place(b) ? -1 : 1));
}

/** Whether a test keeps the consumers of its nodes waiting while the run runs, by its own row or that it has none. */
export const isOpenTest = (row: VertexRow | undefined): boolean => row === undefined || waitsByItsRow(row);

/**
 * Consumers whose node (or, `after_each`, one of whose data tests) dbt has reached, by first evidence of a try, and that
 * have not been started. In a further round also those one of whose tests it has reached: the node itself stays good.
 */
export function consumersDue(
  plan: Plan,
  allRows: readonly VertexRow[],
  behavior: Policy["testBehavior"],
  round: Round = FIRST_ROUND,
  tasks: readonly TaskRow[] = [],
): { readonly uniqueId: string; readonly part: ConsumerPart }[] {
  const rows = allRows.map((row) => startedIn(row, round));
  const isEarlier = earlierTasks(tasks, round);
  const isReached = (row: VertexRow) => row.tryTasks.some((task) => !isEarlier(task));
  const reached = new Map(rows.filter(isReached).map((row) => [row.uniqueId, row]));
  const nodes = plan.vertices.filter(hasConsumer);
  if (round.goesOn) reachByTests(plan, rows, reached);
  const due = nodes.filter(({ uniqueId }) => reached.has(uniqueId) && !reached.get(uniqueId)?.consumerStartedAtMs);
  const ofNodes = due.map(({ uniqueId }) => ({ uniqueId, part: "node" as const }));
  if (behavior !== "after_each") return ofNodes;
  const tested = new Set(
    plan.vertices
      .filter((vertex) => vertex.resourceType === "test" && reached.has(vertex.uniqueId))
      .flatMap((test) => test.nodes),
  );
  const ofTests = nodes.filter(
    ({ uniqueId }) => tested.has(uniqueId) && reached.has(uniqueId) && !reached.get(uniqueId)?.testsConsumerStartedAtMs,
  );
  return [...ofNodes, ...ofTests.map(({ uniqueId }) => ({ uniqueId, part: "tests" as const }))];
}

/** A consumer of an earlier round is none of this one, unless it was redriven and waits for it. */
function startedIn(row: VertexRow, { number }: Round): VertexRow {
  const { consumerStartedAtMs, testsConsumerStartedAtMs, ...rest } = row;
  const isOf = (round = 1, redriven: VertexRow["redriven"]) => round >= number || redriven?.round === number - 1;
  const ofNode = isOf(row.consumerRound, row.redriven) ? { consumerStartedAtMs } : {};
  const ofTests = isOf(row.testsConsumerRound, row.testsRedriven) ? { testsConsumerStartedAtMs } : {};
  return { ...rest, ...ofNode, ...ofTests };
}

/** Nodes whose result a test of this round may change. */
function reachByTests(plan: Plan, rows: readonly VertexRow[], reached: Map<string, VertexRow>): void {
  const rowOf = new Map(rows.map((row) => [row.uniqueId, row]));
  const tested = plan.vertices.filter(({ uniqueId, deferred }) => !deferred && reached.has(uniqueId));
  for (const node of tested.flatMap(({ nodes }) => nodes)) {
    const row = rowOf.get(node);
    if (row && !reached.has(node)) reached.set(node, row);
  }
}

/** The nodes whose consumers may have a word by these changes: that of a test may be a word on each node it tests. */
export function consumersOf(plan: Plan, changes: readonly { readonly uniqueId: string }[]): string[] {
  const { vertexOf } = planIndex(plan);
  const changed = changes.flatMap(({ uniqueId }) => vertexOf.get(uniqueId) ?? []);
  return [...new Set(changed.flatMap((vertex) => (hasConsumer(vertex) ? [vertex.uniqueId] : vertex.nodes)))];
}

/** A consumer that waits for a word on its node. */
export interface OpenWait {
  readonly uniqueId: string;
  readonly part: ConsumerPart;
  readonly wait: ConsumerWait;
}

/** The consumers that wait, by these rows: those whose turn is noted, and that have not ended since. */
export function openWaits(rows: readonly VertexRow[]): OpenWait[] {
  const isOpen = (wait: ConsumerWait | undefined, outcome: unknown, round: number | undefined) =>
    wait !== undefined && (outcome === undefined || (round ?? 1) < wait.round);
  return rows.flatMap(({ uniqueId, ...row }) => [
    ...(isOpen(row.wait, row.outcome, row.outcomeRound) ? [{ uniqueId, part: "node" as const, wait: row.wait! }] : []),
    ...(isOpen(row.testsWait, row.testsOutcome, row.testsOutcomeRound)
      ? [{ uniqueId, part: "tests" as const, wait: row.testsWait! }]
      : []),
  ]);
}

/** One of its consumers was started, and has in its round neither noted how it waits nor ended. */
export function isUnheard(row: VertexRow): boolean {
  const { consumerStartedAtMs, consumerRound, wait, outcome, outcomeRound } = row;
  const { testsConsumerStartedAtMs, testsConsumerRound, testsWait, testsOutcome, testsOutcomeRound } = row;
  return (
    isSilent([consumerStartedAtMs, consumerRound], [wait, wait?.round], [outcome, outcomeRound]) ||
    isSilent(
      [testsConsumerStartedAtMs, testsConsumerRound],
      [testsWait, testsWait?.round],
      [testsOutcome, testsOutcomeRound],
    )
  );
}

/** Something that a row may have, and of which round; rounds are 1 where none is named. */
type OfRound = readonly [thing: unknown, round: number | undefined];

function isSilent([started, startedIn = 1]: OfRound, ...heard: readonly OfRound[]): boolean {
  return started !== undefined && heard.every(([thing, round = 1]) => thing === undefined || round < startedIn);
}

/**
 * The consumer's mirror of the ledger: it decides nothing (behaviour F1, F2, C1, C3, F5, F7). Green when the node and
 * each test that counts for it are good, each test later than the node's last build; a test that can never run because
 * another parent is not good does not hold the node. Red by the decision maker's last word alone, never before it.
 */
export function consumerAnswer(
  plan: Plan,
  uniqueId: string,
  rows: readonly VertexRow[],
  tasks: readonly TaskRow[],
  run: RunRow,
  part: ConsumerPart = "node",
): ConsumerAnswer {
  const { vertexOf } = planIndex(plan);
  const near = rowsOfConsumer(plan, uniqueId).flatMap((id) => vertexOf.get(id) ?? []);
  const nearPlan: Plan = { ...plan, vertices: near };
  const views = viewVertices(nearPlan, rows, tasks, roundOf(run, plan));
  const node = views.get(uniqueId);
  if (!node) return red(null, `${uniqueId} is not in the plan of run ${run.runId}.`);
  if (node.class === "skipped") return { state: "skipped", status: "skipped", tries: node.allTries, notes: [] };
  if (node.row?.final) return red(node, lastWord(node));
  if (node.class !== "good") return overWithoutWord(node, run);
  const counted = testsOfPart(plan, uniqueId, part, run.settings.policy.testBehavior);
  const tests = counted.map((id) => views.get(id)!);
  const failed = tests.find(isFailedForGood);
  if (failed) return red(node, `Its test ${failed.plan.uniqueId} is not good: ${lastWord(failed)}`);
  const open = tests.find((test) => !settled(test, node));
  if (open) return run.state === "running" ? waiting : red(node, `Its test ${open.plan.uniqueId} has no result.`);
  return { state: "green", status: statusWord(node), tries: node.allTries, notes: notesOf(tests) };
}

/**
 * What another try of a red consumer's node is for: the node, or the tests that make it red although it is good itself
 * (behaviour C12, F14).
 */
export function redoneFor(
  plan: Plan,
  uniqueId: string,
  rows: readonly VertexRow[],
  tasks: readonly TaskRow[],
  run: RunRow,
  part: ConsumerPart,
): string[] {
  const { vertexOf } = planIndex(plan);
  const near = rowsOfConsumer(plan, uniqueId).flatMap((id) => vertexOf.get(id) ?? []);
  const views = viewVertices({ ...plan, vertices: near }, rows, tasks, roundOf(run, plan));
  if (views.get(uniqueId)?.class !== "good") return [uniqueId];
  const counted = testsOfPart(plan, uniqueId, part, run.settings.policy.testBehavior);
  const red = counted.filter((id) => views.get(id)?.class !== "good");
  return red.length > 0 ? red : [uniqueId];
}

const statusWord = (view: VertexView | null): string => view?.row?.status ?? "none";

const red = (view: VertexView | null, message: string): ConsumerAnswer => ({
  state: "red",
  status: statusWord(view),
  tries: view?.allTries ?? 0,
  message,
});

const lastWord = (view: VertexView): string => [view.row?.message, view.row?.finalReason].filter(Boolean).join("\n");

const overWithoutWord = (node: VertexView, run: RunRow): ConsumerAnswer =>
  run.state === "running"
    ? waiting
    : red(node, `The run ended (${run.state}) before its node had a result. ${run.verdict ?? ""}`.trim());

/** `dead` counts whatever the class: a task that has ended since the tasks were read, before the rows, looks alive. */
const isFailedForGood = (view: VertexView): boolean =>
  view.row?.final === "dead" || (view.row?.final !== undefined && isFailure(view));

/** Good and later than the node's last build, or never to be run because of another parent. */
function settled(test: VertexView, node: VertexView): boolean {
  if (test.row?.final) return true;
  return test.class === "good" && (test.plan.resourceType === "unit_test" || laterThan(test, node));
}

/** Ends are compared by task first: clocks of two containers may differ, task numbers never do. */
function laterThan(test: VertexView, node: VertexView): boolean {
  const testTask = test.row?.statusTask ?? 0;
  const nodeTask = node.row?.statusTask ?? 0;
  return testTask > nodeTask || (testTask === nodeTask && test.endedAtMs >= (node.row?.startedAtMs ?? 0));
}

/** Of a consumer's output, which Step Functions takes up to 256 KiB: 50 notes of at most 2,000 characters are 200 kB. */
const MOST_NOTES = 50;
const NOTE_CHARACTERS = 2_000;

function notesOf(tests: readonly VertexView[]): string[] {
  const warned = tests
    .filter((test) => test.row?.status === "warn")
    .map((test) => `Warning of ${test.plan.uniqueId}: ${test.row?.message ?? "warn"}`);
  const never = tests
    .filter((test) => test.row?.final)
    .map((test) => `${test.plan.uniqueId} was not run: ${test.row?.finalReason ?? ""}`);
  const notes = [...warned, ...never];
  const told = notes.slice(0, MOST_NOTES).map((note) => note.slice(0, NOTE_CHARACTERS));
  return notes.length <= MOST_NOTES ? told : [...told, `${notes.length - MOST_NOTES} more: see the run's status.`];
}
