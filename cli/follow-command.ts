import type { RunSummary } from "#core/run/reporting/summary.ts";
import { sameOptions } from "./command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "./context.ts";
import { exitCodes } from "./failure.ts";
import type { FollowEnd } from "./follow.ts";
import { lockEntries } from "./lock-holder.ts";
import { printJson, printLines, say } from "./output.ts";
import { endedBadly, exitCodeOf, lookFurther } from "./run-end.ts";
import { summaryOf } from "./run-lookup.ts";
import { followStarted, type StartedRun } from "./run-start.ts";
import { runView } from "./view/run-view.ts";
import { paintFor, widthOf } from "./view/style.ts";
import { statusText, verdictText } from "./view/summary-text.ts";
import { waitingNotice } from "./waiting-notice.ts";

/**
 * Shows a run until its verdict, or until Ctrl-C. Answers the exit code.
 * @param started its `fromRound`: verdicts of earlier rounds are none
 * @param report prints the end of a run that has its verdict, and answers the exit code; unset: as of a build
 */
export async function followCommand(
  context: Context,
  stack: DeployedStack,
  started: StartedRun,
  flags: CommonOptions,
  report?: (summary: RunSummary) => Promise<number>,
): Promise<number> {
  const paint = paintFor(context.err, context.environment);
  const view = runView({ terminal: context.err, paint, now: () => context.now() });
  const notice = (line: string) => view.note(line);
  const waiting = waitingNotice(context, stack, started, lockEntries(context, started.project, flags), notice);
  let end: FollowEnd | null;
  try {
    end = await followStarted(context, stack, started, notice, (snapshot) => {
      if (snapshot.run === null) waiting();
      else view.show(summaryOf({ ...snapshot, run: snapshot.run }, context.now()));
    });
  } finally {
    view.close();
  }
  if (end === null) {
    say(context, `The run goes on without us. See it with: npx stepwatch status ${started.runId}${sameOptions(flags)}`);
    return exitCodes.interrupted;
  }
  if (end.kind === "verdict" && report !== undefined) return await report(summaryOf(end.snapshot, context.now()));
  return reportEnd(context, started, end, flags);
}

function reportEnd(context: Context, started: StartedRun, end: FollowEnd, flags: CommonOptions): number {
  if (end.kind === "over") return reportOver(context, started, end, flags);
  const summary = summaryOf(end.snapshot, context.now());
  const paint = paintFor(context.out, context.environment);
  if (flags.json) printJson(context, summary);
  else if (context.err.isTTY === true && context.out.isTTY === true)
    printLines(context, ["", ...verdictText(summary, paint), "", ...lookFurther(started.runId, flags, summary.state)]);
  else
    printLines(context, [
      "",
      ...statusText(
        summary,
        { width: widthOf(context.out, 160), height: Number.MAX_SAFE_INTEGER },
        paint,
        context.now(),
      ),
      "",
      ...lookFurther(started.runId, flags, summary.state),
    ]);
  return exitCodeOf(summary.state);
}

/** The execution ended without a verdict: skipped by policy, refused at its start, or broken. */
function reportOver(
  context: Context,
  started: StartedRun,
  end: FollowEnd & { kind: "over" },
  flags: CommonOptions,
): number {
  const { status, output } = end.execution;
  if (status !== "SUCCEEDED") throw endedBadly(started, end, flags);
  const verdict = skippedVerdict(output);
  if (flags.json)
    printJson(context, {
      contract: 1,
      project: started.project,
      runId: started.runId,
      executionArn: started.executionArn,
      state: "skipped",
      verdict,
    });
  else printLines(context, [`- skipped  ${verdict}`]);
  return exitCodes.green;
}

const skippedVerdict = (output: unknown): string =>
  typeof output === "object" && output !== null && "verdict" in output && typeof output.verdict === "string"
    ? output.verdict
    : "There was nothing to run.";
