import type { Policy } from "#core/contracts/settings.ts";
import { KINDS } from "#core/dbt/failure-messages.ts";
import { gatesAreGood, type Standing } from "#core/run/deciding/recovery-set.ts";
import { failureIn, isFoundByTest } from "#core/run/deciding/retry-rule.ts";
import { isFailure, type VertexView } from "#core/run/judging/vertex-view.ts";
import { policyFor } from "#core/run/planning/node-settings.ts";

/** Two failures further apart than this are not of one moment: a warehouse that was away for a minute is back by then. Milliseconds. */
export const MOMENT_MS = 60_000;

/** Vertices that failed at about the same moment of one thing, and are built again in one build. */
export interface FailedTogether {
  readonly uniqueIds: readonly string[];
  /** What struck them, in a few words. */
  readonly what: string;
}

/**
 * One outage, one build (behaviour G26): what failed or was cut off at about the same moment because the warehouse was
 * away, refused for load, or took the credentials for expired, needs one task and not one each. Under `retryOn: all` the
 * same holds of data tests that found rows (C14), under `fallbacks: together` of everything that failed. What fails
 * again is built alone. A microbatch model has a window of its own, hence a task; so has a unit test, which dbt runs
 * only beside its model or in a build of tests. See docs/adr/0027-one-outage-one-build.md.
 */
export function failedTogether(standing: Standing, policy: Policy): FailedTogether[] {
  if (policy.fallbacks === "alone") return [];
  const byWhat = new Map<string, { what: string; struck: VertexView[] }>();
  for (const [id, view] of standing.views) {
    if (!view.free || standing.closed.has(id) || !gatesAreGood(view, standing)) continue;
    const what = strikeOf(view, policy);
    if (what === null) continue;
    // Tests that follow all nodes (C7) would hold back the nodes that they wait for.
    const key = `${what}, ${view.plan.deferred ? "deferred" : "in the build"}`;
    const known = byWhat.get(key);
    if (known) known.struck.push(view);
    else byWhat.set(key, { what, struck: [view] });
  }
  return [...byWhat.values()].flatMap(({ what, struck }) =>
    (what === EARLIER_ROUND || what === TAKEN ? [struck] : moments(struck).filter((moment) => moment.length > 1)).map(
      (moment) => ({
        what,
        uniqueIds: moment.map((view) => view.plan.uniqueId),
      }),
    ),
  );
}

/** What a further round takes up is built in one build, as `dbt retry` does it, one vertex or many (behaviour G8). */
export const EARLIER_ROUND = "an earlier round";

/**
 * A container that was taken away strikes all that ran in it, one vertex or many, and says nothing of any of them
 * (behaviour D21): they go with the rest, and nothing is tried alone first.
 */
export const TAKEN = "a container that was taken away";

/** What struck a vertex for the first time that would strike others too; null if nothing of the kind did. */
export function strikeOf(view: VertexView, policy: Policy): string | null {
  const { plan, class: cls } = view;
  if (plan.batchSize !== undefined || plan.resourceType === "unit_test") return null;
  // What was running in each of several killed builds may be what kills them.
  if (view.carried && isFailure(view)) return cls === "interrupted" && view.allLost > 1 ? null : EARLIER_ROUND;
  if (cls === "interrupted" && view.taken > 0 && view.lost === view.taken) return TAKEN;
  if (cls === "interrupted") return view.lost === 1 && lostItsWarehouse(view) ? KINDS.connection.what : null;
  if (cls !== "failed") return null;
  const rebuildsNodes = plan.resourceType === "test" && policyFor(plan, policy).onTestFailure === "node";
  if (rebuildsNodes) return null;
  if (policy.fallbacks === "together") return "any cause (fallbacks: together)";
  if (view.tries > 1) return null;
  const kind = failureIn(view, policy)?.kind;
  if (kind !== undefined && KINDS[kind].outage) return KINDS[kind].what;
  return isFoundByTest(view) ? "what they found" : null;
}

/** Its build did not die of it: the warehouse went away under all of them. */
const lostItsWarehouse = ({ owner }: VertexView): boolean =>
  owner?.end?.lostWarehouse === true || owner?.end?.cause.kind === "connection";

function moments(struck: readonly VertexView[]): VertexView[][] {
  const found: VertexView[][] = [];
  let lastMs = Number.NEGATIVE_INFINITY;
  for (const view of [...struck].sort((a, b) => a.endedAtMs - b.endedAtMs)) {
    if (view.endedAtMs - lastMs > MOMENT_MS) found.push([]);
    found.at(-1)!.push(view);
    lastMs = view.endedAtMs;
  }
  return found;
}
