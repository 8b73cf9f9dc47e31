import { parseRunInput, type RunInput } from "#core/contracts/run-input.ts";
import { unknownJob } from "#core/contracts/run-job.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import { optionsOver } from "#core/dbt/options-over.ts";
import { pausedBy } from "#core/run/watching/pause.ts";
import { type BuildFlags, buildOptionsOf } from "../build-options.ts";
import { sameOptions } from "../command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "../context.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { followCommand } from "../follow-command.ts";
import { printJson, printLines, say } from "../output.ts";
import { configNameOf } from "../paths.ts";
import type { PolicyFlags } from "../policy-options.ts";
import { lookFurther, notInStack } from "../run-end.ts";
import { findRun } from "../run-lookup.ts";
import { startRun } from "../run-start.ts";

export interface RunFlags extends CommonOptions, BuildFlags {
  readonly rerun?: string;
  readonly follow?: boolean;
  readonly allowEmpty?: boolean;
  readonly commit?: string;
  readonly policy?: PolicyFlags;
  readonly overlap?: string;
  readonly dependsOnPast?: boolean;
  readonly dedupeKey?: string;
  readonly job?: string;
  readonly lockKey?: string;
  readonly scheduledTime?: string;
  readonly evenIfPaused?: boolean;
}

/** `stepwatch run <project>`: starts a run and follows it to its verdict. Answers the exit code. */
export async function runCommand(context: Context, named: string | undefined, flags: RunFlags): Promise<number> {
  const options = buildOptionsOf(flags);
  const again = await againAs(context, named, flags);
  const project = again.project;
  const input = parseRunInput({ ...again, ...options, ...runFields(flags) });
  refuseUnknown(context, project, flags, options);
  const stack = await context.openStack(flags);
  if (stack.projects?.includes(project) === false) throw notInStack(project, stack.projects.join(", "), flags);
  sayOutdated(context, stack, flags);
  await refusePaused(stack, project, flags);
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

export function sayOutdated(context: Context, { outdated }: DeployedStack, flags: CommonOptions): void {
  const next = `npx stepwatch deploy${sameOptions(flags)}`;
  if (outdated) say(context, `What is deployed is older than stepwatch.yaml or the sources: ${next}`);
}

/**
 * The project, or the whole input of a run that is to be run again; options given beside it win.
 * @throws {UsageError} without either, or where they differ
 */
async function againAs(context: Context, project: string | undefined, flags: RunFlags): Promise<{ project: string }> {
  if (flags.rerun === undefined) {
    if (project === undefined)
      throw new UsageError("Name a project, or a run to run again by --rerun.", "npx stepwatch run --help");
    return { project };
  }
  const stack = await context.openStack(flags);
  const key = await findRun(stack, flags.rerun, sameOptions(flags));
  const row = await stack.ledger.readRun(key);
  const again = `npx stepwatch run ${key.project}${sameOptions(flags)}`;
  if (row === null)
    throw new UsageError(`The run ${flags.rerun} is not in the ledger: its options are not known.`, again);
  if (project !== undefined && project !== key.project)
    throw new UsageError(`The run ${flags.rerun} is of ${key.project}, not of ${project}.`, again);
  const { resume: _resume, dedupeKey: _dedupeKey, evenIfPaused: _even, ...input } = row.input as RunInput;
  const { runKey: _key, backfill: _backfill, ifLeftOut: _ifLeftOut, ...work } = input;
  return work;
}

/** What the flags say beside the options of `dbt build`, as the run input has it. */
export function runFields(flags: RunFlags) {
  const { allowEmpty, commit, policy, overlap, dependsOnPast, dedupeKey, evenIfPaused, job, lockKey, scheduledTime } =
    flags;
  const own = { ...policy, ...stated({ overlap, dependsOnPast }) };
  const hasPolicy = Object.keys(own).length > 0;
  const given = { job, lockKey, scheduledTime, allowEmpty, commit, dedupeKey, evenIfPaused };
  return stated({ ...given, policy: hasPolicy ? own : undefined });
}

const stated = (record: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));

/** @throws {UsageError} before anything starts: the run would be left out */
export async function refusePaused(stack: DeployedStack, project: string, flags: RunFlags): Promise<void> {
  const pause = flags.evenIfPaused === true ? null : await stack.ledger.readPause(project);
  if (pause === null) return;
  throw new UsageError(
    `${pausedBy(pause)} Nothing was started. Resume the project, or run it all the same with --even-if-paused.`,
    `npx stepwatch resume ${project}${sameOptions(flags)}`,
  );
}

/**
 * The project is looked up, and on this machine looked at, before anything starts; without a stepwatch.yaml at hand the
 * run machine knows its projects.
 */
export function refuseUnknown(context: Context, project: string, flags: RunFlags, options: BuildOptions): void {
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
  if (flags.job !== undefined && !Object.hasOwn(found.jobs, flags.job))
    throw new UsageError(
      `${unknownJob(project, flags.job, found.jobs)}, in ${configNameOf(flags.config, context.cwd)}.`,
      "Name one of these, or give the options themselves.",
    );
  const ofJob = flags.job === undefined ? {} : found.jobs[flags.job]!.build;
  if (flags.stack === undefined) context.checkProject(found, optionsOver(ofJob, options));
}
