import type { Ledger } from "#clients/ledger.ts";
import type { LockRow, RunIndexRow } from "#core/contracts/project-rows.ts";
import { PastNotGreen } from "#core/errors.ts";
import { runKeyOf } from "../run-lock.ts";

/**
 * Rows of the index that are looked through for the run before, and again if it is not among them: between two of one job
 * and lock stand those of other jobs, of one that runs each five minutes 288 a day.
 */
const ROWS_LOOKED_AT = [100, 1_000, 10_000] as const;

/**
 * Refuses a run that depends on the one before it, of the same project, job and lock, unless that one is green. Asked once
 * the lock is this run's: no other one is between them, and one without a verdict is gone. Runs that were left out by
 * policy are none.
 * @throws PastNotGreen
 */
export async function refuseAfterRed(
  lock: LockRow,
  job: string | undefined,
  ledger: Pick<Ledger, "listRuns" | "readRun">,
): Promise<void> {
  const { project, runId } = runKeyOf(lock);
  let seen = 0;
  for (const limit of ROWS_LOOKED_AT) {
    const rows = await ledger.listRuns(project, limit);
    for (const row of rows.slice(seen)) {
      if (
        row.runId === runId ||
        row.state === "skipped" ||
        row.job !== job ||
        (row.lockKey ?? lock.lockKey) !== lock.lockKey
      )
        continue;
      // The row says it anew with each round; the index may be behind.
      const run = await ledger.readRun(row);
      if ((run?.lockKey ?? row.lockKey ?? lock.lockKey) !== lock.lockKey) continue;
      const { state, verdict } = run ?? row;
      if (state === "green") return;
      throw new PastNotGreen({ runId: row.runId, project, is: words(state, verdict) });
    }
    if (rows.length < limit) return;
    seen = rows.length;
  }
}

function words(state: RunIndexRow["state"], verdict: string | undefined): string {
  if (state === "running") return "has no verdict.";
  const [first = ""] = (verdict ?? "").split("\n");
  return first === "" ? `is ${state}.` : `is ${state}: ${first.replace(/[.:]?$/, ".")}`;
}
