import type { TaskRow } from "#core/contracts/ledger.ts";
import { counted } from "#core/counted.ts";
import { sizeOfSet } from "#core/run/deciding/build-size.ts";
import { asOf, claimsOf, orphansOf } from "#core/run/deciding/claims.ts";
import type { LaunchDecision, StepInput } from "#core/run/deciding/decision.ts";
import { EARLIER_ROUND, type FailedTogether, TAKEN } from "#core/run/deciding/failed-together.ts";
import {
  anyWaitsForRecovering,
  gatesAreGood,
  mayRecover,
  recoverySet,
  type Standing,
} from "#core/run/deciding/recovery-set.ts";
import type { VertexView } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";

/**
 * One recovery build per wave: the recovery set, held back for `holdSeconds` while a failed vertex that gates more is
 * still being retried, and for as long as a vertex that was running in a killed build has its first lone retry: it may
 * be what kills builds, and the rest is to follow in one build (behaviour D4, G21). What one outage struck goes with it,
 * and is not held back (G26).
 */
export function recoveryWave(
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
  const ofRound = producer.round >= (input.round?.number ?? 1);
  const restWaits =
    (ofRound && producer.end?.failFast === true && recovering.length > 0) || recovering.some(firstLoneRetry);
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
      size: sizeOfSet(uniqueIds, standing, input.tasks),
      ...asOf(uniqueIds, standing, input.tasks, input.round),
      ...orphansOf(uniqueIds, standing, plan, input.tasks),
      reason: reasonOfWave(uniqueIds.length, groups, struck.length),
    },
    held: restWaits,
  };
}

function reasonOfWave(size: number, groups: readonly FailedTogether[], struck: number): string {
  if (groups.length > 0 && groups.every(({ what }) => what === EARLIER_ROUND)) return reasonOfRound(size, struck);
  if (groups.length > 0 && groups.every(({ what }) => what === TAKEN)) return reasonOfTaken(size, struck);
  const notBuilt = (count: number) => `${counted(count, "vertex was", "vertices were")} not built`;
  if (struck === 0) return `${notBuilt(size)}, and all that gates them is good.`;
  const what = groups.map((group) => group.what).join(" and ");
  const rest = size === struck ? "" : `, and ${notBuilt(size - struck)}`;
  return `${struck} vertices failed at about the same moment of ${what}${rest}: one build for all.`;
}

const reasonOfTaken = (size: number, again: number): string => {
  const rest = size === again ? "" : `, and ${counted(size - again, "vertex was", "vertices were")} not built`;
  return `${counted(again, "vertex", "vertices")} ran in ${TAKEN}${rest}: one build for all.`;
};

const reasonOfRound = (size: number, again: number): string => {
  const rest = size === again ? "" : `, and ${counted(size - again, "vertex was", "vertices were")} not built`;
  return `${counted(again, "vertex is", "vertices are")} tried again after an earlier round${rest}: one build for all.`;
};

/** What is itself gated by a vertex of the wave can not be waited for. */
const waitsForWave = (view: VertexView, standing: Standing): boolean => view.free && !gatesAreGood(view, standing);

/** Killed once, and its lone retry has not ended yet. */
function firstLoneRetry(view: VertexView): boolean {
  const killed = view.lost - view.taken;
  if (view.class === "interrupted") return killed === 1;
  return !view.free && killed === 1 && view.tries <= 1;
}
