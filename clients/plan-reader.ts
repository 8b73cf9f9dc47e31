import type { Artefacts } from "#clients/artefacts.ts";
import { ObjectTooLarge, PlanRefused } from "#core/errors.ts";
import { type Plan, planSchema } from "#core/run/planning/plan.ts";
import { MOST_PLAN_BYTES } from "#core/run/planning/plan-bounds.ts";
import { inOurWords } from "#core/zod-sentences.ts";

/**
 * Plans kept by a warm function: enough for the runs of one moment, and of so many vertices together. 34,000 of them were
 * measured at 30 MB, and take three times as much while they are read: watch-node has 512 MiB for it.
 */
const KEPT_PLANS = 4;
const KEPT_VERTICES = 60_000;

/**
 * Reads plans from the artefact bucket and keeps the last few: a plan is written once, so a copy is never stale. Calls
 * that come while a plan is being read wait for that one read: where many invocations share a process (the embedded
 * AWS), 187 consumers began with 187 reads of the same plan. Null if the object is not there; it may come yet. Throws {@link PlanRefused} for what is no plan, or too large.
 */
export function planReader(artefacts: Pick<Artefacts, "getJson">): (planKey: string) => Promise<Plan | null> {
  const kept = new Map<string, Promise<Plan | null>>();
  const sizes = new Map<string, number>();
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
      else keepFew(planKey, plan.vertices.length);
      return plan;
    } catch (error) {
      kept.delete(planKey);
      throw error;
    }
  };

  /** The oldest others go, until what is kept is no more than a function of the smallest size can hold. */
  function keepFew(read: string, vertices: number): void {
    sizes.set(read, vertices);
    const keptVertices = () => [...kept.keys()].reduce((sum, key) => sum + (sizes.get(key) ?? 0), 0);
    for (const key of kept.keys()) if (key !== read && keptVertices() > KEPT_VERTICES) kept.delete(key);
    for (const key of sizes.keys()) if (!kept.has(key)) sizes.delete(key);
  }
}

async function readPlan(artefacts: Pick<Artefacts, "getJson">, planKey: string): Promise<Plan | null> {
  const value = await artefacts.getJson(planKey, MOST_PLAN_BYTES).catch((error: unknown) => {
    if (error instanceof ObjectTooLarge || error instanceof SyntaxError) throw new PlanRefused(planKey, error.message);
    throw error;
  });
  if (value === null) return null;
  const parsed = planSchema.safeParse(value, { error: inOurWords });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new PlanRefused(planKey, `${issue?.path.join(".")}: ${issue?.message}`.slice(0, 300));
}
