import { bytesOf } from "#core/aws-limits.ts";
import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import { PlanRefused } from "#core/errors.ts";
import { artefactKeys } from "#core/names.ts";
import { hasConsumer, type Plan } from "#core/run/planning/plan.ts";

/** Vertices of a plan, at most: half again as many as the functions were measured with (infra/function-sizes). */
export const MOST_PLANNED = 100_000;

/**
 * Nodes of it. Each has a consumer: five transitions of $0.025 a thousand, hence less than $4 of a plan that somebody
 * has forged, and no more executions than a tenth of those that an account may have open.
 */
export const MOST_NODES = 30_000;

/** 900 bytes a vertex, as was measured; read and parsed, three times as much is half of the smallest function's memory. */
export const MOST_PLAN_BYTES = MOST_PLANNED * 900;

/** An id's bytes: dbt's own are below 2,000 where a test names every value that it accepts (behaviour D18). */
const MOST_ID_BYTES = 4_096;

/**
 * The first task that tells a plan of those that were launched in this run to make one, and what it tells; what any other
 * task tells is nobody's plan. Null: there is none yet.
 * @throws PlanRefused where it does not lie under the task's own prefix
 */
export function toldPlanKey({ project, runId }: RunRow, tasks: readonly TaskRow[]): string | null {
  const makers = tasks.filter(({ kind, round }) => round > 0 && (kind === "producer" || kind === "plan"));
  const teller = makers.find((task) => task.toldPlanKey !== undefined);
  if (teller?.toldPlanKey === undefined) return null;
  if (teller.toldPlanKey === artefactKeys.plan(project, runId, teller.task)) return teller.toldPlanKey;
  throw new PlanRefused(
    teller.toldPlanKey.slice(0, 200),
    `it is not under the prefix of task ${teller.task}, which tells it.`,
  );
}

/** Why a run may not be decided by a plan that a container has written, in a sentence; null if it may. */
export function planProblem(plan: Plan, { project, runId }: RunRow): string | null {
  if (plan.project !== project || plan.runId !== runId) return `it is of run ${plan.runId} of ${plan.project}.`;
  const { vertices } = plan;
  if (vertices.length > MOST_PLANNED) return `it has ${vertices.length} vertices, more than ${MOST_PLANNED}.`;
  const nodes = vertices.filter(hasConsumer).length;
  if (nodes > MOST_NODES) return `it has ${nodes} nodes, more than ${MOST_NODES}.`;
  const ids = new Set(vertices.map(({ uniqueId }) => uniqueId));
  if (ids.size < vertices.length) return `it names ${vertices.length - ids.size} of its vertices twice.`;
  const wrong = vertices.find(({ uniqueId }) => !isId(uniqueId));
  return wrong === undefined ? null : `${JSON.stringify(wrong.uniqueId.slice(0, 100))} is no id of dbt.`;
}

/** Text in any script, without what ends a line or is no text. */
const isId = (uniqueId: string): boolean =>
  uniqueId !== "" && !/[\p{Cc}\p{Cs}]/u.test(uniqueId) && bytesOf(uniqueId) <= MOST_ID_BYTES;
