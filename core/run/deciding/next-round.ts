import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { RoundRequest } from "#core/contracts/rounds.ts";
import { isFullRefresh } from "#core/contracts/run-input.ts";
import type { Policy } from "#core/contracts/settings.ts";
import { type Closing, closings } from "#core/run/deciding/closing.ts";
import { droppedViews } from "#core/run/deciding/dropped-views.ts";
import { brokenCause } from "#core/run/deciding/producers.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import { currentProducer, type VertexView, viewVertices } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";

/** What the ledger says of a run that a further round is asked for. */
export interface EndedRun {
  readonly run: Pick<RunRow, "round" | "settings" | "input">;
  readonly plan: Plan | null;
  readonly rows: readonly VertexRow[];
  readonly tasks: readonly TaskRow[];
  readonly policy: Policy;
}

/** What a further round would do, told before it is opened. */
export interface NextRound {
  /** What would be built, in gate order; null where there is no plan: a producer makes one first. */
  readonly builds: readonly VertexView[] | null;
  /** What is not good and would stay so, with the reason. */
  readonly refused: readonly { readonly view: VertexView; readonly word: Closing }[];
  /** Vertices that stay as they are, good. */
  readonly kept: number;
  /** Of these, where single nodes are named: views that the warehouse drops with what is built again beneath them. */
  readonly dropped: readonly VertexView[];
}

/** Looks at the next round of a run as if it had been opened by this request. Pure: nothing is decided by it. */
export function nextRound({ run, plan, rows, tasks, policy }: EndedRun, request: RoundRequest): NextRound {
  if (plan === null) return { builds: null, refused: [], kept: 0, dropped: [] };
  const round = roundOf({ round: run.round + 1, opening: request }, plan);
  const views = viewVertices(plan, rows, tasks, round);
  const closed = closings(views, policy, null, null, undefined, round);
  const open = [...views.values()].filter((view) => view.class !== "good" && view.class !== "skipped");
  const builds = open.filter((view) => !closed.has(view.plan.uniqueId));
  return {
    builds,
    refused: open.flatMap((view) => {
      const word = closed.get(view.plan.uniqueId);
      return word === undefined ? [] : [{ view, word }];
    }),
    kept: views.size - open.length,
    dropped: round.scope === null ? [] : droppedViews(views, builds, request.fullRefresh || isFullRefresh(run)),
  };
}

/** Whether an automatic round has something to gain: a failure that may pass, or what was never built (behaviour G9). */
export function mayBeCured(ended: EndedRun, request: RoundRequest): boolean {
  const { builds } = nextRound(ended, request);
  if (builds !== null) return builds.length > 0;
  const producer = currentProducer(ended.tasks);
  return producer === null || !brokenCause(producer);
}
