import { executionArn } from "#core/names.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import type { CommonOptions, DeployedStack } from "./context.ts";
import { endedBadly } from "./run-end.ts";

/** Executions that may still write a verdict. */
const GOES_ON: ReadonlySet<string> = new Set(["RUNNING", "PENDING_REDRIVE"]);

/**
 * How the machine of a run has ended whose row says running for ever (aborted, timed out, broken); null where it goes
 * on. The ledger is read once more after Step Functions has answered: the verdict may have come in between.
 */
export async function endWithoutVerdict(
  stack: DeployedStack,
  { project, runId, state }: RunSummary,
  flags: CommonOptions,
): Promise<string | null> {
  if (state !== "running") return null;
  const execution = await stack.executions.describe(executionArn(stack.resources.runMachineArn, runId));
  if (execution === null || GOES_ON.has(execution.status)) return null;
  const key = { project, runId };
  const run = await stack.ledger.readRun(key);
  if (run?.state !== "running") return null;
  const snapshot = { run, plan: null, tasks: [], vertices: [] };
  return endedBadly(key, { kind: "over", snapshot, execution }, flags).message;
}
