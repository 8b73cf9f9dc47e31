import type { Policy } from "#core/contracts/settings.ts";
import { type Failure, failureOf, wordsOfFailure } from "#core/dbt/failure.ts";
import { KINDS } from "#core/dbt/failure-messages.ts";
import { TEST_TYPES } from "#core/dbt/resource-types.ts";
import { backOffMs } from "#core/run/deciding/back-off.ts";
import { ranOutOfMemory } from "#core/run/deciding/build-size.ts";
import { eventWindowOf, isBuiltWhole } from "#core/run/deciding/event-window.ts";
import { FIRST_ROUND, type Round } from "#core/run/judging/rounds.ts";
import type { VertexView } from "#core/run/judging/vertex-view.ts";
import { policyFor } from "#core/run/planning/node-settings.ts";
import { MOST_TAKEN } from "#core/run/watching/capacity.ts";

/** What a vertex's message says of its failure, by the table of messages and the project's own; null where nobody knows. */
export const failureIn = (view: VertexView, policy: Policy): Failure | null =>
  failureOf(view.row?.message, view.adapterType, policy.failureMessages);

/**
 * A data test that ran and found what it looks for: `fail`, and no error of its own (dbt 2's first pre-releases say
 * `fail` also of a test whose SQL errs, with an error line).
 */
export const isFoundByTest = ({ plan, row }: VertexView): boolean =>
  plan.resourceType === "test" && row?.status === "fail" && !/^\[error\]/.test(row.message ?? "");

/** Why a further try is of no use whatever the count; null if it may help (behaviour G16, C14, G32). */
function deterministicFailure(view: VertexView, policy: Policy): string | null {
  if (view.plan.resourceType === "unit_test") return "a unit test";
  // Whoever gives a test tries of its own, or has its node built again for it, expects another answer.
  const asked = view.plan.overrides.retries !== undefined || policy.onTestFailure === "node";
  if (isFoundByTest(view) && !asked) return "a data test that ran";
  const failure = failureIn(view, policy);
  return failure !== null && KINDS[failure.kind].deterministic ? KINDS[failure.kind].what : null;
}

/** Further tries that a vertex may have, by the policy for its kind. */
function retriesOf(view: VertexView, policy: Policy): number {
  const isTest = TEST_TYPES.has(view.plan.resourceType);
  return isTest ? policy.retries.test : policy.retries.node;
}

/**
 * Why a failed or interrupted vertex is given up for good; null if it may be built again. One sentence. A further round
 * is a try of its own, also for what comes to the same each time, unless nobody asked for it; what may double its rows
 * it does not repeat.
 */
export function givenUp(view: VertexView, ofRun: Policy, round: Round = FIRST_ROUND): string | null {
  if (round.force && view.carried) return null;
  const policy = policyFor(view.plan, ofRun);
  if (view.notSelected) return "dbt did not select it: the build ended in order and never mentioned it.";
  if (view.launchGivenUp)
    return `Its task could not be started: ${view.owner?.lastLaunchFailure ?? view.owner?.stop?.stoppedReason ?? "no reason given"}`;
  if (view.class === "interrupted") return interruptedForGood(view, policy, round);
  if (mayHaveWritten(view, policy)) return MAY_HAVE_WRITTEN;
  if (isWindowUnknown(view, round)) return WINDOW_UNKNOWN;
  const isTest = view.plan.resourceType === "test";
  if (view.carried && !round.automatic) return null;
  if (isTest && policy.onTestFailure === "none") return "Its tries are used up: onTestFailure is none.";
  if (policy.retryOn === "transient") {
    const why = deterministicFailure(view, policy);
    if (why) return `Not tried again: ${why} comes to the same each time (retryOn: transient).`;
  }
  const allowed = 1 + retriesOf(view, policy);
  if (view.tries >= allowed) return `Its tries are used up: ${view.tries} of ${allowed}.`;
  return null;
}

/**
 * dbt tells a failure before any row was written from one after the commit in no word of its own (behaviour G28). What
 * proves that nothing was written: a connection that never came about, or a transaction that the warehouse rolled back.
 */
