import type { TaskRow } from "#core/contracts/ledger.ts";
import type { Doubt } from "#core/run/judging/ephemeral-doubt.ts";
import { letsThrough, type VertexView } from "#core/run/judging/vertex-view.ts";

/** How the message of a planned vertex begins that a build in order left out for no reason. */
export const NOT_SELECTED = "Not selected by dbt.";

const DOUBTS: Readonly<Record<Doubt, string>> = {
  failed: "dbt skipped what is below it: it could not be compiled. dbt prints no more at its default level.",
  in_doubt:
    "dbt skipped what is below it, since it or an ephemeral model beside it could not be compiled; dbt does not name it.",
};

/** What is held against an ephemeral model of which dbt said nothing, in a sentence; null where nothing is. */
export const doubtSentence = ({ doubt }: VertexView): string | null => (doubt === null ? null : DOUBTS[doubt]);

/** What dbt's silence about a vertex of an ended build means, in a sentence; null where dbt spoke, or silence is good. */
export function silenceOf(view: VertexView, views: ReadonlyMap<string, VertexView>): string | null {
  if (view.row?.status !== undefined || view.class === "good" || view.class === "skipped") return null;
  if (view.doubt !== null) return doubtSentence(view);
  const { end } = view.owner ?? {};
  return blockerSentence(view, views) ?? whyUnreached(end) ?? `${NOT_SELECTED} ${whyUnselected(end)}`;
}

/** The first gate parent that keeps a vertex from being built, in a sentence; null where none does. */
export function blockerSentence(view: VertexView, views: ReadonlyMap<string, VertexView>): string | null {
  const blocker = view.plan.gateParents.find((id) => views.has(id) && !letsThrough(views.get(id)));
  return blocker === undefined ? null : `Its gate parent ${blocker} is not good.`;
}

function whyUnreached(end: TaskRow["end"]): string | null {
  if (end?.inOrder !== true) return "The build ended before dbt reached it.";
  if (end.failFast) return "dbt stopped early (fail-fast).";
  return end.hookFailures.some((hook) => hook.phase === "start") ? "A hook failed and dbt built nothing." : null;
}

const whyUnselected = (end: TaskRow["end"]): string =>
  end?.cause.kind === "empty_selection"
    ? "The selection found nothing."
    : "dbt did not select it: check the selection.";
