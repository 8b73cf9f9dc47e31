import type { Ledger } from "#clients/ledger.ts";
import type { RunRow, VertexRow } from "#core/contracts/ledger.ts";
import type { RunIndexRow } from "#core/contracts/project-rows.ts";
import { isCommandLabel } from "#core/contracts/run-command.ts";

/** Runs before this one that are looked at for when a vertex was last built, of so many in the list of runs. */
const RUNS_BACK = 10;
const LISTED = 50;

/** Of more vertices nobody asks: a verdict must not wait for a statistic. */
const MOST_VERTICES = 1_000;

/**
 * What the vertices that dbt reused took when one of the last ten runs before, on the same lock, built them: what this one
 * has saved at least, in milliseconds. Null where nothing was reused, or nobody knows.
 */
export async function timeOfReused(
  run: Pick<RunRow, "project" | "startedAtMs" | "lockKey">,
  rows: readonly VertexRow[],
  ledger: Pick<Ledger, "listRuns" | "readSomeVertices">,
): Promise<number | null> {
  const open = new Set(rows.filter(({ status }) => status === "reused").map(({ uniqueId }) => uniqueId));
  if (open.size === 0 || open.size > MOST_VERTICES) return null;
  let savedMs: number | null = null;
  const isBefore = ({ startedAtMs, lockKey, state, job }: RunIndexRow) =>
    startedAtMs < run.startedAtMs && lockKey === run.lockKey && state !== "skipped" && !isCommandLabel(job);
  const before = (await ledger.listRuns(run.project, LISTED)).filter(isBefore).slice(0, RUNS_BACK);
  for (const { runId } of before) {
    if (open.size === 0) break;
    for (const row of await ledger.readSomeVertices({ project: run.project, runId }, [...open])) {
      if (!open.has(row.uniqueId) || row.executionSeconds === undefined || !BUILT.has(row.status ?? "")) continue;
      open.delete(row.uniqueId);
      savedMs = (savedMs ?? 0) + Math.round(row.executionSeconds * 1_000);
    }
  }
  return savedMs;
}

const BUILT: ReadonlySet<string> = new Set(["success", "pass", "warn"]);
