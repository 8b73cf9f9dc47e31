import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { counted } from "#core/counted.ts";
import type { Round } from "#core/run/judging/rounds.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { consumersDue } from "#core/run/watching/consumer.ts";

const MOST_NAMED = 3;

/**
 * What an ended run says of nodes that dbt ran and for which no consumer was ever started: their tables are as told, but
 * nobody who watches executions has seen them. So it looks where the service does not go on with a run's loop: the run is
 * over before its second turn. Null of a run that goes on, whose next turn starts what is missing.
 */
export function unwatchedNodes(
  run: Pick<RunRow, "state" | "settings">,
  plan: Plan,
  rows: readonly VertexRow[],
  tasks: readonly TaskRow[],
  round: Round,
): string | null {
  if (run.state === "running") return null;
  const due = consumersDue(plan, rows, run.settings.policy.testBehavior, round, tasks);
  const ids = [...new Set(due.map(({ uniqueId }) => uniqueId))];
  if (ids.length === 0) return null;
  const named = ids.slice(0, MOST_NAMED).join(", ") + (ids.length > MOST_NAMED ? ", …" : "");
  return `dbt ran ${counted(ids.length, "node")} that never had a consumer: ${named}.`;
}
