import type { Policy } from "#core/contracts/settings.ts";
import { NODE_TYPES, TEST_TYPES } from "#core/dbt/resource-types.ts";
import { isFailure, isGood, letsThrough, type VertexView } from "#core/run/judging/vertex-view.ts";
import { policyFor } from "#core/run/planning/node-settings.ts";
import { hasConsumer } from "#core/run/planning/plan.ts";

/** What core/run/deciding/step has decided of each vertex so far, over the views. */
export interface Standing {
  readonly views: ReadonlyMap<string, VertexView>;
  /** Vertices with a last word (dead, doomed, not built for good). */
  readonly closed: ReadonlySet<string>;
  /** What is built again once a failure above it recovers, good or not: see {@link unsettled}. */
  readonly unsettled: ReadonlySet<string>;
}

/**
 * What dbt may have built on a failure that may still recover (`on_error: continue`). Nothing is built on it meanwhile:
 * it would be built twice, and on Postgres a view of the old table is dropped under whoever reads it (behaviour B7).
 */
export function unsettled(views: Standing["views"], closed: Standing["closed"]): Set<string> {
  const found = new Set<string>();
  for (const [id, view] of views) {
    const { onErrorContinue, builds, gateParents } = view.plan;
    const isOpen = onErrorContinue && builds && !letsThrough(view) && !closed.has(id);
    if (isOpen || gateParents.some((parent) => found.has(parent))) found.add(id);
  }
  return found;
}

/** Whether a gate parent lets its children be built now. */
const opensGate = (parent: string, { views, unsettled: open }: Standing): boolean =>
  letsThrough(views.get(parent)) && !open.has(parent);

/** Failed or interrupted, and not given up: it will be built again, or is being built again. */
export function mayRecover(view: VertexView, standing: Standing): boolean {
  if (standing.closed.has(view.plan.uniqueId)) return false;
  if (isFailure(view)) return true;
  return !view.free && view.class !== "good" && view.owner?.kind === "fallback";
}

/**
 * The recovery set: the greatest set of not-built, free, open vertices whose gate parents are good or in the set.
 * `again` are failed ones that are built together with them (behaviour G26).
 * `taken` are those that a fallback of the same moment builds, some of them good by now (onTestFailure: node).
 * One pass in gate order finds it, since a vertex is in the set if and only if all of its parents are good or in it.
 */
export function recoverySet(
  standing: Standing,
  taken: ReadonlySet<string> = new Set(),
  again: ReadonlySet<string> = new Set(),
): string[] {
  const set = new Set<string>();
  const nodesOpen = [...standing.views].some(([id, view]) => isOpenNode(id, view, standing));
  for (const [id, view] of standing.views) {
    if (view.plan.deferred && nodesOpen) continue;
    if (taken.has(id) || view.plan.gateParents.some((parent) => taken.has(parent))) continue;
    if ((view.class !== "not_built" && !again.has(id)) || !view.free || standing.closed.has(id)) continue;
    if (view.plan.gateParents.every((parent) => set.has(parent) || opensGate(parent, standing))) set.add(id);
  }
  return withoutLoneUnitTests(set, standing);
}

/**
 * `dbt build` passes over a unit test whose model it does not build, in silence and with exit code 0; `dbt test`, which
 * builds no node, runs it. So a unit test whose model is not in the set waits for a set of tests alone (behaviour B5).
 */
function withoutLoneUnitTests(set: ReadonlySet<string>, standing: Standing): string[] {
  const planOf = (id: string) => standing.views.get(id)!.plan;
  if ([...set].every((id) => TEST_TYPES.has(planOf(id).resourceType))) return [...set];
  const isLone = (id: string, among: ReadonlySet<string>) =>
    planOf(id).resourceType === "unit_test" && !planOf(id).nodes.some((node) => among.has(node));
  let kept = new Set(set);
  for (let before = 0; before !== kept.size; ) {
    before = kept.size;
    const waits = (id: string) => isLone(id, kept) || planOf(id).gateParents.some((up) => set.has(up) && !kept.has(up));
    kept = new Set([...kept].filter((id) => !waits(id)));
  }
  return kept.size > 0 ? [...kept] : loneUnitTests();

  /** In gate order: one below a node of the set can not run before that node is built. */
  function loneUnitTests(): string[] {
    const lone = new Set<string>();
    for (const id of set)
      if (isLone(id, set) && !planOf(id).gateParents.some((up) => set.has(up) && !lone.has(up))) lone.add(id);
    return [...lone];
  }
}

/** Something that deferred tests wait for: it is neither good nor given up (behaviour C7). */
const isOpenNode = (id: string, view: VertexView, standing: Standing): boolean =>
  !view.plan.deferred && !standing.closed.has(id) && view.class !== "good" && view.class !== "skipped";

/** Open and not built: what a recovery build may still take up. */
const isUnbuilt = (view: VertexView, standing: Standing): boolean =>
  view.class === "not_built" && !standing.closed.has(view.plan.uniqueId);

/** Whether something still waits for a failed or interrupted vertex: what a moment's patience would add to the set. */
export function anyWaitsForRecovering(standing: Standing): boolean {
  const waiting = new Set<string>();
  const holds = (parent: string) => {
    const view = standing.views.get(parent);
    return waiting.has(parent) || (view !== undefined && mayRecover(view, standing));
  };
  for (const [id, view] of standing.views) {
    if (!view.plan.gateParents.some(holds)) continue;
    if (isUnbuilt(view, standing)) return true;
    waiting.add(id);
  }
  return false;
}

/** A walk ends here; what gates more is not told apart. 1,000 failures at once above 10,000 vertices would be 10 million steps. */
const MOST_WALKED = 1_000;

