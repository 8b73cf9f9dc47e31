import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import type { Change } from "#core/dbt/build-log.ts";
import { TEST_TYPES } from "#core/dbt/resource-types.ts";
import { classOfStatus } from "#core/dbt/status.ts";

/**
 * Milliseconds that a word may wait for the next one about the same vertex, so that both become one write. Most tests
 * end within `testStart`, hence one write each; a node's start waits only so long that what takes no time at all (a
 * view, or what dbt 2 skips just after it printed a start) is one write too. Batches are many and none is an end; a
 * message completes a vertex that is terminal already. An end never waits.
 */
const WAIT_MS = { testStart: 700, nodeStart: 200, batch: 1_500, message: 250 } as const;

export function waitOf(change: Change): number {
  if (change.what === "ended") return 0;
  // The first batch and the start of an incremental model are what a kill must not take away: by them a retry knows the
  // window of the build, and that its rows may be there.
  if (change.what === "batch") return change.vertex.batches.length > 1 ? WAIT_MS.batch : 0;
  if (change.what === "message") return WAIT_MS.message;
  if (change.vertex.materialized === "incremental") return 0;
  return TEST_TYPES.has(change.vertex.resourceType) ? WAIT_MS.testStart : WAIT_MS.nodeStart;
}

/** What must differ from the last write to be worth one more: detail alone is not. */
export function worthWriting(before: VertexWrite | undefined, after: VertexWrite): boolean {
  if (!before || before.status !== after.status || before.evidence !== after.evidence) return true;
  if (JSON.stringify(before.batches) !== JSON.stringify(after.batches)) return true;
  if (before.failures !== after.failures || before.relation !== after.relation) return true;
  return before.message !== after.message && tellsAPerson(after.status);
}

/** A message of what ended well is the database's own word; of a warning it is what the warning says (behaviour A5). */
const tellsAPerson = (status: string): boolean => status === "warn" || classOfStatus(status) !== "good";

/** What one word of a build may say and a later one take back. */
const TAKEN_BACK = ["message", "failures", "executionSeconds", "rowsAffected", "relation"] as const;

/**
 * The word as it is to be written after the one before it: what that said and this one does not is taken back, since a
 * word that leaves something out leaves it in the ledger as it was. dbt 2 names a table for the failures of each test;
 * only run_results.json, at the end, says that there is none.
 */
export function afterWord(before: VertexWrite | undefined, after: VertexWrite): VertexWrite {
  const gone = TAKEN_BACK.filter((field) => after[field] === undefined && (before?.[field] ?? null) !== null);
  return gone.length === 0 ? after : { ...after, ...Object.fromEntries(gone.map((field) => [field, null])) };
}
