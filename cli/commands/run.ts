import { parseRunInput } from "#core/contracts/run-input.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import { type BuildFlags, buildOptionsOf } from "../build-options.ts";
import { sameOptions } from "../command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "../context.ts";
import { exitCodes, UsageError } from "../failure.ts";
import type { FollowEnd } from "../follow.ts";
import { lockEntries } from "../lock-holder.ts";
import { printJson, printLines, say } from "../output.ts";
import { configNameOf } from "../paths.ts";
import { endedBadly, exitCodeOf, lookFurther, notInStack } from "../run-end.ts";
import { summaryOf } from "../run-lookup.ts";
import { followStarted, type StartedRun, startRun } from "../run-start.ts";
import { runView } from "../view/run-view.ts";
import { paintFor, widthOf } from "../view/style.ts";
import { statusText, verdictText } from "../view/summary-text.ts";
import { waitingNotice } from "../waiting-notice.ts";

export interface RunFlags extends CommonOptions, BuildFlags {
  readonly follow?: boolean;
  readonly allowEmpty?: boolean;
}

/** `stepwatch run <project>`: starts a run and follows it to its verdict. Answers the exit code. */
export async function runCommand(context: Context, project: string, flags: RunFlags): Promise<number> {
  const options = buildOptionsOf(flags);
  const input = parseRunInput({ project, ...options, ...(flags.allowEmpty === true ? { allowEmpty: true } : {}) });
  refuseUnusableProject(context, project, flags, options);
  const stack = await context.openStack(flags);
  if (stack.projects?.includes(project) === false) throw notInStack(project, stack.projects.join(", "), flags);
  if (stack.outdated)
    say(
      context,
      `What is deployed is older than stepwatch.yaml or the sources: npx stepwatch deploy${sameOptions(flags)}`,
    );
  const started = await startRun(context, stack, input);
  say(context, `Started run ${started.runId} of ${project}.`);
  if (flags.follow === false) {
    const { runId, executionArn: arn } = started;
    if (flags.json) printJson(context, { contract: 1, project, runId, executionArn: arn, state: "started" });
    else printLines(context, lookFurther(runId, flags));
    return exitCodes.green;
  }
  return followCommand(context, stack, started, flags);
}

/**
 * The project is looked up, and on this machine looked at, before anything starts; without a stepwatch.yaml at hand the
 * run machine knows its projects.
 */
function refuseUnusableProject(context: Context, project: string, flags: RunFlags, options: BuildOptions): void {
  if (flags.stack !== undefined && flags.config === undefined) return;
  const { projects } = context.loadConfig(flags.config);
  const found = Object.hasOwn(projects, project) ? projects[project] : undefined;
  if (found === undefined) {
    const known = `${configNameOf(flags.config, context.cwd)}, which has ${Object.keys(projects).join(", ")}`;
    throw new UsageError(
      `There is no project ${project} in ${known}.`,
      "Name one of these, or the stepwatch.yaml that has it by --config.",
    );
  }
  if (flags.stack === undefined) context.checkProject(found, options);
}

async function followCommand(
  context: Context,
  stack: DeployedStack,
  started: StartedRun,
  flags: RunFlags,
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
  return reportEnd(context, started, end, flags);
}

function reportEnd(context: Context, started: StartedRun, end: FollowEnd, flags: RunFlags): number {
  if (end.kind === "over") return reportOver(context, started, end, flags);
  const summary = summaryOf(end.snapshot, context.now());
  const paint = paintFor(context.out, context.environment);
  if (flags.json) printJson(context, summary);
  else if (context.err.isTTY === true && context.out.isTTY === true)
    printLines(context, ["", ...verdictText(summary, paint), "", ...lookFurther(started.runId, flags)]);
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
      ...lookFurther(started.runId, flags),
    ]);
  return exitCodeOf(summary.state);
}

/** The execution ended without a verdict: skipped by policy, refused at its start, or broken. */
function reportOver(context: Context, started: StartedRun, end: FollowEnd & { kind: "over" }, flags: RunFlags): number {
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