/** How many unbuilt vertices each of these gates, at whatever depth. */
export function gatedCounts(ids: readonly string[], standing: Standing): Map<string, number> {
  const children = new Map<string, VertexView[]>();
  for (const view of standing.views.values()) {
    for (const parent of view.plan.gateParents) {
      const known = children.get(parent);
      if (known) known.push(view);
      else children.set(parent, [view]);
    }
  }
  return new Map(ids.map((id) => [id, gatedCount(id, children, standing)]));
}

function gatedCount(id: string, children: ReadonlyMap<string, readonly VertexView[]>, standing: Standing): number {
  const seen = new Set<VertexView>(children.get(id));
  let count = 0;
  for (const view of seen) {
    if (isUnbuilt(view, standing)) count += 1;
    if (seen.size < MOST_WALKED) for (const child of children.get(view.plan.uniqueId) ?? []) seen.add(child);
  }
  return count;
}

/**
 * What one fallback builds. A failed test is a failed vertex: its node is not rebuilt (rows would double) unless the
 * policy says so (C12); one that was only interrupted has found nothing. Where the node is rebuilt, each of its tests runs
 * again with it, also a good one: it would be older than the node's last build.
 */
export function fallbackSet(root: VertexView, policy: Policy, standing: Standing): string[] {
  if (!rebuildsNodes(root, policy)) return withUnbuiltTests(root, standing);
  const { again: nodes } = nodesOf(root, standing);
  const others = [...standing.views.values()].filter((view) => view !== root && isTestOf(view, nodes));
  const ready = others.filter(
    (view) => view.free && !standing.closed.has(view.plan.uniqueId) && gatesAreGood(view, standing),
  );
  return [...nodes, root.plan.uniqueId, ...ready.map((view) => view.plan.uniqueId)];
}

const rebuildsNodes = (root: VertexView, policy: Policy): boolean =>
  root.plan.resourceType === "test" && root.class === "failed" && policyFor(root.plan, policy).onTestFailure === "node";

/** Why a node is not built again with its test although the policy says so; null where there is nothing to say. */
export function whyLeft(root: VertexView, policy: Policy, standing: Standing): string | null {
  const [left] = rebuildsNodes(root, policy) ? nodesOf(root, standing).left : [];
  return left ? `${left.id} is not built again for it: ${left.reader} was built on it and is good.` : null;
}

/**
 * The nodes of a failed test that are built again for it, and those that are left since something good was built on them
 * that is not built again itself: it would be older than they are, and a view among it is dropped with the old table on
 * Postgres and Redshift. See docs/adr/0063-a-good-node-and-its-readers.md.
 */
function nodesOf(root: VertexView, standing: Standing) {
  const nodes = root.plan.nodes.filter((id) => isRebuildable(standing.views.get(id), standing));
  const readers = readersOf(nodes, standing);
  return {
    again: nodes.filter((id) => !readers.has(id)),
    left: nodes.flatMap((id) => (readers.has(id) ? [{ id, reader: readers.get(id)! }] : [])),
  };
}

/**
 * By everything that stands below: the nearest good node that was built on it, and is not to be built again itself. One
 * pass against gate order: a node of the set that something else stands on has left the set before its parents are seen.
 */
function readersOf(nodes: readonly string[], standing: Standing): ReadonlyMap<string, string> {
  const again = new Set(nodes);
  const readers = new Map<string, string>();
  for (const [id, view] of [...standing.views].reverse()) {
    const below = readers.get(id);
    if (below !== undefined) again.delete(id);
    const reader = isGood(view) && hasConsumer(view.plan) && !again.has(id) ? id : below;
    if (reader === undefined) continue;
    for (const parent of view.plan.gateParents) if (!readers.has(parent)) readers.set(parent, reader);
  }
  return readers;
}

/** A good node whose rows a second build would double is not built again for its test either (behaviour C12, G28). */
const isRebuildable = (view: VertexView | undefined, standing: Standing): boolean =>
  isGood(view) &&
  view!.free &&
  view!.plan.afterFailure === "repeat" &&
  NODE_TYPES.has(view!.plan.resourceType) &&
  gatesAreGood(view!, standing);

/** What live builds may be reading: a good node is not built again under them (onTestFailure: node). */
export function readNow(standing: Standing): Set<string> {
  const building = [...standing.views.values()].filter((view) => !view.free && isOpenInBuild(view));
  return new Set(building.flatMap((view) => view.plan.gateParents));
}

/** Its live build may still read for it: what has its last word, or was skipped, reads nothing more. */
const isOpenInBuild = ({ class: cls }: VertexView): boolean => cls === "waiting" || cls === "running";

const isTestOf = (view: VertexView, nodes: readonly string[]): boolean =>
  view.plan.resourceType === "test" && view.plan.nodes.some((id) => nodes.includes(id));

/** Whether everything that gates a vertex lets it be built now. */
export const gatesAreGood = (view: VertexView, standing: Standing): boolean =>
  view.plan.gateParents.every((parent) => opensGate(parent, standing));

/**
 * The vertex and those of its data tests that are not built, free, and whose other gate parents are good (behaviour
 * C13). A good vertex is never among them. Unit tests gate their model, hence are good before it is tried.
 */
function withUnbuiltTests(root: VertexView, standing: Standing): string[] {
  const set = [root.plan.uniqueId];
  if (TEST_TYPES.has(root.plan.resourceType)) return set;
  for (const [id, view] of standing.views) {
    if (!isTestOf(view, [root.plan.uniqueId]) || view.plan.deferred) continue;
    if (view.class !== "not_built" || !view.free || standing.closed.has(id)) continue;
    const others = view.plan.gateParents.filter((parent) => parent !== root.plan.uniqueId);
    if (others.every((parent) => opensGate(parent, standing))) set.push(id);
  }
  return set;
}
