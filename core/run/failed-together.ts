import type { Policy } from "#core/contracts/settings.ts";
import { KINDS } from "#core/dbt/failure-messages.ts";
import { gatesAreGood, type Standing } from "#core/run/recovery-set.ts";
import { failureIn, isFoundByTest } from "#core/run/retry-rule.ts";
import type { VertexView } from "#core/run/vertex-view.ts";

/** Two failures further apart than this are not of one moment: a warehouse that was away for a minute is back by then. Milliseconds. */
const MOMENT_MS = 60_000;

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
  const byWhat = new Map<string, VertexView[]>();
  for (const [id, view] of standing.views) {
    if (!view.free || standing.closed.has(id) || !gatesAreGood(view, standing)) continue;
    const what = strikeOf(view, policy);
    if (what === null) continue;
    const known = byWhat.get(what);
    if (known) known.push(view);
    else byWhat.set(what, [view]);
  }
  return [...byWhat].flatMap(([what, struck]) =>
    moments(struck)
      .filter((moment) => moment.length > 1)
      .map((moment) => ({ what, uniqueIds: moment.map((view) => view.plan.uniqueId) })),
  );
}

/** What struck a vertex for the first time that would strike others too; null if nothing of the kind did. */
function strikeOf(view: VertexView, policy: Policy): string | null {
  const { plan, class: cls } = view;
  if (plan.batchSize !== undefined || plan.resourceType === "unit_test") return null;
  if (cls === "interrupted") return view.lost === 1 && lostItsWarehouse(view) ? KINDS.connection.what : null;
  if (cls !== "failed") return null;
  const rebuildsNodes = plan.resourceType === "test" && policy.onTestFailure === "node";
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
