import { sizeOfSet } from "#core/run/deciding/build-size.ts";
import { asOf, claimsOf, isDue, orphansOf } from "#core/run/deciding/claims.ts";
import type { LaunchDecision, StepInput } from "#core/run/deciding/decision.ts";
import { eventWindowOf, isBuiltWhole } from "#core/run/deciding/event-window.ts";
import { fallbackSet, gatedCounts, readNow, type Standing, whyLeft } from "#core/run/deciding/recovery-set.ts";
import { FIRST_ROUND } from "#core/run/judging/rounds.ts";
import { currentProducer } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";

/** Fallbacks that are due now and for which there is room: those that gate most first. `grouped` are built together. */
export function dueSingles(
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
  const { round = FIRST_ROUND } = input;
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
    const left = whyLeft(view, input.policy, standing);
    const startedAtMs = currentProducer(input.tasks)?.startedAtMs;
    const eventWindow = isBuiltWhole(view.plan, round) ? null : eventWindowOf(view, startedAtMs);
    launches.push({
      kind: "fallback",
      uniqueIds,
      claims: claimsOf(uniqueIds, standing),
      size: sizeOfSet(uniqueIds, standing, input.tasks),
      ...(eventWindow ? { eventWindow } : asOf(uniqueIds, standing, input.tasks, round)),
      ...orphansOf(uniqueIds, standing, plan, input.tasks),
      reason: `${view.plan.uniqueId} ${what}: it is built alone.${left === null ? "" : ` ${left}`}`,
    });
  }
  return launches;
}
