import type { TaskRow } from "#core/contracts/ledger.ts";
import type { Policy } from "#core/contracts/settings.ts";
import { endsOrphans, type OrphanSearch } from "#core/dbt/orphans.ts";
import type { LaunchDecision, StepInput } from "#core/run/deciding/decision.ts";
import { isBuiltWhole } from "#core/run/deciding/event-window.ts";
import { gatesAreGood, type Standing } from "#core/run/deciding/recovery-set.ts";
import { mayHaveLeftQuery, retryAtMs } from "#core/run/deciding/retry-rule.ts";
import { FIRST_ROUND, type Round } from "#core/run/judging/rounds.ts";
import { currentProducer, isFailure, isOver, overAtMs, type VertexView } from "#core/run/judging/vertex-view.ts";
import { type Plan, takesOneWriter } from "#core/run/planning/plan.ts";

/** The producer's start: what dbt would have taken for now had it reached the model then. A queued run has not begun before. */
export function asOf(
  uniqueIds: readonly string[],
  standing: Standing,
  tasks: readonly TaskRow[],
  round: Round = FIRST_ROUND,
): { asOfMs?: number } {
  const startedAtMs = currentProducer(tasks)?.startedAtMs;
  const plans = uniqueIds.map((id) => standing.views.get(id)!.plan);
  const isAsked = plans.some((plan) => plan.batchSize !== undefined && !isBuiltWhole(plan, round));
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
  // Of a build that goes on, its sessions are its own until it told how the vertex ended.
  const goneAtMs = task && !isOver(task) ? Math.max(...left.map((view) => view.endedAtMs)) : task ? overAtMs(task) : 0;
  const openedBeforeMs = goneAtMs + CLOCKS_DIFFER_MS;
  return { orphans: { uniqueIds: left.map((view) => view.plan.uniqueId), openedBeforeMs } };
}

/** A failed or interrupted vertex whose gates are good and whose time has come. */
export function isDue(view: VertexView, input: StepInput, standing: Standing, plan: Plan): boolean {
  if (!view.free || !isFailure(view)) return false;
  if (standing.closed.has(view.plan.uniqueId)) return false;
  if (!gatesAreGood(view, standing)) return false;
  return view.carried || input.nowMs >= dueAtMs(view, input.policy, plan);
}

/** From when on a failed or interrupted vertex may be built again. Milliseconds. */
export function dueAtMs(view: VertexView, policy: Policy, plan: Plan): number {
  // Where orphans can be ended, the container does so before it builds, and waits only if it can not.
  const noGrace = takesOneWriter(plan) || endsOrphans(plan.adapterType);
  return retryAtMs(view, policy, noGrace ? 0 : policy.orphanGraceSeconds);
}

/** What a task takes over, each vertex from the owner that the decision saw. */
export function claimsOf(uniqueIds: readonly string[], standing: Standing): LaunchDecision["claims"] {
  return uniqueIds.map((uniqueId) => {
    const view = standing.views.get(uniqueId)!;
    const from = view.row?.ownerTask ?? null;
    const lost = view.class === "interrupted" ? view.row?.statusTask : undefined;
    // What it said before, if anything, counts no more: nor where this task ends before it comes to it.
    const forget = from !== null && view.class === "not_built" && view.row?.status === undefined;
    return { uniqueId, from, ...(lost === undefined ? {} : { lostTask: lost }), ...(forget ? { forget } : {}) };
  });
}
