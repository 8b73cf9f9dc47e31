import type { Policy } from "#core/contracts/settings.ts";
import { TEST_TYPES } from "#core/dbt/resource-types.ts";
import { backOffMs } from "#core/run/back-off.ts";
import { eventWindowOf } from "#core/run/event-window.ts";
import type { VertexView } from "#core/run/vertex-view.ts";

/**
 * Messages of failures that a second try of the same code can not mend, in the words of dbt and its adapters
 * (behaviour G16). Matched against the first lines only: a table's data must not make a failure deterministic.
 */
const DETERMINISTIC: readonly { readonly pattern: RegExp; readonly why: string }[] = [
  { pattern: /^\s*compilation error/i, why: "a compilation error" },
  { pattern: /this model has an enforced contract that failed/i, why: "a contract violation" },
  {
    pattern: /\b(permission denied|access denied|insufficient privileges|not authorized|not authorised)\b/i,
    why: "a missing permission",
  },
];

/** Why a further try is of no use whatever the count; null if it may help. */
function deterministicFailure(view: VertexView): string | null {
  if (view.plan.resourceType === "unit_test") return "a unit test";
  const head = (view.row?.message ?? "").split("\n").slice(0, 3).join("\n");
  return DETERMINISTIC.find((rule) => rule.pattern.test(head))?.why ?? null;
}

/** Further tries that a vertex may have, of its own `meta.stepwatch` or by the policy for its kind. */
function retriesOf(view: VertexView, policy: Policy): number {
  const isTest = TEST_TYPES.has(view.plan.resourceType);
  return view.plan.overrides.retries ?? (isTest ? policy.retries.test : policy.retries.node);
}

/** Why a failed or interrupted vertex is given up for good; null if it may be built again. One sentence. */
export function givenUp(view: VertexView, policy: Policy): string | null {
  if (view.notSelected) return "dbt did not select it: the build ended in order and never mentioned it.";
  if (view.launchGivenUp)
    return `Its task could not be started: ${view.owner?.lastLaunchFailure ?? view.owner?.stop?.stoppedReason ?? "no reason given"}`;
  if (view.class === "interrupted") return interruptedForGood(view, policy);
  if (mayHaveWritten(view)) return MAY_HAVE_WRITTEN;
  if (isWindowUnknown(view)) return WINDOW_UNKNOWN;
  const isTest = view.plan.resourceType === "test";
  if (isTest && policy.onTestFailure === "none") return "Its tries are used up: onTestFailure is none.";
  if (policy.retryOn === "transient") {
    const why = deterministicFailure(view);
    if (why) return `Not tried again: ${why} fails the same way each time (retryOn: transient).`;
  }
  const allowed = 1 + retriesOf(view, policy);
  if (view.tries >= allowed) return `Its tries are used up: ${view.tries} of ${allowed}.`;
  return null;
}

/**
 * dbt tells a failure before any row was written from one after the commit in no word of its own (behaviour G28). What
 * proves that nothing was written: a connection that never came about, or a transaction that the warehouse rolled back.
 */
function mayHaveWritten({ plan, row }: VertexView): boolean {
  if (plan.afterFailure === "repeat") return false;
  const message = row?.message ?? "";
  if (NEVER_CONNECTED.test(message)) return false;
  return plan.afterFailure === "unknown" || lostConnection(message);
}

/** Drivers that open one connection for a whole vertex, before its first statement: libpq's words, and Snowflake's. */
const NEVER_CONNECTED =
  /connection to server .* failed:|could not connect to server|could not translate host name|250001 .*failed to connect/i;

/** The end of a transaction that nobody saw: the commit may have arrived before the line was cut. */
const CONNECTION_LOST =
  /server closed the connection|connection (?:already closed|reset|timed out|was lost|not open|has been closed)|terminating connection|ssl (?:connection|syscall)|could not (?:send data to|receive data from) server|broken pipe|timed? ?out|timeout|did not complete|remote end closed|eof detected/i;

/** A timeout that the warehouse itself tells has ended the statement: its connection was there to say so. */
const TOLD_BY_THE_WAREHOUSE = /canceling statement due to|reached its statement or warehouse timeout/i;

const lostConnection = (message: string): boolean =>
  CONNECTION_LOST.test(message) && !TOLD_BY_THE_WAREHOUSE.test(message);

/** Killed in its query, or cut off from it: the warehouse may still be at work on it (behaviour D12). */
export const mayHaveLeftQuery = ({ class: cls, row }: VertexView): boolean =>
  cls === "interrupted" || (cls === "failed" && lostConnection(row?.message ?? ""));

const MAY_HAVE_WRITTEN =
  "It may have written: not tried again, since another build could double its rows. Look at the table before you run it again; meta.stepwatch.safeToRepeat: true says that repeating is safe.";

const isWindowUnknown = (view: VertexView): boolean =>
  view.plan.batchSize !== undefined && eventWindowOf(view) === null;

const WINDOW_UNKNOWN =
  "Not tried again: dbt named no batch of it, and another build would take the last few batches and leave the others missing. Start a run with --event-time-start and --event-time-end, or with --full-refresh.";

function interruptedForGood(view: VertexView, policy: Policy): string | null {
  const repeatable = view.plan.safeToRepeat && policy.interrupted === "rebuild";
  if (!repeatable) {
    return `Outcome unknown: its build was killed while it ran, and building a ${view.plan.materialized ?? view.plan.resourceType} twice may double rows. Look at the table before you run it again.`;
  }
  if (view.plan.orphan === "unknowable")
    return `Outcome unknown: its build was killed while it ran, and nobody can tell whether its query still runs on the warehouse and writes beside another build. Look at the table before you run it again; meta.stepwatch.safeToRepeat: true says that repeating is safe.`;
  if (isWindowUnknown(view)) return WINDOW_UNKNOWN;
  if (view.lost > policy.losses) return `Each of ${view.lost} builds that ran it was killed.`;
  return null;
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
  return view.endedAtMs + backOffMs(view.tries, policy);
}
