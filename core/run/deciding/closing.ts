import { type CauseKind, WHOLE_RUN_CAUSES } from "#core/contracts/cause.ts";
import type { TaskRow } from "#core/contracts/ledger.ts";
import type { Policy } from "#core/contracts/settings.ts";
import { givenUp } from "#core/run/deciding/retry-rule.ts";
import { FIRST_ROUND, OUTSIDE, type Round } from "#core/run/judging/rounds.ts";
import { doubtSentence } from "#core/run/judging/silence.ts";
import { isFailure, type VertexView } from "#core/run/judging/vertex-view.ts";

/** The last word on a vertex that will not be built again in this round. */
export interface Closing {
  readonly uniqueId: string;
  readonly final: "dead" | "doomed" | "not_built";
  readonly finalReason: string;
  /** unique_id of the nearest vertex that is the cause; its own id where it is the cause itself. */
  readonly rootCause?: string;
}

/** No recovery after a producer that met the whole project's fault, found nothing, or whose hook ended it. */
const ENDS_RECOVERY: ReadonlySet<CauseKind> = new Set([...WHOLE_RUN_CAUSES, "empty_selection", "hook"]);

/** Why the producer's end leaves its not-built vertices not built, whatever the vertices say; null if they may recover. */
function noRecoveryAfter(producer: TaskRow | null, views: ReadonlyMap<string, VertexView>): string | null {
  const end = producer?.end;
  if (!end) return null;
  // A selection of tests alone: nothing for the producer, which runs no test then (behaviour C7).
  if (end.cause.kind === "empty_selection" && [...views.values()].some((view) => view.plan.deferred)) return null;
  const startHook = end.hookFailures.find((hook) => hook.phase === "start");
  if (startHook) return `The on-run-start hook ${startHook.name} failed: ${startHook.message}`;
  if (end.cause.kind === "hook" && end.hookFailures.length > 0) return null;
  // The warehouse went away under a build that had begun: what it lost is built again.
  if (end.lostWarehouse) return null;
  return ENDS_RECOVERY.has(end.cause.kind) ? end.cause.sentence : null;
}

/**
 * Last words, by one pass in gate order: what is given up is dead, what it gates is doomed by the nearest root, and
 * where the producer's end forbids recovery (a broken project, a failed start hook, fail-fast with a dead vertex) the
 * rest is not built. Words that stand in the ledger already are kept: a last word is never taken back in its round.
 */
export function closings(
  views: ReadonlyMap<string, VertexView>,
  policy: Policy,
  lastProducer: TaskRow | null,
  noRecovery: string | null = null,
  windowGone: (view: VertexView) => string | null = () => null,
  round: Round = FIRST_ROUND,
): Map<string, Closing> {
  const closed = new Map<string, Closing>();
  // How the producer of an earlier round ended holds nothing back in this one.
  const producer = lastProducer !== null && lastProducer.round >= round.number ? lastProducer : null;
  const forbidden = noRecoveryAfter(producer, views) ?? noRecovery;
  for (const [id, view] of views) {
    const word =
      standingWord(view) ??
      outsideWord(view) ??
      failureWord(view, policy, round, closed, forbidden) ??
      gatedWord(view, closed) ??
      doubtWord(view) ??
      forbiddenWord(view, forbidden ?? windowGone(view));
    if (word) closed.set(id, word);
  }
  closeUnitTests(views, closed);
  if (producer?.end?.failFast && [...closed.values()].some((word) => word.final === "dead")) {
    for (const [id, view] of views) {
      if (!closed.has(id) && view.class === "not_built" && view.free)
        closed.set(id, notBuiltWord(id, "dbt stopped at its first failure (fail-fast), which did not recover."));
    }
  }
  return closed;
}

/**
 * dbt skips the other unit tests of a model once one has failed, and none is worth a task whose model is not going to be
 * built (behaviour C15). They gate their model, so that the pass in gate order has been past them when it is closed.
 */
