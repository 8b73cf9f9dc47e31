import type { TaskRow } from "#core/contracts/ledger.ts";
import type { Policy } from "#core/contracts/settings.ts";
import { classOfStatus, isTerminal } from "#core/dbt/status.ts";
import type { LaunchDecision, StepInput } from "#core/run/deciding/decision.ts";
import { earlyHeldBack } from "#core/run/deciding/early-refusal.ts";
import { MOMENT_MS, strikeOf } from "#core/run/deciding/failed-together.ts";
import { givenUp, isFoundByTest } from "#core/run/deciding/retry-rule.ts";
import { FIRST_ROUND } from "#core/run/judging/rounds.ts";
import type { VertexView } from "#core/run/judging/vertex-view.ts";
import { policyFor } from "#core/run/planning/node-settings.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { lastSignMs } from "#core/run/watching/task-watch.ts";

type Views = ReadonlyMap<string, VertexView>;

/** Whether builds that go on set anything free before their end. */
const recoversEarly = (plan: Plan, policy: StepInput["policy"]): boolean =>
  policy.recovery === "early" && earlyHeldBack(plan, policy) === null;

/**
 * `recovery: early` (behaviour F3, G19): the views as the decision about builds may see them. What a producer or recovery
 * build that goes on has said its last word on, and on whatever reads it there, is free as if that build were over.
 * Last words are not given by these views: the build may still tell more of what it owns. See
 * docs/adr/0036-early-recovery-asks-whether-a-vertex-is-free.md.
 *
 * `windowGone` tells of a vertex that can not be built rightly any more.
 */
export function freedEarly(
  views: Views,
  input: StepInput,
  plan: Plan,
  windowGone: (view: VertexView) => string | null,
): Views {
  const builds = new Set(recoversEarly(plan, input.policy) ? goingOn(input.tasks) : []);
  if (builds.size === 0) return views;
  const seen: Seen = { views, builds, below: new Set(), settled: new Set() };
  for (const view of views.values()) {
    if (isBelow(view, seen)) seen.below.add(view.plan.uniqueId);
    if (isSettled(view, seen)) seen.settled.add(view.plan.uniqueId);
  }
  const touchable = aboveWhatMayRun(seen);
  const sound = soundBuilds(seen, input);
  const mayOpen = (view: VertexView) => sound.has(view.owner!) && !view.outside && view.row?.mark === undefined;
  const failed = [...views.values()].filter((view) => isRecoverable(view, seen, input));
  const striking = inTheirMoment(failed, input);
  const isOpen = (view: VertexView) => mayOpen(view) && !touchable.has(view.plan.uniqueId) && !striking.has(view);
  const open = new Set(failed.filter(isOpen));
  const freed = [...views].map(([id, view]): [string, VertexView] => {
    const waitsForNodes = rebuildsNodes(view, input.policy) && view.plan.nodes.some((node) => isOwned(views.get(node)));
    if (waitsForNodes) return [id, { ...view, free: false }];
    if (open.has(view)) return [id, { ...view, free: true }];
    if (!seen.below.has(id)) return [id, view];
    const isSaid = saysSkipped(view) || !view.plan.builds;
    return [id, { ...view, class: "not_built", free: isSaid && mayOpen(view) && windowGone(view) === null }];
  });
  return new Map(freed);
}

const isOwned = (view: VertexView | undefined): boolean => view !== undefined && !view.free;

interface Seen {
  readonly views: Views;
  readonly builds: ReadonlySet<TaskRow>;
  /** Gated by what failed in their own build: dbt will not begin them there any more. */
  readonly below: Set<string>;
  /** dbt has nothing more to say of them, so that it comes to what they gate. */
  readonly settled: Set<string>;
}

/** Builds whose end may be far away. A fallback ends by itself in a moment. */
const goingOn = (tasks: readonly TaskRow[]): TaskRow[] =>
  tasks.filter((task) => (task.kind === "producer" || task.kind === "recovery") && task.state === "running");

/**
 * Those that nothing speaks against: their heart beats, and they have cut nothing off (what a signal or fail-fast cancels
 * is the first sign of a build's end).
 */
function soundBuilds({ views, builds }: Seen, { policy, nowMs }: StepInput): ReadonlySet<TaskRow> {
  const beating = (task: TaskRow) => Math.abs(nowMs - lastSignMs(task)) <= policy.lostAfterSeconds * 1000;
  const sound = new Set([...builds].filter(beating));
  for (const { class: cls, free, owner } of views.values())
    if (cls === "interrupted" && !free && owner !== null) sound.delete(owner);
  return sound;
}

/** A test that follows all nodes is the producer's in name alone. */
const isOfBuild = ({ owner, plan }: VertexView, { builds }: Seen): boolean =>
  owner !== null && builds.has(owner) && !(plan.deferred && owner.kind === "producer");

/** dbt's own word in the build that owns it, as it was printed. */
const ownWord = ({ row, owner }: VertexView): string | undefined =>
  row !== null && row.statusTask === owner?.task ? row.status : undefined;

function saysSkipped(view: VertexView): boolean {
  const word = ownWord(view);
  return word !== undefined && isTerminal(word) && classOfStatus(word) === "not_built";
}

