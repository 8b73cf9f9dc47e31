import { sameOptions } from "../command-line.ts";
import type { CommonOptions, Context } from "../context.ts";
import { exitCodes } from "../failure.ts";
import { pausedLines, pauseJson, recordHand } from "../hands.ts";
import { refuseUnknownProject } from "../known-project.ts";
import { printJson, printLines } from "../output.ts";

/** `stepwatch pause <project>`: no run of it begins until it is resumed; live ones go on. */
export async function pauseCommand(
  context: Context,
  project: string,
  flags: CommonOptions & { readonly reason: string },
): Promise<number> {
  const stack = await context.openStack(flags);
  await refuseUnknownProject(context, stack, project, flags);
  const wanted = { project, by: context.person, atMs: context.now(), reason: flags.reason };
  const changed = await stack.ledger.pause(wanted);
  const pause = (await stack.ledger.readPause(project)) ?? wanted;
  if (changed)
    await recordHand(context, stack, {
      project,
      action: "pause",
      reason: flags.reason,
      sentence: "paused the project",
    });
  if (flags.json) printJson(context, { contract: 1, project, changed, paused: pauseJson(pause) });
  else
    printLines(context, [
      changed
        ? `${project} is paused: its runs end as skipped, scheduled ones and those that wait. Live runs go on.`
        : `${project} was paused before.`,
      ...pausedLines(pause, flags),
    ]);
  return exitCodes.green;
}

/** `stepwatch resume <project>`. What was left out meanwhile is not caught up. */
export async function resumeCommand(
  context: Context,
  project: string,
  flags: CommonOptions & { readonly reason?: string },
): Promise<number> {
  const stack = await context.openStack(flags);
  await refuseUnknownProject(context, stack, project, flags);
  const pause = await stack.ledger.readPause(project);
  const changed = await stack.ledger.resume(project);
  if (changed) {
    const sentence = pause === null ? "resumed the project" : `resumed the project, paused by ${pause.by}`;
    await recordHand(context, stack, { project, action: "resume", reason: flags.reason ?? "", sentence });
  }
  if (flags.json) printJson(context, { contract: 1, project, changed, was: pauseJson(pause), paused: null });
  else
    printLines(context, [
      changed
        ? `${project} is resumed. Runs that were left out are not caught up: npx stepwatch run ${project}${sameOptions(flags)}`
        : `${project} is not paused.`,
    ]);
  return exitCodes.green;
}
