import type { RunTally } from "#core/contracts/run-tally.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";

/** A run's numbers, as they stand on its row and in the list of runs. */
export function tallyOf(
  summary: Pick<RunSummary, "counts" | "nodes" | "tests" | "others" | "timings" | "cost">,
): RunTally {
  const { counts, nodes, tests, others, timings, cost } = summary;
  const retried = [...nodes, ...tests, ...others].filter(({ tries }) => tries > 1).length;
  const usd = cost === null ? {} : { usd: Number(cost.total.toFixed(6)) };
  return { counts, retried, dbtMs: Math.max(0, Math.round(timings.dbtMs)), ...usd };
}