function closeUnitTests(views: ReadonlyMap<string, VertexView>, closed: Map<string, Closing>): void {
  for (const [id, view] of views) {
    if (view.plan.resourceType !== "unit_test" || !view.free || closed.has(id)) continue;
    const model = view.plan.nodes.find((node) => closed.has(node));
    if (model === undefined) continue;
    const word = closed.get(model)!;
    if (isFailure(view))
      closed.set(id, deadWord(id, `Not tried again: ${model}, its model, is not going to be built.`));
    else if (view.class !== "not_built") continue;
    else if (word.rootCause === undefined) closed.set(id, notBuiltWord(id, word.finalReason));
    else closed.set(id, doomedWord(id, word.rootCause));
  }
}

function standingWord(view: VertexView): Closing | null {
  const row = view.row;
  if (!row?.final) return null;
  return {
    uniqueId: view.plan.uniqueId,
    final: row.final,
    finalReason: row.finalReason ?? "",
    ...(row.rootCause ? { rootCause: row.rootCause } : {}),
  };
}

/**
 * Ephemeral models that could not be compiled, of which dbt has no message: nobody can tell whether that passes, hence
 * they have one further build with what is below them.
 */
function doubtWord(view: VertexView): Closing | null {
  const why = doubtSentence(view);
  if (why === null || !view.free || view.carried || view.owner?.kind === "producer") return null;
  const { uniqueId } = view.plan;
  return view.doubt === "failed" ? deadWord(uniqueId, `Not tried again: ${why}`) : notBuiltWord(uniqueId, why);
}

/** What a round is not for stays as it is: it is built again by none of its builds. */
function outsideWord(view: VertexView): Closing | null {
  if (!view.outside || !view.free || view.class === "good" || view.class === "skipped") return null;
  return isFailure(view) ? deadWord(view.plan.uniqueId, OUTSIDE) : notBuiltWord(view.plan.uniqueId, OUTSIDE);
}

function failureWord(
  view: VertexView,
  policy: Policy,
  round: Round,
  closed: ReadonlyMap<string, Closing>,
  forbidden: string | null,
): Closing | null {
  if (!view.free || !isFailure(view)) return null;
  const reason = givenUp(view, policy, round) ?? (forbidden === null ? null : `Not tried again: ${forbidden}`);
  if (reason) return deadWord(view.plan.uniqueId, reason);
  const parent = view.plan.gateParents.find((id) => closed.has(id));
  return parent ? deadWord(view.plan.uniqueId, `Not tried again: ${parent}, which gates it, is not good.`) : null;
}

const deadWord = (uniqueId: string, finalReason: string): Closing => ({
  uniqueId,
  final: "dead",
  finalReason,
  rootCause: uniqueId,
});

function gatedWord(view: VertexView, closed: ReadonlyMap<string, Closing>): Closing | null {
  if (view.class !== "not_built" || !view.free) return null;
  const parent =
    view.plan.gateParents.find((id) => closed.get(id)?.rootCause !== undefined) ??
    view.plan.gateParents.find((id) => closed.has(id));
  if (!parent) return null;
  const word = closed.get(parent)!;
  const uniqueId = view.plan.uniqueId;
  if (word.rootCause === undefined) return { uniqueId, final: "not_built", finalReason: word.finalReason };
  return doomedWord(uniqueId, word.rootCause);
}

const doomedWord = (uniqueId: string, rootCause: string): Closing => ({
  uniqueId,
  final: "doomed",
  finalReason: `Upstream failed: ${rootCause}`,
  rootCause,
});

function forbiddenWord(view: VertexView, reason: string | null): Closing | null {
  if (reason === null || view.class !== "not_built" || !view.free) return null;
  return notBuiltWord(view.plan.uniqueId, reason);
}

/** The last word of a vertex that nothing of its own keeps from being built. */
const notBuiltWord = (uniqueId: string, finalReason: string): Closing => ({
  uniqueId,
  final: "not_built",
  finalReason,
});

/** Last words for everything that is not good, when nothing more will be built. What failed stays a failure. */
export function closeRest(
  views: ReadonlyMap<string, VertexView>,
  closed: ReadonlyMap<string, Closing>,
  reason: string,
): Map<string, Closing> {
  const all = new Map(closed);
  for (const [id, view] of views) {
    if (all.has(id) || view.class === "good" || view.class === "skipped") continue;
    all.set(id, isFailure(view) ? deadWord(id, `Not tried again: ${reason}`) : notBuiltWord(id, reason));
  }
  return all;
}
