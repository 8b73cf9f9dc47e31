import type { Ledger } from "#clients/ledger.ts";
import type { RunRow, VertexRow } from "#core/contracts/ledger.ts";

/** Runs before this one that are looked at for when a vertex was last built. */
const RUNS_BACK = 20;

/**
 * What the vertices that dbt reused took when a run before this one last built them: what this one has saved, in
 * milliseconds. Null where nothing was reused, or none of it was built in the last runs.
 */
export async function timeOfReused(
  { project, runId }: Pick<RunRow, "project" | "runId">,
  rows: readonly VertexRow[],
  ledger: Pick<Ledger, "listRuns" | "readSomeVertices">,
): Promise<number | null> {
  const open = new Set(rows.filter(({ status }) => status === "reused").map(({ uniqueId }) => uniqueId));
  if (open.size === 0) return null;
  let savedMs: number | null = null;
  const before = (await ledger.listRuns(project, RUNS_BACK)).filter((run) => run.runId !== runId);
  for (const run of before) {
    if (open.size === 0) break;
    for (const { uniqueId, status, executionSeconds } of await ledger.readSomeVertices({ project, runId: run.runId }, [
      ...open,
    ])) {
      if (!open.has(uniqueId) || executionSeconds === undefined || !BUILT.has(status ?? "")) continue;
      open.delete(uniqueId);
      savedMs = (savedMs ?? 0) + Math.round(executionSeconds * 1_000);
    }
  }
  return savedMs;
}

const BUILT: ReadonlySet<string> = new Set(["success", "pass", "warn"]);