function mayHaveWritten(view: VertexView, policy: Policy): boolean {
  if (view.plan.afterFailure === "repeat") return false;
  if (failureIn(view, policy)?.neverBegan) return false;
  return view.plan.afterFailure === "unknown" || lostConnection(view);
}

/**
 * The end of a transaction that nobody saw: the commit may have arrived before the line was cut. Wider than the table's
 * words for a connection: of what may double rows a doubt is enough.
 */
const PERHAPS_CUT =
  /connection|disconnect|timed? ?out|timeout|did not complete|broken ?pipe|remote end|\beof\b|socket|\bOSError\b|ProtocolError|IncompleteRead|service (is |was )?(currently |temporarily )?unavailable|\b50\d (GET|POST|PUT|PATCH) /i;

/** A timeout that the warehouse itself tells has ended the statement: its connection was there to say so. */
const TOLD_BY_THE_WAREHOUSE = /canceling statement due to|reached its statement or warehouse timeout/i;

function lostConnection({ row, adapterType }: VertexView): boolean {
  if (!row?.message) return false;
  const words = wordsOfFailure(row.message);
  if (TOLD_BY_THE_WAREHOUSE.test(words)) return false;
  return failureOf(row.message, adapterType)?.kind === "connection" || PERHAPS_CUT.test(words);
}

/** Killed in its query, or cut off from it: the warehouse may still be at work on it (behaviour D12). */
export const mayHaveLeftQuery = (view: VertexView): boolean =>
  view.class === "interrupted" || (view.class === "failed" && lostConnection(view));

const MAY_HAVE_WRITTEN =
  "It may have written: not tried again, since another build could double its rows. Look at the table before you run it again; meta.stepwatch.safeToRepeat: true says that repeating is safe.";

const isWindowUnknown = (view: VertexView, round: Round): boolean =>
  view.plan.batchSize !== undefined && !isBuiltWhole(view.plan, round) && eventWindowOf(view) === null;

const WINDOW_UNKNOWN =
  "Not tried again: dbt named no batch of it, and another build would take the last few batches and leave the others missing. Start a run with --event-time-start and --event-time-end, or with --full-refresh.";

function interruptedForGood(view: VertexView, policy: Policy, round: Round): string | null {
  const repeatable = view.plan.safeToRepeat && policy.interrupted === "rebuild";
  if (!repeatable) {
    return `Outcome unknown: its build was killed while it ran, and building a ${view.plan.materialized ?? view.plan.resourceType} twice may double rows. Look at the table before you run it again.`;
  }
  if (view.plan.orphan === "unknowable")
    return `Outcome unknown: its build was killed while it ran, and nobody can tell whether its query still runs on the warehouse and writes beside another build. Look at the table before you run it again; meta.stepwatch.safeToRepeat: true says that repeating is safe.`;
  if (isWindowUnknown(view, round)) return WINDOW_UNKNOWN;
  const killed = view.lost - view.taken;
  if (killed > policy.losses) return `Each of ${killed} builds that ran it was killed${howLast(view)}.`;
  if (view.taken > MOST_TAKEN) return `Each of ${view.taken} builds that ran it lost its container to somebody else.`;
  return null;
}

/** A container that is too small is the one thing that a person can change about kills. */
function howLast({ owner }: VertexView): string {
  if (owner === null || !ranOutOfMemory(owner)) return "";
  const size = owner.size === "queue" ? "executionQueue" : "producer";
  return `; the last ran out of memory: give ${size} more memoryMiB`;
}

/**
 * The moment from which a failed or interrupted vertex may be built again. Milliseconds. A failure waits
 * `retryDelaySeconds`, doubled with each try up to five minutes; an interruption waits until its orphaned query has had
 * time to end (D12).
 */
export function retryAtMs(view: VertexView, policy: Policy, orphanGraceSeconds: number): number {
  if (view.class === "interrupted") {
    const end = view.owner?.end?.endedAtMs ?? view.owner?.stop?.stoppedAtMs ?? view.endedAtMs;
    return end + orphanGraceSeconds * 1000;
  }
  return view.endedAtMs + backOffMs(view.tries, policyFor(view.plan, policy));
}
