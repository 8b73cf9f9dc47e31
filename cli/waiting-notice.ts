import type { StartedRun } from "./commands/run.ts";
import type { Context, DeployedStack } from "./context.ts";

/** A run that has no row after so long waits for its lock. */
const WAITING_MS = 5000;

/** Says once which run has the lock, where a run has not begun some seconds after its start. */
export function waitingNotice(
  context: Pick<Context, "now">,
  stack: DeployedStack,
  started: StartedRun,
  notice: (line: string) => void,
): () => void {
  const sinceMs = context.now();
  let asked = false;
  return () => {
    if (asked || context.now() - sinceMs < WAITING_MS) return;
    asked = true;
    stack.ledger.listRuns(started.project, 1).then(
      ([last]) => {
        if (last?.state === "running" && last.runId !== started.runId)
          notice(`Waiting for the run ${last.runId} of ${started.project} to end: it holds the lock.`);
      },
      // The follower itself reads the ledger, and says so if it does not answer.
      () => {},
    );
  };
}
