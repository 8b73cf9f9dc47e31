import type { BuildLog } from "./build-log.ts";
import type { PlannedVertex } from "./planned-vertex.ts";

interface SilentEphemeral {
  vertex: PlannedVertex;
  /** It is the only one that can have failed; otherwise it did not compile, or an ephemeral model above it did not. */
  failed: boolean;
}

type Planned = ReadonlyMap<string, PlannedVertex>;

/**
 * Ephemeral models of which dbt 1 says nothing at its default log level although one of them could not be compiled: it
 * names the failed one only where a node that is built hangs directly on it. Of `a → b → node`, a's failure shows as
 * "SKIP relation node due to ephemeral model status 'skipped'" alone. Silence must not pass for success then.
 */
export function silentEphemerals(log: BuildLog, planned: Planned): SilentEphemeral[] {
  const children = [...planned.values()].filter((vertex) => isSkippedForEphemeral(log, vertex));
  if (children.length === 0) return [];
  const proven = provenGood(log, planned);
  const isSilent = ({ uniqueId, builds }: PlannedVertex) =>
    !builds && !proven.has(uniqueId) && (log.vertices.get(uniqueId)?.class ?? null) === null;
  const direct = new Set<string>();
  const doubtful = new Map<string, PlannedVertex>();
  for (const child of children) {
    const above = ephemeralsAbove(child, planned);
    const reasons = [child, ...above].flatMap((vertex) => vertex.gateParents).filter((id) => isRed(log, id));
    if (reasons.length > 0) continue;
    for (const vertex of above.filter(isSilent)) doubtful.set(vertex.uniqueId, vertex);
    for (const id of nearest(above)) direct.add(id);
  }
  const candidates = [...doubtful.keys()].filter((id) => !direct.has(id));
  return [...doubtful.values()].map((vertex) => ({
    vertex,
    failed: candidates.length === 1 && candidates[0] === vertex.uniqueId,
  }));
}

/** dbt 1.8 to 1.10 name it in the late error text; later ones only its relation, in a line that has no id. */
function isSkippedForEphemeral(log: BuildLog, vertex: PlannedVertex): boolean {
  if (!vertex.builds || log.skippedWithoutId.length === 0) return false;
  const reading = log.vertices.get(vertex.uniqueId);
  return reading === undefined || /in referenced ephemeral model/.test(reading.message ?? "");
}

const isRed = (log: BuildLog, id: string): boolean => {
  const found = log.vertices.get(id)?.class ?? null;
  return found !== null && found !== "good";
};

/** What dbt never builds above a vertex, up to what it builds. */
function ephemeralsAbove(child: PlannedVertex, planned: Planned): PlannedVertex[] {
  const found = new Map<string, PlannedVertex>();
  const open = [child];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const id of at.gateParents) {
      const parent = planned.get(id);
      if (parent === undefined || parent.builds || found.has(id)) continue;
      found.set(id, parent);
      open.push(parent);
    }
  }
  return [...found.values()];
}

/** Those with no other one of them below: a vertex's gate parents include what lies above its ephemeral parents. */
function nearest(above: readonly PlannedVertex[]): string[] {
  const higher = new Set(above.flatMap((vertex) => vertex.gateParents));
  return above.map((vertex) => vertex.uniqueId).filter((id) => !higher.has(id));
}

/** A vertex that dbt began proves that every ephemeral model above it was compiled. */
function provenGood(log: BuildLog, planned: Planned): Set<string> {
  const began = [...planned.values()].filter((vertex) => vertex.builds && log.vertices.get(vertex.uniqueId)?.evidence);
  return new Set(began.flatMap((vertex) => ephemeralsAbove(vertex, planned).map((parent) => parent.uniqueId)));
}
