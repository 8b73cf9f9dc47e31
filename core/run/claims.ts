import type { TaskRow } from "#core/contracts/ledger.ts";
import { endsOrphans, type OrphanSearch } from "#core/dbt/orphans.ts";
import type { LaunchDecision, StepInput } from "#core/run/decision.ts";
import { type Plan, SINGLE_WRITERS } from "#core/run/plan.ts";
import { gatesAreGood, type Standing } from "#core/run/recovery-set.ts";
import { mayHaveLeftQuery, retryAtMs } from "#core/run/retry-rule.ts";
import { currentProducer, isFailure, overAtMs, type VertexView } from "#core/run/vertex-view.ts";

/** The producer's start: what dbt would have taken for now had it reached the model then. A queued run has not begun before. */
export function asOf(uniqueIds: readonly string[], standing: Standing, tasks: readonly TaskRow[]): { asOfMs?: number } {
  const startedAtMs = currentProducer(tasks)?.startedAtMs;
  const isAsked = uniqueIds.some((id) => standing.views.get(id)!.plan.batchSize !== undefined);
  return isAsked && startedAtMs !== undefined ? { asOfMs: startedAtMs } : {};
}

/** Milliseconds by which the clocks of warehouse and container may differ. */
const CLOCKS_DIFFER_MS = 60_000;

/** Vertices whose last build was killed, or lost its connection: their queries may still run (behaviour D12). */
export function orphansOf(
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

/** A failed or interrupted vertex whose gates are good and whose time has come. */
export function isDue(view: VertexView, input: StepInput, standing: Standing, plan: Plan): boolean {
  if (!view.free || !isFailure(view)) return false;
  if (standing.closed.has(view.plan.uniqueId)) return false;
  if (!gatesAreGood(view, standing)) return false;
  // Where orphans can be ended, the container does so before it builds, and waits only if it can not.
  const noGrace = SINGLE_WRITERS.has(plan.adapterType ?? "") || endsOrphans(plan.adapterType);
  return input.nowMs >= retryAtMs(view, input.policy, noGrace ? 0 : input.policy.orphanGraceSeconds);
}

/** What a task takes over, each vertex from the owner that the decision saw. */
export function claimsOf(uniqueIds: readonly string[], standing: Standing): LaunchDecision["claims"] {
  return uniqueIds.map((uniqueId) => {
    const view = standing.views.get(uniqueId)!;
    const from = view.row?.ownerTask ?? null;
    const lost = view.class === "interrupted" ? view.row?.statusTask : undefined;
    return lost === undefined ? { uniqueId, from } : { uniqueId, from, lostTask: lost };
  });
}
