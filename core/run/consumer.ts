import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { ConsumerPart } from "#core/contracts/payloads.ts";
import type { Policy } from "#core/contracts/settings.ts";
import type { Plan } from "#core/run/plan.ts";
import { hasConsumer } from "#core/run/plan.ts";
import { planIndex } from "#core/run/plan-index.ts";
import { isFailure, type VertexView, viewVertices } from "#core/run/vertex-view.ts";

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
 * Consumers whose node (or, `after_each`, one of whose data tests) dbt has reached, by first evidence of a try, and that
 * have not been started.
 */
export function consumersDue(
  plan: Plan,
  rows: readonly VertexRow[],
  behavior: Policy["testBehavior"],
): { readonly uniqueId: string; readonly part: ConsumerPart }[] {
  const reached = new Map(rows.filter((row) => row.tryTasks.length > 0).map((row) => [row.uniqueId, row]));
  const nodes = plan.vertices.filter(hasConsumer);
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
  const views = viewVertices(nearPlan, rows, tasks);
  const node = views.get(uniqueId);
  if (!node) return red(null, `${uniqueId} is not in the plan of run ${run.runId}.`);
  if (node.class === "skipped") return { state: "skipped", status: "skipped", tries: node.tries, notes: [] };
  if (node.row?.final) return red(node, lastWord(node));
  if (node.class !== "good") return overWithoutWord(node, run);
  const counted = testsOfPart(plan, uniqueId, part, run.settings.policy.testBehavior);
  const tests = counted.map((id) => views.get(id)!);
  const failed = tests.find(isFailedForGood);
  if (failed) return red(node, `Its test ${failed.plan.uniqueId} is not good: ${lastWord(failed)}`);
  const open = tests.find((test) => !settled(test, node));
  if (open) return run.state === "running" ? waiting : red(node, `Its test ${open.plan.uniqueId} has no result.`);
  return { state: "green", status: statusWord(node), tries: node.tries, notes: notesOf(tests) };
}

const statusWord = (view: VertexView | null): string => view?.row?.status ?? "none";

const red = (view: VertexView | null, message: string): ConsumerAnswer => ({
  state: "red",
  status: statusWord(view),
  tries: view?.tries ?? 0,
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
