import type { TaskKind, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { Policy } from "#core/contracts/settings.ts";
import { endsOrphans, type OrphanSearch } from "#core/dbt/orphans.ts";
import { backOffMs } from "#core/run/back-off.ts";
import { type Closing, closeRest, closings } from "#core/run/closing.ts";
import { type EventWindow, eventWindowOf, windowMoves } from "#core/run/event-window.ts";
import { type FailedTogether, failedTogether } from "#core/run/failed-together.ts";
import { type Plan, SINGLE_WRITERS } from "#core/run/plan.ts";
import {
  anyWaitsForRecovering,
  fallbackSet,
  gatedCounts,
  gatesAreGood,
  mayRecover,
  readNow,
  recoverySet,
  type Standing,
} from "#core/run/recovery-set.ts";
import { mayHaveLeftQuery, retryAtMs } from "#core/run/retry-rule.ts";
import { brokenProject, quietUntilMs } from "#core/run/silent-tasks.ts";
import { currentProducer, isOver, overAtMs, type VertexView, viewVertices } from "#core/run/vertex-view.ts";

/** All that the rule of the system looks at. Tasks must have been read before rows (behaviour F12). */
export interface StepInput {
  readonly plan: Plan | null;
  readonly rows: readonly VertexRow[];
  /** In order of their numbers. */
  readonly tasks: readonly TaskRow[];
  readonly policy: Policy;
  /** The execution queue's cap. */
  readonly maxTasks: number;
  /** Set when nothing may be launched any more: a person's stop, or the run's deadline. */
  readonly stopReason: string | null;
  readonly heldSinceMs: number | null;
  readonly nowMs: number;
}

/** One build to launch. A producer has no set: it owns what it plans. */
export interface LaunchDecision {
  readonly kind: TaskKind;
  readonly uniqueIds: readonly string[];
  readonly claims: readonly { readonly uniqueId: string; readonly from: number | null; readonly lostTask?: number }[];
  readonly size: "producer" | "queue";
  /** Of a fallback of a microbatch model: the window of its first build. */
  readonly eventWindow?: EventWindow;
  /** Of a build with microbatch models that choose their window themselves: as of when (behaviour G27). */
  readonly asOfMs?: number;
  /** What an earlier build may have left running of it (behaviour D12). */
  readonly orphans?: OrphanSearch;
  readonly reason: string;
}

export interface Decision {
  readonly launches: readonly LaunchDecision[];
  /** Last words that the ledger does not have yet. */
  readonly finals: readonly Closing[];
  /** Live tasks are to be stopped. */
  readonly stopTasks: boolean;
  /** Since when a recovery build is held back; null if none is. */
  readonly heldSinceMs: number | null;
  /** Nothing is left to wait for: the verdict can be given. */
  readonly settle: boolean;
}

const nothing: Decision = { launches: [], finals: [], stopTasks: false, heldSinceMs: null, settle: false };

/**
 * The rule of the whole system: pure, and the only place that decides what is built, when, and when a run is over.
 * See docs/design.md, "The step", for its invariants; test/core/run/step.properties holds them on random graphs.
 */
export function step(input: StepInput): Decision {
  const live = input.tasks.filter((task) => !isOver(task));
  const producer = currentProducer(input.tasks);
  if (input.stopReason !== null) return stopping(input, live, input.stopReason);
  if (producer === null) return launch(producerLaunch("The run begins."));
  if (!isOver(producer)) return nothing;
  if (live.some((task) => task.kind === "plan")) return nothing;
  const relaunch = relaunchOfProducer(input, producer);
  if (relaunch) return relaunch;
  if (input.plan === null) return planless(input);
  return recover(input, input.plan, live, producer);
}

const launch = (...launches: LaunchDecision[]): Decision => ({ ...nothing, launches });

const producerLaunch = (reason: string, size: LaunchDecision["size"] = "producer"): LaunchDecision => ({
  kind: "producer",
  uniqueIds: [],
  claims: [],
  size,
  reason,
});

/** Whether any build has said anything of a vertex: a second producer could not write over it. */
const touched = (rows: readonly VertexRow[]): boolean =>
  rows.some((row) => row.tryTasks.length > 0 || row.status !== undefined);

/** The run is being stopped: nothing more is launched, live tasks are ended, and the rest is not built. */
function stopping(input: StepInput, live: readonly TaskRow[], reason: string): Decision {
  if (live.length > 0) return { ...nothing, stopTasks: true };
  if (input.plan === null) return { ...nothing, settle: true };
  const views = viewVertices(input.plan, input.rows, input.tasks);
  const closed = closings(views, input.policy, currentProducer(input.tasks));
  return { ...nothing, finals: unwritten(closeRest(views, closed, reason), views), settle: true };
}

/** A producer that ended before any vertex began, for a cause outside the dbt project, is launched again (D3). */
function relaunchOfProducer(input: StepInput, producer: TaskRow): Decision | null {
  if (touched(input.rows)) return null;
  if (!outsideCause(producer)) return null;
  const producers = input.tasks.filter((task) => task.kind === "producer").length;
  if (producers > input.policy.producerRetries) return null;
  const dueAtMs = overAtMs(producer) + backOffMs(producers, input.policy);
  if (input.nowMs < dueAtMs) return nothing;
  const size = ranOutOfMemory(producer) ? "queue" : producer.size;
  return launch(producerLaunch(`Task ${producer.task} ended before any node began: ${endOf(producer)}`, size));
}

/**
 * Whether a task ended for a cause outside the dbt project: its supervisor says so, or was told to end by somebody who
 * is not this run (Spot, a deployment), or it was killed without a word.
 */
function outsideCause(task: TaskRow): boolean {
  if (task.end?.ranUnseen) return false;
  if (task.end) return task.end.retryableLaunch || task.end.cause.kind === "terminated";
  return task.stop !== undefined && !task.stop.neverStarted;
}

/** A producer that ran out of memory is launched again on the execution queue's larger size (D4). */
const ranOutOfMemory = (task: TaskRow): boolean =>
  task.end?.cause.kind === "out_of_memory" || task.stop?.outOfMemory === true;

const endOf = (task: TaskRow): string =>
  task.end?.cause.sentence ?? task.stop?.stoppedReason ?? `exit code ${task.stop?.exitCode ?? "unknown"}`;

/**
 * No plan, and the producer is over. If dbt has begun to build, only a plan can say what is left: a task makes it.
 * Otherwise the run is over, and its verdict is the producer's cause.
 */
function planless(input: StepInput): Decision {
  const plans = input.tasks.filter((task) => task.kind === "plan").length;
  if (touched(input.rows) && plans <= input.policy.producerRetries) {
    return launch({
      kind: "plan",
      uniqueIds: [],
      claims: [],
      size: "queue",
      reason: "The producer ended before its plan was known.",
    });
  }
  return { ...nothing, settle: true };
}

function recover(input: StepInput, plan: Plan, live: readonly TaskRow[], producer: TaskRow): Decision {
  const views = viewVertices(plan, input.rows, input.tasks);
  const begun = producer.end?.inOrder || touched(input.rows);
  const forbidden = begun ? null : unbegun(producer);
  const closed = closings(views, input.policy, producer, forbidden, windowGone(plan, producer, input.nowMs));
  const standing: Standing = { views, closed: new Set(closed.keys()) };
  const cap = SINGLE_WRITERS.has(plan.adapterType ?? "") ? 1 : input.maxTasks;
  const quiet = quietUntilMs(input.tasks, input.rows, input.policy);
  const broken = brokenProject(input.tasks, input.rows);
  if (broken !== null) return silenced(views, closed, live, `Task ${broken.task} could not begin: ${endOf(broken)}`);
  if (quiet === null) {
    const reason = `Task after task ended before any node began; the last: ${endOf(input.tasks.at(-1)!)}`;
    return silenced(views, closed, live, reason);
  }
  const room = input.nowMs < quiet ? 0 : cap - live.length;
  const groups = failedTogether(standing, input.policy);
  const due = groups.filter((group) => group.uniqueIds.every((id) => isDue(views.get(id)!, input, standing, plan)));
  const grouped = new Set(groups.flatMap((group) => group.uniqueIds));
  const singles = dueSingles(input, standing, plan, room - Math.min(due.length, 1), grouped);
  const taken = new Set(singles.flatMap((single) => single.uniqueIds));
  const wave = recoveryWave(input, standing, plan, producer, taken, due);
  const launches = [...singles, ...(wave.launch && singles.length < room ? [wave.launch] : [])];
  const waveWaits = wave.launch !== null && launches.length === singles.length;
  const heldSinceMs = wave.held ? (input.heldSinceMs ?? input.nowMs) : null;
  if (launches.length > 0 || wave.held || waveWaits || awaited(standing)) {
    return { ...nothing, launches, finals: unwritten(closed, views), heldSinceMs };
  }
  return { ...nothing, ...ending(views, closed, live) };
}

const unbegun = (producer: TaskRow): string =>
  producer.end?.ranUnseen ? endOf(producer) : `Task ${producer.task} ended before any node began: ${endOf(producer)}`;

/**
 * dbt 2 can not be told to choose the batches of another moment: a microbatch model that it has not built yet would by
 * now leave some out, so that it stays unbuilt (behaviour G27). Of dbt 1 its container sees to that.
 */
function windowGone(plan: Plan, producer: TaskRow, nowMs: number): (view: VertexView) => string | null {
  const startedAtMs = producer.startedAtMs;
  if (plan.dbtVersion.startsWith("1.") || startedAtMs === undefined) return () => null;
  return ({ plan: vertex }) => (windowMoves([vertex], startedAtMs, nowMs) ? WINDOW_GONE : null);
}

const WINDOW_GONE =
  "Not built: dbt 2 would by now take later batches of it than when the run began, and leave those between missing. Start a run with --event-time-start and --event-time-end.";

/** No further task would begin: what is not good by now is given up. */
function silenced(
  views: ReadonlyMap<string, VertexView>,
  closed: ReadonlyMap<string, Closing>,
  live: readonly TaskRow[],
  reason: string,
): Decision {
  if (live.length > 0) return nothing;
  return { ...nothing, finals: unwritten(closeRest(views, closed, reason), views), settle: true };
}

/** Some vertex will be built again, or is in a live task: there is something to wait for. */
function awaited(standing: Standing): boolean {
  for (const [id, view] of standing.views) {
    if (standing.closed.has(id)) continue;
    if (!view.free && view.class !== "good") return true;
    if (view.class !== "failed" && view.class !== "interrupted") continue;
    if (gatesAreGood(view, standing)) return true;
  }
  return false;
}

/** Nothing can be launched and nothing is awaited: what is open is closed, and the run is over with its last task. */
function ending(
  views: ReadonlyMap<string, VertexView>,
  closed: ReadonlyMap<string, Closing>,
  live: readonly TaskRow[],
): Pick<Decision, "finals" | "settle"> {
  if (live.length > 0) return { finals: unwritten(closed, views), settle: false };
  return { finals: unwritten(closeRest(views, closed, "No build of this run could reach it."), views), settle: true };
}

const unwritten = (closed: ReadonlyMap<string, Closing>, views: ReadonlyMap<string, VertexView>): Closing[] =>
  [...closed.values()].filter((word) => views.get(word.uniqueId)?.row?.final !== word.final);

/** Fallbacks that are due now and for which there is room: those that gate most first. `grouped` are built together. */
function dueSingles(
  input: StepInput,
  standing: Standing,
  plan: Plan,
  room: number,
  grouped: ReadonlySet<string>,
): LaunchDecision[] {
  const due = [...standing.views.values()].filter(
    (view) => !grouped.has(view.plan.uniqueId) && isDue(view, input, standing, plan),
  );
  if (room <= 0 || due.length === 0) return [];
  const gated = gatedCounts(
    due.map((view) => view.plan.uniqueId),
    standing,
  );
  due.sort((a, b) => gated.get(b.plan.uniqueId)! - gated.get(a.plan.uniqueId)!);
  const taken = new Set<string>();
  const read = readNow(standing);
  const launches: LaunchDecision[] = [];
  for (const view of due) {
    if (launches.length === room) break;
    if (taken.has(view.plan.uniqueId)) continue;
    const uniqueIds = fallbackSet(view, input.policy, standing);
    const reads = uniqueIds.flatMap((id) => standing.views.get(id)!.plan.gateParents);
    if (uniqueIds.some((id) => taken.has(id) || read.has(id)) || reads.some((id) => taken.has(id))) continue;
    for (const id of uniqueIds) taken.add(id);
    for (const id of reads) read.add(id);
    const what = view.class === "interrupted" ? "was interrupted" : "failed";
    const eventWindow = eventWindowOf(view, currentProducer(input.tasks)?.startedAtMs);
    launches.push({
      kind: "fallback",
      uniqueIds,
      claims: claimsOf(uniqueIds, standing),
      size: "queue",
      ...(eventWindow ? { eventWindow } : asOf(uniqueIds, standing, input.tasks)),
      ...orphansOf(uniqueIds, standing, plan, input.tasks),
      reason: `${view.plan.uniqueId} ${what}: it is built alone.`,
    });
  }
  return launches;
}

/** The producer's start: what dbt would have taken for now had it reached the model then. A queued run has not begun before. */
function asOf(uniqueIds: readonly string[], standing: Standing, tasks: readonly TaskRow[]): { asOfMs?: number } {
  const startedAtMs = currentProducer(tasks)?.startedAtMs;
  const isAsked = uniqueIds.some((id) => standing.views.get(id)!.plan.batchSize !== undefined);
  return isAsked && startedAtMs !== undefined ? { asOfMs: startedAtMs } : {};
}

/** Milliseconds by which the clocks of warehouse and container may differ. */
const CLOCKS_DIFFER_MS = 60_000;

/** Vertices whose last build was killed, or lost its connection: their queries may still run (behaviour D12). */
function orphansOf(
  uniqueIds: readonly string[],
  standing: Standing,
  plan: Plan,
  tasks: readonly TaskRow[],
): { orphans?: OrphanSearch } {
  if (!endsOrphans(plan.adapterType)) return {};
  const left = uniqueIds.map((id) => standing.views.get(id)!).filter(mayHaveLeftQuery);
  if (left.length === 0) return {};
  const last = Math.max(...left.map((view) => view.row?.statusTask ?? 0));
  const task = tasks.find((one) => one.task === last);
  const openedBeforeMs = (task ? overAtMs(task) : 0) + CLOCKS_DIFFER_MS;
  return { orphans: { uniqueIds: left.map((view) => view.plan.uniqueId), openedBeforeMs } };
}

function isDue(view: VertexView, input: StepInput, standing: Standing, plan: Plan): boolean {
  if (!view.free || (view.class !== "failed" && view.class !== "interrupted")) return false;
  if (standing.closed.has(view.plan.uniqueId)) return false;
  if (!gatesAreGood(view, standing)) return false;
  // Where orphans can be ended, the container does so before it builds, and waits only if it can not.
  const noGrace = SINGLE_WRITERS.has(plan.adapterType ?? "") || endsOrphans(plan.adapterType);
  return input.nowMs >= retryAtMs(view, input.policy, noGrace ? 0 : input.policy.orphanGraceSeconds);
}

function claimsOf(uniqueIds: readonly string[], standing: Standing): LaunchDecision["claims"] {
  return uniqueIds.map((uniqueId) => {
    const view = standing.views.get(uniqueId)!;
    const from = view.row?.ownerTask ?? null;
    const lost = view.class === "interrupted" ? view.row?.statusTask : undefined;
    return lost === undefined ? { uniqueId, from } : { uniqueId, from, lostTask: lost };
  });
}

/**
 * One recovery build per wave: the recovery set, held back for `holdSeconds` while a failed vertex that gates more is
 * still being retried, and for as long as a vertex that was running in a killed build has its first lone retry: it may
 * be what kills builds, and the rest is to follow in one build (behaviour D4, G21). What one outage struck goes with it,
 * and is not held back (G26).
 */
function recoveryWave(
  input: StepInput,
  standing: Standing,
  plan: Plan,
  producer: TaskRow,
  taken: ReadonlySet<string>,
  groups: readonly FailedTogether[],
): { launch: LaunchDecision | null; held: boolean } {
  const again = new Set(groups.flatMap((group) => group.uniqueIds));
  const whole = recoverySet(standing, taken, again);
  if (whole.length === 0) return { launch: null, held: false };
  const recovering = [...standing.views.values()].filter(
    (view) => !again.has(view.plan.uniqueId) && mayRecover(view, standing) && !waitsForWave(view, standing),
  );
  const restWaits = (producer.end?.failFast === true && recovering.length > 0) || recovering.some(firstLoneRetry);
  const struck = whole.filter((id) => again.has(id));
  const uniqueIds = restWaits ? struck : whole;
  const sinceMs = input.heldSinceMs ?? input.nowMs;
  const isYoung = input.nowMs < sinceMs + input.policy.holdSeconds * 1000;
  const isHeld = struck.length === 0 && isYoung && anyWaitsForRecovering(standing);
  if (uniqueIds.length === 0 || isHeld) return { launch: null, held: true };
  return {
    launch: {
      kind: "recovery",
      uniqueIds,
      claims: claimsOf(uniqueIds, standing),
      size: "queue",
      ...asOf(uniqueIds, standing, input.tasks),
      ...orphansOf(uniqueIds, standing, plan, input.tasks),
      reason: reasonOfWave(uniqueIds.length, groups, struck.length),
    },
    held: restWaits,
  };
}

function reasonOfWave(size: number, groups: readonly FailedTogether[], struck: number): string {
  const count = (n: number) => `${n} ${n === 1 ? "vertex was" : "vertices were"} not built`;
  if (struck === 0) return `${count(size)}, and all that gates them is good.`;
  const what = groups.map((group) => group.what).join(" and ");
  const rest = size === struck ? "" : `, and ${count(size - struck)}`;
  return `${struck} vertices failed at about the same moment of ${what}${rest}: one build for all.`;
}

/** What is itself gated by a vertex of the wave can not be waited for. */
const waitsForWave = (view: VertexView, standing: Standing): boolean => view.free && !gatesAreGood(view, standing);

/** Interrupted once, and its lone retry has not ended yet. */
function firstLoneRetry(view: VertexView): boolean {
  if (view.class === "interrupted") return view.lost === 1;
  return !view.free && view.lost === 1 && view.tries <= 1;
}
