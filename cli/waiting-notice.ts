import { deployedNames } from "../infra/deployed-names.ts";
import type { Context, DeployedStack } from "./context.ts";
import { lockHolder } from "./lock-holder.ts";
import type { StartedRun } from "./run-start.ts";

/** A run that has no row after so long waits for its lock. */
const WAITING_MS = 5000;

/** Nothing of an undisturbed start takes so long: the function has failed, and is tried again for most of an hour. */
const STUCK_MS = 20_000;

/**
 * Says once which run has the lock, where a run has not begun some seconds after its start; where none has it, that
 * its first step is being tried again and where to read why.
 * @param entries whose runs share the lock
 */
export function waitingNotice(
  context: Pick<Context, "now">,
  stack: DeployedStack,
  started: StartedRun,
  entries: readonly string[],
  notice: (line: string) => void,
): () => void {
  const sinceMs = context.now();
  let asking = false;
  let told = false;
  const tell = (line: string) => {
    told = true;
    notice(line);
  };
  const look = async () => {
    const holder = await lockHolder(stack, entries, started.runId);
    if (holder !== null) tell(`Waiting for the run ${holder.runId} of ${holder.project} to end: it holds the lock.`);
    else if (context.now() - sinceMs >= STUCK_MS) tell(stuck(stack));
  };
  return () => {
    if (told || asking || context.now() - sinceMs < WAITING_MS) return;
    asking = true;
    look()
      // The follower itself reads the ledger, and says so if it does not answer.
      .catch(() => {})
      .finally(() => {
        asking = false;
      });
  };
}

function stuck({ place, resources }: DeployedStack): string {
  const log =
    place === "embedded"
      ? "logs/embedded-aws.log in the folder of the embedded AWS (.stepwatch)"
      : `the log group ${deployedNames.functionLogGroup(resources.stackName, "start-run")}`;
  return `The run has not begun: its first step fails and is tried again. Why stands in ${log}.`;
}
