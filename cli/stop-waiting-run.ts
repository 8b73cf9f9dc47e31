import type { RunRow } from "#core/contracts/ledger.ts";
import { stoppedSentence } from "#core/run/watching/stop-reason.ts";
import { sameOptions } from "./command-line.ts";
import type { Context, DeployedStack } from "./context.ts";
import { InfrastructureError, UsageError } from "./failure.ts";
import { printJson, printLines, say } from "./output.ts";
import type { StartedRun } from "./run-start.ts";

/** A turn in the queue (60 s), after which every engine of Step Functions has ended a stopped execution. Milliseconds. */
const PATIENCE_MS = 90_000;

const LOOK_MS = 1_000;

/**
 * Stops a run that has no row yet: its execution is ended, and with it its place in the queue. Answers the row of one
 * that has begun in the meantime, which is stopped as such; null: done.
 * @throws {UsageError} if it is over already
 */
export async function stopWaitingRun(
  context: Context,
  stack: DeployedStack,
  run: StartedRun,
  flags: { readonly reason: string; readonly json?: boolean | undefined; readonly stack?: string | undefined },
): Promise<RunRow | null> {
  const { runId, project } = run;
  const before = await stack.executions.describe(run.executionArn);
  if (before?.status !== "RUNNING")
    throw new UsageError(
      `The run ${runId} is over already, and did not begin or has expired: ${before?.cause ?? before?.error ?? before?.status ?? "nobody knows it"}.`,
      `npx stepwatch runs ${project}${sameOptions(flags)}`,
    );
  say(
    context,
    `The run ${runId} of ${project} has not begun: it is taken out of the queue of its lock. Nothing was built.`,
  );
  const cause = `stopped by ${context.person}: ${flags.reason}`;
  await stack.executions.stop(run.executionArn, cause);
  for (let lookedMs = 0; lookedMs < PATIENCE_MS; lookedMs += LOOK_MS) {
    const row = await stack.ledger.readRun(run);
    if (row !== null) return row;
    if ((await stack.executions.describe(run.executionArn))?.status !== "RUNNING") {
      const verdict = stoppedSentence(cause);
      if (flags.json) printJson(context, { contract: 1, project, runId, state: "stopped", verdict });
      else printLines(context, [`✘ stopped  ${verdict}`]);
      return null;
    }
    await context.sleep(LOOK_MS);
  }
  throw new InfrastructureError(
    `Step Functions has not ended the execution of ${runId} within ${PATIENCE_MS / 1000} s.`,
    "Run the same command again.",
  );
}
