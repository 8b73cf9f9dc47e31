import type { Ledger } from "#clients/ledger.ts";
import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import { PlanRefused } from "#core/errors.ts";
import { hasConsumer, type Plan } from "#core/run/planning/plan.ts";
import { planProblem, toldPlanKey } from "#core/run/planning/plan-bounds.ts";
import type { StopOrder } from "#core/run/watching/stop-reason.ts";

export interface AcceptPlanDeps {
  readonly ledger: Pick<Ledger, "setPlan" | "readRun">;
  readonly readPlan: (planKey: string) => Promise<Plan | null>;
}

/**
 * The plan of a run that has none yet: what a task has told that this run launched to make one, under its own prefix,
 * within bounds (behaviour D22). Undefined: there is none yet. A run that is being stopped ends without a plan that is
 * refused.
 * @throws PlanRefused
 */
export async function acceptedPlan(
  run: RunRow,
  tasks: readonly TaskRow[],
  stop: StopOrder | null,
  deps: AcceptPlanDeps,
): Promise<string | undefined> {
  try {
    const planKey = toldPlanKey(run, tasks);
    if (planKey === null) return undefined;
    const plan = await deps.readPlan(planKey);
    if (plan === null) return undefined;
    const problem = planProblem(plan, run);
    if (problem !== null) throw new PlanRefused(planKey, problem);
    const plannedNodes = plan.vertices.filter(hasConsumer).length;
    if (await deps.ledger.setPlan(run, { planKey, plannedVertices: plan.vertices.length, plannedNodes }))
      return planKey;
    return (await deps.ledger.readRun(run))?.planKey;
  } catch (error) {
    if (stop !== null && error instanceof PlanRefused) return undefined;
    throw error;
  }
}
