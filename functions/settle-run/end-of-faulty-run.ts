import type { RunRow } from "#core/contracts/ledger.ts";
import type { RunReference } from "#core/contracts/payloads.ts";
import { type EndTasksDeps, endTasks } from "../end-tasks.ts";

/**
 * A run whose check could not go on (behaviour D19): that is noted, its tasks are stopped, and what became of them is
 * asked. Containers end by the stop flag too, so that a permission to stop tasks that is missing as well only takes
 * longer. Answers the run as it stands then.
 */
export async function endFaultyRun(reference: RunReference, run: RunRow, deps: EndTasksDeps): Promise<RunRow> {
  if (run.state !== "running") return run;
  if (reference.error !== undefined && run.readyAtMs === undefined && run.fault === undefined) {
    const { Error: name, Cause: cause } = reference.error;
    const sentence = `The run could not go on: ${name === "Unforeseen" ? cause : `${name}: ${cause}`}`.slice(0, 2_000);
    await deps.ledger.markFault(run, { atMs: deps.nowMs(), sentence });
  }
  const faulty = (await deps.ledger.readRun(run)) ?? run;
  if (faulty.fault === undefined) return faulty;
  await endTasks(faulty, deps);
  return faulty;
}
