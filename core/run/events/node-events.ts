import type { EventOf } from "#core/contracts/events.ts";
import type { RunRow, TaskRow, ToldAs, VertexRow } from "#core/contracts/ledger.ts";
import { classOfStatus } from "#core/dbt/status.ts";
import { givenUp } from "#core/run/deciding/retry-rule.ts";
import { cut, type EventOrigin, factsIn, vertexHead } from "#core/run/events/event-facts.ts";
import { FIRST_ROUND, roundOf } from "#core/run/judging/rounds.ts";
import { isFailure, type VertexView } from "#core/run/judging/vertex-view.ts";
import type { NodeFacts } from "#core/run/planning/node-facts.ts";
import type { Plan } from "#core/run/planning/plan.ts";

/** What the events of one run's vertices are made of. */
export interface NodeEventContext extends EventOrigin {
  readonly run: RunRow;
  readonly plan: Plan;
  readonly tasks: readonly TaskRow[];
  readonly facts: NodeFacts | null;
}

const iso = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());

/** Nodes of one test that an event names. */
const MOST_NODES = 50;

const taskOf = ({ tasks }: NodeEventContext, row: VertexRow | null): TaskRow | null =>
  tasks.find(({ task }) => task === row?.statusTask) ?? null;

function head(view: VertexView, context: NodeEventContext, about: string) {
  const task = taskOf(context, view.row);
  return vertexHead(context.run, view.plan, { ...context, task }, about);
}

/** What an event says of a failure: what it found, in dbt's words. */
function failureOf({ plan, row, allTries }: VertexView) {
  return {
    status: row?.status ?? null,
    message: row?.message === undefined ? null : cut(row.message),
    tries: allTries,
    failures: row?.failures ?? null,
    relation: row?.relation ?? null,
    on: plan.nodes.slice(0, MOST_NODES),
  };
}

/** The round that a run's own policy opens after this one, if nobody asks for another. */
const automaticRound = (run: RunRow) => ({
  ...FIRST_ROUND,
  number: run.round + 1,
  goesOn: true,
  automatic: true,
});

function hasAutomaticRoundLeft({ rounds = [], opening, settings }: RunRow): boolean {
  const used = [...rounds.map((past) => past.opening), opening].filter((one) => one?.by === "run_retry").length;
  return used < settings.policy.runRetries;
}

/**
 * What is to be told of a vertex that dbt has just called failed: that it is tried again, or why it is not. Null: nothing,
 * since its word does not count (any more). The rule is the decision maker's own, asked before it decides.
 */
export function failureTold(
  view: VertexView,
  { run, plan }: Pick<NodeEventContext, "run" | "plan">,
): { readonly as: "retry" } | { readonly as: "failed"; readonly reason: string } | null {
  if (!isFailure(view) || view.marked) return null;
  const { policy } = run.settings;
  const reason = givenUp(view, policy, roundOf(run, plan));
  if (reason === null) return { as: "retry" };
  if (!hasAutomaticRoundLeft(run)) return { as: "failed", reason };
  const later = givenUp({ ...view, carried: true, tries: 0 }, policy, automaticRound(run));
  return later === null ? { as: "retry" } : { as: "failed", reason: later };
}

/** It failed, and is built again: by this run, or by the round that follows by itself. */
export function retryPendingEvent(view: VertexView, context: NodeEventContext, atMs: number): EventOf<"Retry pending"> {
  const about = `retry pending ${view.row?.statusTask ?? 0}`;
  const detail = { ...head(view, context, about), ...failureOf(view) };
  return { detailType: "Retry pending", atMs, executionArn: context.run.executionArn, detail };
}

/** A root cause that is not tried again. */
export function nodeFailedEvent(
  view: VertexView,
  context: NodeEventContext,
  { reason, gates, atMs }: { readonly reason: string | null; readonly gates: number; readonly atMs: number },
): EventOf<"Node failed"> {
  const detail = { ...head(view, context, "node failed"), ...failureOf(view), reason, gates };
  return { detailType: "Node failed", atMs, executionArn: context.run.executionArn, detail };
}

/** What it was told as before, where it is good by now; null for anything else. */
export function recoveredFrom(view: VertexView): ToldAs | null {
  const told = view.row?.toldAs;
  return view.class === "good" && told !== undefined && told.as !== "recovered" ? told : null;
}

/** It failed, as an event has told, and is good. */
export function nodeRecoveredEvent(
  view: VertexView,
  context: NodeEventContext,
  told: ToldAs,
  atMs: number,
): EventOf<"Node recovered"> {
  const detail = {
    ...head(view, context, `node recovered ${told.round} ${told.task}`),
    status: view.row?.status ?? null,
    tries: view.allTries,
    after: told.as === "failed" ? ("failed" as const) : ("retry" as const),
    on: view.plan.nodes.slice(0, MOST_NODES),
  };
  return { detailType: "Node recovered", atMs, executionArn: context.run.executionArn, detail };
}

/** Words of a vertex that is good and that dbt has built nothing for. */
const NOTHING_BUILT: ReadonlySet<string> = new Set(["reused", "no-op"]);

/** Whether this run has built the vertex's table: not by a person's word, nor by what dbt reused, nor in an older run. */
export function isUpdated(view: VertexView, { tasks }: Pick<NodeEventContext, "tasks">): boolean {
  const { row, marked } = view;
  if (view.class !== "good" || marked || row?.evidence !== true || row.status === undefined) return false;
  if (classOfStatus(row.status) !== "good" || NOTHING_BUILT.has(row.status.trim().toLowerCase())) return false;
  return (tasks.find(({ task }) => task === row.statusTask)?.round ?? 0) > 0;
}

/** A table was built, and its tests are good. The id is of that build, whatever round says that it is good. */
export function datasetUpdatedEvent(
  view: VertexView,
  context: NodeEventContext,
  atMs: number,
): EventOf<"Dataset updated"> {
  const facts = factsIn(context.facts, view.plan.uniqueId);
  const built = taskOf(context, view.row);
  const ofBuild = { ...context.run, round: Math.max(1, built?.round ?? context.run.round) };
  const { id } = vertexHead(ofBuild, view.plan, { ...context, task: built }, `dataset ${view.row?.statusTask ?? 0}`);
  const detail = {
    ...head(view, context, "dataset"),
    id,
    relation: facts.relation ?? view.row?.relation ?? null,
    columns: facts.columns ?? [],
    rowsAffected: view.row?.rowsAffected ?? null,
    startedAt: iso(view.row?.startedAtMs),
    endedAt: iso(view.row?.endedAtMs),
    inputs: facts.inputs ?? [],
  };
  return { detailType: "Dataset updated", atMs, executionArn: context.run.executionArn, detail };
}
