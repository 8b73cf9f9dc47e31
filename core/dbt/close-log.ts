import type { EndByLog } from "./build-end.ts";
import { type BuildLog, type Change, changeVertex } from "./build-log.ts";
import { bareWord } from "./vertex-record.ts";

/** Stands where dbt has no last word of a vertex. */
export const NOT_REPORTED = "not reported";

/** Message of a vertex that dbt mentioned and neither built nor skipped: it compiled it for another's sake, or was cut off. */
export const NEVER_REACHED = "The build ended before dbt built it.";

/**
 * The build is over: ends every vertex that started and never ended. After a build that ended in order that is a
 * failure that dbt kept to itself; after any other the vertex was interrupted. Changes `log`.
 */
export function closeBuildLog(log: BuildLog, end: EndByLog): Change[] {
  return [...log.records.values()].flatMap((record) =>
    changeVertex(log, record.uniqueId, (open) => {
      if (log.vertices.get(open.uniqueId)?.class !== null) return;
      if (open.saidFailed === null && open.saidCancelled !== null)
        open.closed = bareWord("cancelled", "interrupted", null);
      else if (open.saidFailed !== null) open.closed = bareWord("error", "failed", open.saidFailed.atMs);
      else if (!open.proved || open.materialized === "ephemeral") open.closed = neverReached();
      else if (end.inOrder && !log.failFast) open.closed = endedSilently();
      else open.closed = bareWord("started", "interrupted", null);
    }),
  );
}

function neverReached() {
  return { ...bareWord(NOT_REPORTED, "not_built", null), message: NEVER_REACHED };
}

function endedSilently() {
  return {
    ...bareWord("error", "failed", null),
    message: "dbt started it and ended without saying how it ended.",
  };
}
