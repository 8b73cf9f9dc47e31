import { failureOf } from "#core/dbt/failure.ts";
import { NODE_TYPES } from "#core/dbt/resource-types.ts";
import type { VertexView } from "#core/run/judging/vertex-view.ts";
import type { Attempt } from "#core/run/reporting/attempts.ts";

/**
 * What stands in the warehouse where a node of the run belongs. `fresh`: what this run built. `stale`: what an earlier run
 * has left, if one did. `perhaps_replaced`: it failed, and what failed may have come after its table was replaced (B12).
 * `unknown`: its build was cut off, or dbt's message does not say how far it came.
 */
export interface TableState {
  readonly state: "fresh" | "stale" | "perhaps_replaced" | "unknown";
  /** One sentence. */
  readonly words: string;
}

/** Null for what has no table: tests, ephemeral models, exposures. */
export function tableState(view: VertexView, tried: readonly Attempt[]): TableState | null {
  const { plan, row } = view;
  if (!NODE_TYPES.has(plan.resourceType) || !plan.builds) return null;
  if (view.marked) return { state: "unknown", words: "A person's word stands for it: this run did not build it." };
  if (view.class === "good")
    return row?.status === "reused"
      ? { state: "stale", words: "dbt's state had it already: this run did not build it." }
      : { state: "fresh", words: `Built by this run, in task ${view.goodIn}.` };
  if (view.class === "interrupted" || view.class === "running")
    return { state: "unknown", words: "A build of it was cut off or goes on: nobody can tell what stands there." };
  const before = tried.findLast((one) => one.status === "success");
  if (view.class !== "failed") {
    return before === undefined
      ? { state: "stale", words: "Not built by this run: there stands what an earlier run has left, if one did." }
      : { state: "fresh", words: `Built by this run, in task ${before.task}, and not again since.` };
  }
  const left = before === undefined ? "what an earlier run has left, if one did" : `what task ${before.task} has built`;
  return failedState(view, left);
}

function failedState(view: VertexView, left: string): TableState {
  const failure = failureOf(view.row?.message, view.adapterType);
  const follows = view.plan.mayFailAfterReplacing || view.plan.afterFailure === "unknown";
  // dbt compiles a model, and holds it against its contract, before it sends the first statement; hooks it renders later.
  const beforeItsSql = !follows && (failure?.kind === "compilation" || failure?.kind === "contract");
  if (view.notSelected || failure?.neverBegan || beforeItsSql)
    return { state: "stale", words: `It failed before it wrote to its table: there stands ${left}.` };
  if (follows)
    return {
      state: "perhaps_replaced",
      words: "It may have been written or replaced before it failed; dbt does not tell which of its statements failed.",
    };
  return {
    state: "unknown",
    words: `There should stand ${left}: nothing follows the replacement of its table. dbt does not say so.`,
  };
}
