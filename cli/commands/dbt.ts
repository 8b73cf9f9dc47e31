import { parseRunInput, type RunInput } from "#core/contracts/run-input.ts";
import { readDbtCommand } from "#core/dbt/commands.ts";
import { artefactKeys } from "#core/names.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { buildOptionsOf } from "../build-options.ts";
import { sameOptions } from "../command-line.ts";
import type { Context, DeployedStack } from "../context.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { followCommand } from "../follow-command.ts";
import { printJson, printLines, say } from "../output.ts";
import { exitCodeOf, lookFurther, nextOf } from "../run-end.ts";
import { startRun } from "../run-start.ts";
import { paintFor } from "../view/style.ts";
import { verdictText } from "../view/summary-text.ts";
import { type RunFlags, refusePaused, refuseUnknown } from "./run.ts";

/**
 * `stepwatch dbt <project> -- <command>`: another command of dbt's as a run of its own. What dbt says goes to standard
 * output as dbt prints it, everything of ours to stderr. Answers the exit code: 0 where dbt's was, 1 for any other.
 */
export async function dbtCommand(
  context: Context,
  project: string,
  words: readonly string[],
  flags: RunFlags,
): Promise<number> {
  if (words.length === 0)
    throw new UsageError("Name a command of dbt's behind --.", `npx stepwatch dbt ${project} -- docs generate`);
  readDbtCommand(words);
  const options = buildOptionsOf(flags);
  const own = { project, command: [...words], evenIfPaused: flags.evenIfPaused, policy: flags.policy };
  const stated = Object.entries({ ...options, ...own }).filter(([, value]) => value !== undefined);
  const input: RunInput = parseRunInput(Object.fromEntries(stated));
  refuseUnknown(context, project, flags, options);
  const stack = await context.openStack(flags);
  await refusePaused(stack, project, flags);
  const started = await startRun(context, stack, input);
  say(context, `Started run ${started.runId} of ${project}: dbt ${words.join(" ")}`);
  if (flags.follow === false) {
    const { runId, executionArn } = started;
    if (flags.json) printJson(context, { contract: 1, project, runId, executionArn, state: "started" });
    else printLines(context, lookFurther(runId, flags));
    return exitCodes.green;
  }
  return await followCommand(context, stack, started, flags, (summary) => report(context, stack, summary, flags));
}

async function report(context: Context, stack: DeployedStack, summary: RunSummary, flags: RunFlags): Promise<number> {
  const { project, runId, tasks, state } = summary;
  const last = tasks.findLast(({ kind }) => kind === "command");
  const key = last && artefactKeys.task(project, runId, last.task, "output.txt");
  const text = key === undefined ? null : await stack.artefacts.getText(key);
  if (flags.json) {
    printJson(context, { ...summary, exitCode: last?.exitCode ?? null, output: text });
    return exitCodeOf(state);
  }
  if (text !== null) context.out.write(text);
  else if (last !== undefined)
    say(context, `What dbt said is in its log: npx stepwatch logs ${runId}${sameOptions(flags)}`);
  const lines =
    state === "green"
      ? []
      : [...verdictText(summary, paintFor(context.err, context.environment)), ...nextOf(state, runId, flags)];
  for (const line of lines) say(context, line);
  return exitCodeOf(state);
}
