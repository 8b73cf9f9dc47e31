import type { Artefacts } from "#clients/artefacts.ts";
import type { Events } from "#clients/events.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { RunEvent } from "#core/contracts/events.ts";
import type { RunRow, ToldAs } from "#core/contracts/ledger.ts";
import { ObjectTooLarge } from "#core/errors.ts";
import type { EventChange } from "#core/run/events/event-change.ts";
import type { EventOrigin } from "#core/run/events/event-facts.ts";
import {
  datasetUpdatedEvent,
  failureTold,
  isUpdated,
  type NodeEventContext,
  nodeFailedEvent,
  nodeRecoveredEvent,
  recoveredFrom,
  retryPendingEvent,
} from "#core/run/events/node-events.ts";
import { runEndedEvent, runStartedEvent } from "#core/run/events/run-events.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import { type VertexView, viewVertices } from "#core/run/judging/vertex-view.ts";
import type { NodeFacts } from "#core/run/planning/node-facts.ts";
import { hasConsumer, type Plan } from "#core/run/planning/plan.ts";
import { planIndex } from "#core/run/planning/plan-index.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { testsOf } from "#core/run/watching/consumer.ts";
import { requestedStop } from "#core/run/watching/stop-reason.ts";
import { type About, aboutNothing, eachRun } from "../each-run.ts";

export interface PublishDeps extends EventOrigin {
  readonly ledger: Pick<Ledger, "readRun" | "readTasks" | "readSomeVertices" | "markToldAs">;
  readonly events: Events;
  readonly artefacts: Pick<Artefacts, "getJson">;
  readonly readPlan: (planKey: string) => Promise<Plan | null>;
  readonly readFacts: (planKey: string) => Promise<NodeFacts | null>;
  /** Whether an event tells of each table that is built. */
  readonly datasets: boolean;
}

/** An event, and what its vertex is marked with once it is out. */
interface Telling {
  readonly event: RunEvent;
  readonly mark?: { readonly uniqueId: string; readonly toldAs: ToldAs };
}

/** A summary of a run of 70,000 vertices is half of it. */
const MOST_SUMMARY_BYTES = 200 * 1024 * 1024;

/**
 * Tells of what has changed in the ledger, in events that people may match on. Called by the table's stream: what a call
 * that died had published comes again under the same ids. It decides nothing, and no run waits for it.
 */
export async function publish(
  changes: readonly EventChange[],
  deps: PublishDeps,
  about: About = aboutNothing,
): Promise<void> {
  await eachRun(changes, about, async (ofRun) => {
    const told = await tellingsOf(ofRun, deps);
    if (told.length === 0) return;
    await deps.events.publish(told.map(({ event }) => event));
    for (const { mark } of told) if (mark) await deps.ledger.markToldAs(ofRun[0]!, mark.uniqueId, mark.toldAs);
  });
}

async function tellingsOf(changes: readonly EventChange[], deps: PublishDeps): Promise<Telling[]> {
  const started = changes.flatMap((change) =>
    change.kind === "run started" ? [{ event: runStartedEvent(change.run, deps) }] : [],
  );
  const ends = changes.filter((change) => change.kind === "run ended");
  const ofVertices = changes.filter((change) => change.kind === "vertex failed" || change.kind === "node ended");
  const told = ofVertices.length === 0 ? [] : await tellOfVertices(ofVertices, deps);
  const isTold = new Set(told.flatMap(({ mark }) => (mark?.toldAs.as === "failed" ? [mark.uniqueId] : [])));
  const ended: Telling[] = [];
  for (const { run, atMs } of ends) ended.push(...(await tellOfEnd(run, { atMs, isTold }, deps)));
  return [...started, ...told, ...ended];
}

/** What is said of single vertices while a run goes on, and of consumers that are answered after its end. */
async function tellOfVertices(
  changes: readonly Extract<EventChange, { uniqueId: string }>[],
  deps: PublishDeps,
): Promise<Telling[]> {
  const run = await deps.ledger.readRun(changes[0]!);
  const context = run === null ? null : await contextOf(run, deps);
  if (context === null) return [];
  const { plan } = context;
  const { vertexOf } = planIndex(plan);
  const near = (change: (typeof changes)[number]) =>
    change.kind === "vertex failed"
      ? (vertexOf.get(change.uniqueId)?.gateParents ?? [])
      : testsOf(plan, change.uniqueId);
  const ids = new Set(changes.flatMap((change) => [change.uniqueId, ...near(change)]));
  const views = await viewsOf(ids, context, deps);
  const known = new Set<string>();
  return changes
    .flatMap((change) => {
      const view = views.get(change.uniqueId);
      if (view === undefined) return [];
      if (change.kind === "vertex failed") return failureTelling(view, change, context);
      return nodeTellings(view, change, { context, views, datasets: deps.datasets });
    })
    .filter(({ event }) => {
      const id = "id" in event.detail ? event.detail.id : "";
      return known.size < known.add(id).size;
    });
}

function failureTelling(
  view: VertexView,
  { task, atMs }: Extract<EventChange, { kind: "vertex failed" }>,
  context: NodeEventContext,
): Telling[] {
  const { run } = context;
  // A word that came too late; or a stopped run, in which nothing is tried again: its end tells of that.
  if (view.row?.statusTask !== task || run.state !== "running" || requestedStop(run) !== null) return [];
  const told = failureTold(view, context);
  if (told === null || isKnown(view, { as: told.as, round: run.round, task })) return [];
  const toldAs = { as: told.as, round: run.round, task };
  const mark = { uniqueId: view.plan.uniqueId, toldAs };
  if (told.as === "retry") return [{ event: retryPendingEvent(view, context, atMs), mark }];
  const gates = countBelow(context.plan, view.plan.uniqueId);
  return [{ event: nodeFailedEvent(view, context, { reason: told.reason, gates, atMs }), mark }];
}

