import type { RunRow } from "#core/contracts/ledger.ts";
import { executionArn } from "#core/names.ts";
import { pendingRequests } from "#core/run/judging/rounds.ts";
import { sameOptions } from "../command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "../context.ts";
import { exitCodes, InfrastructureError, UsageError } from "../failure.ts";
import type { RunSnapshot } from "../follow.ts";
import { printJson, printLines, say } from "../output.ts";
import { lookFurther, nextOf } from "../run-end.ts";
import { findRun, readSnapshot, summaryOf } from "../run-lookup.ts";
import { followStarted, type StartedRun } from "../run-start.ts";
import { stopWaitingRun } from "../stop-waiting-run.ts";
import { stopPlan } from "../view/stop-text.ts";
import { paintFor } from "../view/style.ts";
import { verdictText } from "../view/summary-text.ts";

export interface StopFlags extends CommonOptions {
  readonly reason: string;
  readonly afterCurrent?: boolean;
  readonly follow?: boolean;
}

/**
 * `stepwatch stop <run>`: stops a run, says beforehand what that means for it, and waits until it is over. Answers 0
 * once it is, whatever its verdict: what was asked for is done.
 */
export async function stopCommand(context: Context, runId: string, flags: StopFlags): Promise<number> {
  const stack = await context.openStack(flags);
  const key = await findRun(stack, runId, sameOptions(flags));
  const started: StartedRun = { ...key, executionArn: executionArn(stack.resources.runMachineArn, runId) };
  const snapshot = await readSnapshot(stack, key);
  const begun = snapshot.run ?? (await stopWaitingRun(context, stack, started, flags));
  if (begun === null) return exitCodes.green;
  return await stopBegunRun(context, stack, started, { ...snapshot, run: begun }, flags);
}

async function stopBegunRun(
  context: Context,
  stack: DeployedStack,
  started: StartedRun,
  snapshot: RunSnapshot & { run: RunRow },
  flags: StopFlags,
): Promise<number> {
  const { run } = snapshot;
  if (run.state !== "running" || run.readyAtMs !== undefined)
    throw new UsageError(
      `The run ${run.runId} is over already${run.state === "running" ? "" : `: ${run.state}`}.`,
      `npx stepwatch status ${run.runId}${sameOptions(flags)}`,
    );
  const afterCurrent = flags.afterCurrent === true;
  const execution = await stack.executions.describe(started.executionArn);
  const isGone = execution === null || !["RUNNING", "PENDING_REDRIVE"].includes(execution.status);
  const plan = stopPlan(summaryOf(snapshot, context.now()), { afterCurrent, ended: isGone ? execution?.status : null });
  for (const line of plan) say(context, line);
  const dropped = pendingRequests(run);
  if (dropped.length > 0) say(context, "A retry that waits for the end of this round is dropped.");
  const by = context.person;
  // It comes after what it drops, whatever the clocks of two machines say.
  const atMs = Math.max(context.now(), ...dropped.map((request) => request.atMs));
  await stack.ledger.requestStop(run, { atMs, reason: flags.reason, by, afterCurrent });
  if (isGone) await stack.askToStop(started.executionArn);
  if (flags.follow !== false) return await followStop(context, stack, started, flags);
  const { project, runId } = started;
  if (flags.json) printJson(context, { contract: 1, project, runId, state: "stopping" });
  else printLines(context, lookFurther(runId, flags));
  return exitCodes.green;
}

async function followStop(
  context: Context,
  stack: DeployedStack,
  started: StartedRun,
  flags: StopFlags,
): Promise<number> {
  const end = await followStarted(
    context,
    stack,
    started,
    (line) => say(context, line),
    () => {},
  );
  if (end === null) {
    say(context, `The stop stands. See it with: npx stepwatch status ${started.runId}${sameOptions(flags)}`);
    return exitCodes.interrupted;
  }
  if (end.kind === "over")
    throw new InfrastructureError(
      `Nothing has ended the run ${started.runId}, whose execution is over: the function stop-run has not, and its log says why.`,
      `npx stepwatch tasks ${started.runId}${sameOptions(flags)}`,
    );
  const summary = summaryOf(end.snapshot, context.now());
  if (flags.json) printJson(context, summary);
  else
    printLines(context, [
      ...verdictText(summary, paintFor(context.out, context.environment), context.now()),
      ...nextOf(summary.state, started.runId, flags),
    ]);
  return exitCodes.green;
}
