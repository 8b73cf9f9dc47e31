import { randomBytes } from "node:crypto";
import type { RunKey } from "#clients/ledger.ts";
import type { RunInput } from "#core/contracts/run-input.ts";
import { newRunId } from "#core/names.ts";
import type { Context, DeployedStack } from "./context.ts";
import { type FollowEnd, follow } from "./follow.ts";
import { readSnapshot } from "./run-lookup.ts";

/** A run that this process has started. */
export interface StartedRun extends RunKey {
  readonly executionArn: string;
  /** The round that is waited for, where it goes on: a verdict of an earlier one is none. */
  readonly fromRound?: number;
}

export async function startRun(
  context: Pick<Context, "now">,
  stack: DeployedStack,
  input: RunInput,
): Promise<StartedRun> {
  const runId = newRunId(context.now(), randomBytes(4).toString("hex"));
  const { executionArn: arn } = await stack.executions.start(stack.resources.runMachineArn, runId, input);
  return { project: input.project, runId, executionArn: arn };
}

/** Follows until the end, or until Ctrl-C (null). */
export async function followStarted(
  context: Pick<Context, "now" | "sleep" | "interrupted">,
  stack: DeployedStack,
  started: StartedRun,
  notice: (line: string) => void,
  onSnapshot: Parameters<typeof follow>[1],
): Promise<FollowEnd | null> {
  const stopped = new Promise<null>((resolve) => {
    if (context.interrupted.aborted) resolve(null);
    context.interrupted.addEventListener("abort", () => resolve(null), { once: true });
  });
  const following = follow(
    {
      snapshot: () => readSnapshot(stack, started),
      execution: () => stack.executions.describe(started.executionArn),
      sleep: (milliseconds) => context.sleep(milliseconds),
      now: () => context.now(),
      fromRound: started.fromRound ?? 1,
      onEnded: ({ status }) =>
        notice(`Its execution has ended (${status}): its tasks are being stopped, and it gets its verdict then.`),
      onSilence: (patienceMs) =>
        notice(`The ledger does not answer; it is asked again for ${Math.round(patienceMs / 1000)} s.`),
    },
    (snapshot) => {
      if (!context.interrupted.aborted) onSnapshot(snapshot);
    },
  );
  return Promise.race([
    stopped,
    following.catch((error: unknown) => {
      if (context.interrupted.aborted) return null;
      throw error;
    }),
  ]);
}
