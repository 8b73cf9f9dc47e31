import type { Artefacts } from "#clients/artefacts.ts";
import { type Plan, planSchema } from "#core/run/plan.ts";

/** Plans kept by a warm function: enough for the runs of one moment, few enough for 10,000 vertices each (about 5 MB). */
const KEPT_PLANS = 4;

/**
 * Reads plans from the artefact bucket and keeps the last few: a plan is written once, so a copy is never stale. Calls
 * that come while a plan is being read wait for that one read: where many invocations share a process (the embedded
 * AWS), 187 consumers began with 187 reads of the same plan. Null if the object is not there; it may come yet.
 */
export function planReader(artefacts: Pick<Artefacts, "getJson">): (planKey: string) => Promise<Plan | null> {
  const kept = new Map<string, Promise<Plan | null>>();
  return async (planKey) => {
    const known = kept.get(planKey);
    if (known) return known;
    const reading = readPlan(artefacts, planKey);
    kept.set(planKey, reading);
    const oldest = kept.keys().next().value;
    if (kept.size > KEPT_PLANS && oldest !== undefined) kept.delete(oldest);
    try {
      const plan = await reading;
      if (plan === null) kept.delete(planKey);
      return plan;
    } catch (error) {
      kept.delete(planKey);
      throw error;
    }
  };
}

async function readPlan(artefacts: Pick<Artefacts, "getJson">, planKey: string): Promise<Plan | null> {
  const value = await artefacts.getJson(planKey);
  return value === null ? null : planSchema.parse(value);
}