const isKnown = ({ row }: VertexView, { as, round, task }: ToldAs): boolean =>
  row?.toldAs?.as === as && row.toldAs.round === round && row.toldAs.task === task;

/** A node whose execution has ended: its table, and what of it and its tests is good again. */
function nodeTellings(
  view: VertexView,
  { uniqueId, part, outcome, atMs }: Extract<EventChange, { kind: "node ended" }>,
  {
    context,
    views,
    datasets,
  }: { context: NodeEventContext; views: ReadonlyMap<string, VertexView>; datasets: boolean },
): Telling[] {
  const isBuilt = datasets && part === "node" && outcome === "green" && isUpdated(view, context);
  const own = [view, ...testsOf(context.plan, uniqueId).flatMap((id) => views.get(id) ?? [])];
  return [
    ...(isBuilt ? [{ event: datasetUpdatedEvent(view, context, atMs) }] : []),
    ...own.flatMap((one) => recoveryTelling(one, context, atMs)),
  ];
}

function recoveryTelling(view: VertexView, context: NodeEventContext, atMs: number): Telling[] {
  const from = recoveredFrom(view);
  if (from === null) return [];
  const toldAs = { as: "recovered" as const, round: context.run.round, task: view.row?.statusTask ?? from.task };
  return [{ event: nodeRecoveredEvent(view, context, from, atMs), mark: { uniqueId: view.plan.uniqueId, toldAs } }];
}

/** The verdict, root causes that nothing has told of yet, and what is good again and has no execution that would say so. */
async function tellOfEnd(
  run: RunRow,
  { atMs, isTold }: { atMs: number; isTold: ReadonlySet<string> },
  deps: PublishDeps,
): Promise<Telling[]> {
  const summary = await summaryOf(run, deps);
  const context = await contextOf(run, deps);
  const end = { event: runEndedEvent(run, deps, { summary, facts: context?.facts ?? null }) };
  if (context === null) return [end];
  const causes = (summary?.causes ?? []).filter(({ uniqueId }) => uniqueId !== undefined && !isTold.has(uniqueId));
  const gates = new Map(causes.map((cause) => [cause.uniqueId, cause.gates]));
  const silent = context.plan.vertices.filter(
    (one) => one.builds && !hasConsumer(one) && (one.deferred || one.nodes.length === 0),
  );
  const ids = new Set([...gates.keys(), ...silent.map((one) => one.uniqueId)].filter((id) => id !== undefined));
  const views = [...(await viewsOf(ids, context, deps)).values()];
  const failed = views.flatMap((view): Telling[] => {
    const { uniqueId } = view.plan;
    const known = gates.get(uniqueId);
    const task = view.row?.statusTask ?? 0;
    if (known === undefined || (view.row?.toldAs?.as === "failed" && view.row.toldAs.round === run.round)) return [];
    const reason = view.row?.finalReason ?? null;
    const mark = { uniqueId, toldAs: { as: "failed" as const, round: run.round, task } };
    return [{ event: nodeFailedEvent(view, context, { reason, gates: known, atMs }), mark }];
  });
  return [...failed, ...views.flatMap((view) => recoveryTelling(view, context, atMs)), end];
}

async function summaryOf(run: RunRow, { artefacts }: PublishDeps): Promise<RunSummary | null> {
  if (run.summaryKey === undefined) return null;
  try {
    return (await artefacts.getJson(run.summaryKey, MOST_SUMMARY_BYTES)) as RunSummary | null;
  } catch (error) {
    if (error instanceof ObjectTooLarge) return null;
    throw error;
  }
}

/** Null of a run without a plan: it has no vertices to tell of. */
async function contextOf(run: RunRow, deps: PublishDeps): Promise<NodeEventContext | null> {
  const plan = run.planKey === undefined ? null : await deps.readPlan(run.planKey);
  if (run.planKey === undefined || plan === null) return null;
  const facts = await deps.readFacts(run.planKey);
  const tasks = await deps.ledger.readTasks(run);
  return { run, plan, tasks, facts, stack: deps.stack, consumerMachineArn: deps.consumerMachineArn };
}

/** These vertices as they stand, by their rows alone; tasks have been read before (behaviour F12). */
async function viewsOf(
  ids: ReadonlySet<string>,
  { run, plan, tasks }: NodeEventContext,
  { ledger }: PublishDeps,
): Promise<Map<string, VertexView>> {
  const { vertexOf } = planIndex(plan);
  const vertices = [...ids].flatMap((id) => vertexOf.get(id) ?? []);
  if (vertices.length === 0) return new Map();
  const rows = await ledger.readSomeVertices(run, [...ids]);
  return viewVertices({ ...plan, vertices }, rows, tasks, roundOf(run, plan));
}

function countBelow(plan: Plan, uniqueId: string): number {
  const children = Map.groupBy(
    plan.vertices.flatMap((vertex) => vertex.gateParents.map((parent) => ({ parent, id: vertex.uniqueId }))),
    ({ parent }) => parent,
  );
  const below = new Set([uniqueId]);
  // A set that grows while it is walked visits what was added.
  for (const id of below) for (const child of children.get(id) ?? []) below.add(child.id);
  return below.size - 1;
}
