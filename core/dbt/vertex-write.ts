import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { classOfStatus, isTerminal } from "./status.ts";
import type { VertexReading } from "./vertex-reading.ts";

/** dbt's word where it says what the vertex is; ours where it does not (behaviour A16, and what our signal cut off). */
function statusWord(vertex: VertexReading): string {
  const { status, class: cls } = vertex;
  if (cls === null || (isTerminal(status) && classOfStatus(status) === cls)) return status;
  return { good: "success", failed: "error", interrupted: "cancelled", not_built: "skipped", skipped: "skipped" }[cls];
}

/**
 * Batches that a row keeps: some 30 kB. A year of hours (8,760) would be larger than the 400 kB of an item, and the write
 * that says how the model ended would be refused for good.
 */
const MOST_BATCHES = 500;

/** The first and the last, by which a retry knows the window, then what is not good, then the rest; in dbt's order. */
function keptBatches(batches: VertexReading["batches"]): VertexReading["batches"] {
  if (batches.length <= MOST_BATCHES) return batches;
  const rank = (at: number) => {
    if (at === 0 || at === batches.length - 1) return 0;
    return classOfStatus(batches[at]!.status) === "good" ? 2 : 1;
  };
  const byRank = [...batches.keys()].sort((a, b) => rank(a) - rank(b));
  const kept = new Set(byRank.slice(0, MOST_BATCHES));
  return batches.filter((_, at) => kept.has(at));
}

/** A reading as the owner task writes it to the ledger. */
export function vertexWrite(vertex: VertexReading): VertexWrite {
  return {
    uniqueId: vertex.uniqueId,
    resourceType: vertex.resourceType || undefined,
    status: statusWord(vertex),
    evidence: vertex.evidence,
    startedAtMs: vertex.startedAtMs ?? undefined,
    endedAtMs: vertex.endedAtMs ?? undefined,
    message: vertex.message ?? undefined,
    failures: vertex.failures ?? undefined,
    executionSeconds: vertex.executionSeconds ?? undefined,
    rowsAffected: vertex.rowsAffected ?? undefined,
    relation: vertex.relationName ?? undefined,
    checksum: vertex.checksum ?? undefined,
    batches: vertex.batches.length > 0 ? keptBatches(vertex.batches) : undefined,
  };
}
