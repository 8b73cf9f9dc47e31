import type { Artefacts } from "#clients/artefacts.ts";
import { type Plan, planSchema } from "#core/run/plan.ts";

/** Plans kept by a warm function: enough for the runs of one moment, few enough for 10,000 vertices each (about 5 MB). */
const KEPT_PLANS = 4;

/**
 * Reads plans from the artefact bucket and keeps the last few: a plan is written once, so a copy is never stale.
 * Null if the object is not there.
 */
export function planReader(artefacts: Pick<Artefacts, "getJson">): (planKey: string) => Promise<Plan | null> {
  const kept = new Map<string, Plan>();
  return async (planKey) => {
    const known = kept.get(planKey);
    if (known) return known;
    const value = await artefacts.getJson(planKey);
    if (value === null) return null;
    const plan = planSchema.parse(value);
    kept.set(planKey, plan);
    const oldest = kept.keys().next().value;
    if (kept.size > KEPT_PLANS && oldest !== undefined) kept.delete(oldest);
    return plan;
  };
}
