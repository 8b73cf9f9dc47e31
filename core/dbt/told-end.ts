import type { BuildEnd } from "#core/contracts/ledger.ts";
import type { EndByLog } from "./build-end.ts";
import type { BuildLog, HookFailure } from "./build-log.ts";

/** Entries of a list that one row of the ledger keeps (400 kB an item); the log group has the rest. */
export const LISTED = 100;

/** What the log of a build that is over tells of its end, beside {@link EndByLog}. */
export type ToldEnd = Pick<
  BuildEnd,
  "inOrder" | "cause" | "failFast" | "lostWarehouse" | "hookFailures" | "endHooksDone" | "unnamedSkips"
>;

/** The part of a build's end that its closed log tells, as the ledger keeps it. `failFastAsked`: by the run's options. */
export function toldEnd(log: BuildLog, ended: EndByLog, failFastAsked = false): ToldEnd {
  const classes = new Set([...log.vertices.values()].map((vertex) => vertex.class));
  return {
    inOrder: ended.inOrder,
    cause: ended.cause,
    failFast: classes.has("failed") && (log.failFast || failFastAsked || cancelledByItself(log, ended)),
    lostWarehouse: ended.cause.kind === "connection" && (classes.has("failed") || classes.has("interrupted")),
    hookFailures: log.hookFailures.slice(0, LISTED).map((hook) => hookFailure(hook, log)),
    endHooksDone: log.endHooksDone.slice(0, LISTED),
    unnamedSkips: log.skippedWithoutId.filter(({ uniqueId }) => uniqueId === null).length,
  };
}

/**
 * Of dbt 1 at its default level only the queries that it cancels tell of fail-fast, wherever that was asked for; what
 * else makes it cancel leaves no order.
 */
const cancelledByItself = (log: BuildLog, { inOrder }: EndByLog): boolean => inOrder && log.cancelled;

/** 1.8 does not always say which phase it was: a hook that failed before any vertex began was one of the start. */
function hookFailure(hook: HookFailure, log: BuildLog): BuildEnd["hookFailures"][number] {
  const begun = [...log.vertices.values()].some((vertex) => vertex.evidence);
  const phase = hook.phase === "unknown" ? (begun ? "end" : "start") : hook.phase;
  return { name: hook.name, message: hook.message ?? "", phase };
}