/**
 * dbt builds nothing below what failed, however deep and whatever else it still waits for. What has been taken from the
 * build since had failed in it, or was below. A skip for any other reason (a failed start hook) frees nothing.
 */
function isBelow(view: VertexView, seen: Seen): boolean {
  if (!isOfBuild(view, seen)) return false;
  const build = view.owner!;
  if (view.class !== "waiting" && !saysSkipped(view)) return false;
  return view.plan.gateParents.some((id) => {
    const parent = seen.views.get(id);
    if (parent === undefined || parent.owner === null) return false;
    if (parent.owner !== build) return parent.owner.task > build.task;
    return parent.class === "failed" || seen.below.has(id);
  });
}

function isSettled(view: VertexView, seen: Seen): boolean {
  if (!isOfBuild(view, seen)) return true;
  if (view.class !== "waiting") return view.class !== "running";
  return !view.plan.builds && view.plan.gateParents.every((id) => seen.settled.has(id) || !seen.views.has(id));
}

/**
 * Vertices above something of their own build that dbt may still touch: it has taken it in hand although it is gated (the
 * plan and dbt differ then), it builds on what failed (`on_error: continue`), or dbt's word on it is due at this moment.
 * What waits for another parent has no word yet and needs none: dbt's skip is certain.
 */
function aboveWhatMayRun(seen: Seen): ReadonlySet<string> {
  const above = new Set<string>();
  for (const view of [...seen.views.values()].reverse()) {
    if (!isOfBuild(view, seen)) continue;
    const { plan, row, owner } = view;
    const begun = row?.tryTasks.includes(owner!.task) === true;
    const due = view.class === "waiting" && plan.builds && plan.gateParents.every((id) => seen.settled.has(id));
    if (!begun && !due && !plan.onErrorContinue && !above.has(plan.uniqueId)) continue;
    for (const id of plan.gateParents) if (seen.views.get(id)?.owner === owner) above.add(id);
  }
  return above;
}

/** A failed test with which its nodes are built again: it waits until they are nobody's. */
const rebuildsNodes = ({ plan, class: cls }: VertexView, policy: Policy): boolean =>
  cls === "failed" && plan.resourceType === "test" && policyFor(plan, policy).onTestFailure === "node";

/** Failed by dbt's own word in a build that goes on, for a cause that is known, and worth a further try. */
function isRecoverable(view: VertexView, seen: Seen, { policy, round = FIRST_ROUND }: StepInput): boolean {
  const { plan, row } = view;
  if (view.class !== "failed" || view.free || !isOfBuild(view, seen)) return false;
  if (ownWord(view) === undefined || !plan.builds || plan.onErrorContinue) return false;
  if (rebuildsNodes(view, policy)) return false;
  const isKnown = row?.message !== undefined || isFoundByTest(view) || plan.resourceType === "unit_test";
  return isKnown && givenUp(view, policy, round) === null;
}

/** An outage that goes on for long is not waited for to its end. */
const LONGEST_MOMENT_MS = 5 * MOMENT_MS;

/**
 * What one outage strikes is built again in one build (behaviour G26): while the build goes on, more of it may come
 * within the same moment.
 */
function inTheirMoment(failed: readonly VertexView[], { policy, nowMs }: StepInput): ReadonlySet<VertexView> {
  if (policy.fallbacks === "alone") return new Set();
  const struck = Map.groupBy(failed, (view) => strikeOf(view, policy));
  struck.delete(null);
  const goesOn = (views: readonly VertexView[]) => {
    const times = views.map((view) => view.endedAtMs).sort((a, b) => a - b);
    return nowMs < Math.min(times.at(-1)! + MOMENT_MS, times[0]! + LONGEST_MOMENT_MS);
  };
  return new Set([...struck.values()].filter(goesOn).flat());
}

/** Between two waves beside a build lies at least this share of the time that it had built before the first of them. */
const SHARE_BETWEEN_WAVES = 0.25;

/**
 * Whether a further recovery build beside one that goes on has to wait: what its failures gate becomes ready vertex by
 * vertex, and is not to be a task each. By this an hour of them is some 18 builds at the most (1.25^18 = 55, from the
 * first minute on), and none comes later than a quarter of the time that has passed by then; the end of the build lets
 * the rest go at once.
 */
export function waveIsNear({ tasks, policy, nowMs }: StepInput, plan: Plan): boolean {
  const [oldest] = recoversEarly(plan, policy) ? goingOn(tasks) : [];
  if (oldest === undefined) return false;
  const last = tasks.findLast((task) => task.kind === "recovery" && task.task > oldest.task);
  if (last === undefined) return false;
  const builtMs = last.claimedAtMs - (oldest.startedAtMs ?? oldest.claimedAtMs);
  return nowMs < last.claimedAtMs + builtMs * SHARE_BETWEEN_WAVES;
}

/** Whether a build would have anything to do: what dbt never builds comes along with what reads it. */
export const hasWork = (launch: LaunchDecision | null, views: Views): boolean =>
  launch?.uniqueIds.some((id) => views.get(id)!.plan.builds) === true;
