import { randomBytes } from "node:crypto";
import {
  attemptName,
  type BackfillInput,
  backfillAgain,
  backfillIdOf,
  backfillInput,
  isBackfillOf,
  MOST_LANES,
  newBackfillId,
  windowsIn,
} from "#core/backfill.ts";
import { effectiveOptions, parseRunInput, type RunInput } from "#core/contracts/run-input.ts";
import { settingsOfJob } from "#core/contracts/run-job.ts";
import { policyOfRun } from "#core/contracts/run-policy.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { counted } from "#core/counted.ts";
import { executionArn } from "#core/names.ts";
import { lockFor } from "#core/run/planning/lock-for.ts";
import { refuseEarly } from "#core/run/planning/refuse-early.ts";
import type { Period } from "#core/schedule/local-time.ts";
import { windowsOf } from "#core/schedule/windows.ts";
import { followBackfill, reportBackfill } from "../backfill/follow.ts";
import { type BackfillLook, backfillMachineOf, lookAtBackfill } from "../backfill/look.ts";
import { type BuildFlags, buildOptionsOf } from "../build-options.ts";
import { sameOptions } from "../command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "../context.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { printJson, printLines, say } from "../output.ts";
import { notInStack } from "../run-end.ts";
import { type RunFlags, refusePaused, refuseUnknown, runFields, sayOutdated } from "./run.ts";

export interface BackfillFlags extends RunFlags, BuildFlags {
  readonly from?: string;
  readonly to?: string;
  readonly by: Period;
  readonly parallel: number;
  readonly at: "start" | "end";
  readonly eventTime: boolean;
}

/** `stepwatch backfill <project>`: one run for each window of a range, or without a range the backfills there are. */
export async function backfillCommand(context: Context, project: string, flags: BackfillFlags): Promise<number> {
  const { from, to } = flags;
  if (from === undefined && to === undefined) return await listBackfills(context, project, flags);
  if (from === undefined || to === undefined)
    throw new UsageError("--from and --to: a range has both.", "npx stepwatch backfill --help");
  const options = buildOptionsOf(flags);
  const given = (["eventTimeStart", "eventTimeEnd", "sample"] as const).find((name) => options[name] !== undefined);
  if (given !== undefined)
    throw new UsageError(`${FLAGS[given]}: the windows of a backfill say it.`, "npx stepwatch backfill --help");
  const asking = parseRunInput({ project, ...options, ...runFields(flags) });
  refuseUnknown(context, project, flags, options);
  const stack = await context.openStack(flags);
  sayOutdated(context, stack, flags);
  const machine = backfillMachineOf(stack, flags);
  const deployed = await stack.readSettings(project);
  if (deployed === null) throw notInStack(project, stack.projects?.join(", ") ?? "no such project", flags);
  const settings = settingsOfJob(deployed, flags.job);
  refuseSideBySide(settings, flags);
  refuseForAll(asking, settings, flags, context.now());
  const { by, at, eventTime, parallel } = flags;
  const zone = settings.dates?.zone ?? "UTC";
  const windows = windowsOf({ from, to, by, timeZone: zone }, (end) => `--${end}`);
  refuseFuture(windows.at(-1)!.endMs, to, context.now());
  await refusePaused(stack, project, flags);
  const input = inLine(asking);
  const id = newBackfillId(project, context.now(), randomBytes(4).toString("hex"));
  const asked = { id, project, by, zone, who: context.person, input, windows, parallel, at, eventTime };
  return await begin(context, stack, machine, backfillInput(asked, machine), 1, flags);
}

const FLAGS = { eventTimeStart: "--event-time-start", eventTimeEnd: "--event-time-end", sample: "--sample" } as const;

/** Runs under one lock follow one another whatever is asked, and would only fill its queue. @throws {UsageError} */
function refuseSideBySide({ project, job }: ProjectSettings, { parallel }: BackfillFlags): void {
  if (parallel > MOST_LANES) throw new UsageError(`--parallel ${parallel}: at most ${MOST_LANES}.`);
  if (parallel === 1 || job?.lock === "none") return;
  const whose = job === undefined ? `of ${project}` : `of the job ${job.name}`;
  throw new UsageError(
    `--parallel ${parallel}: runs ${whose} share a lock, so that one follows the other.`,
    "Leave it out, or name a job with lock: none by --job.",
  );
}

/**
 * A window waits for its lock, whatever the project's policy does beside a live run: left out, one after the other would
 * be, within seconds.
 */
function inLine({ project: _, policy, ...input }: RunInput): Omit<RunInput, "project"> {
  return { ...input, policy: { overlap: "queue", ...policy } };
}

/** Of a window that is not over half the data is there, or none. @throws {UsageError} */
function refuseFuture(endMs: number, to: string, nowMs: number): void {
  if (endMs > nowMs)
    throw new UsageError(
      `--to ${to}: that is in the future, and the last window not over.`,
      "Name where the last whole window ends.",
    );
}

/**
 * What is wrong with each of the runs is said once, before any is started. @throws {UsageError | InputError}
 */
function refuseForAll(input: RunInput, settings: ProjectSettings, flags: BackfillFlags, nowMs: number): void {
  const refused = (sentence: string) => new UsageError(sentence, "npx stepwatch backfill --help");
  const options = effectiveOptions(settings, input);
  const { project, dates = { format: "date" as const } } = settings;
  if (options.fullRefresh === true)
    throw refused("fullRefresh: each window's run would rebuild incremental models with its own rows alone.");
  if (options.empty === true) throw refused("empty: no window's run would build a row.");
  if (options.sample !== undefined) throw refused("sample: the windows of a backfill say which rows are read.");
  if (dates.variable !== undefined && options.vars !== undefined && Object.hasOwn(options.vars, dates.variable))
    throw refused(
      `vars.${dates.variable}: it is the variable of ${project}'s dates, and would be the same in all windows.`,
    );
  if (flags.by === "hour" && dates.variable !== undefined && dates.format !== "datetime")
    throw refused(
      `--by hour: the variable ${dates.variable} of ${project}'s dates is a date, the same for 24 windows.`,
    );
  const window = options.eventTimeStart ?? options.eventTimeEnd ?? dates.eventTime;
  if (!flags.eventTime && window !== undefined)
    throw refused(`--no-event-time: the settings of ${project} give its runs a window of their own (${window}).`);
  const policy = policyOfRun(settings.policy, input.policy, Number.POSITIVE_INFINITY);
  lockFor({ arn: "", name: "a-run" }, input, settings, nowMs);
  refuseEarly(settings, input, policy, options);
}

async function begin(
  context: Context,
  stack: DeployedStack,
  machine: string,
  input: BackfillInput,
  attempt: number,
  flags: CommonOptions & { readonly follow?: boolean },
): Promise<number> {
  const { id, project, by, zone } = input.backfill;
  const windows = windowsIn(input);
  const lanes = input.lanes.length === 1 ? "one after the other" : `${input.lanes.length} at a time`;
  say(
    context,
    `${counted(windows.length, "run")} of ${project}, one for each ${by} in ${zone} from ${windows[0]!.window} to ${windows.at(-1)!.window}, ${lanes}.`,
  );
  const { started } = await stack.executions.start(machine, attemptName(id, attempt), input);
  if (!started)
    throw new UsageError(
      `Somebody else has just begun to retry the backfill ${id}.`,
      `npx stepwatch backfill status ${id}${sameOptions(flags)}`,
    );
  say(context, `Started the backfill ${id}.`);
  const begun = { input, attempt, startedAtMs: context.now() };
  if (flags.follow === false) return reportBackfill(context, await lookAtBackfill(stack, id, flags, { begun }), flags);
  const end = await followBackfill(context, stack, id, flags, begun);
  return end === null ? exitCodes.interrupted : reportBackfill(context, end, flags);
}

const SHOWN = 20;
const DAY_MS = 86_400_000;

async function listBackfills(context: Context, project: string, flags: CommonOptions): Promise<number> {
  const stack = await context.openStack(flags);
  const names = await stack.executionNames(backfillMachineOf(stack, flags));
  const ids = [...new Set(names.filter((name) => isBackfillOf(project, name)).map(backfillIdOf))].slice(0, SHOWN);
  if (flags.json) {
    printJson(context, { contract: 1, project, backfills: ids });
    return exitCodes.green;
  }
  const none = [
    `${project} has no backfills. Start one with: npx stepwatch backfill ${project} --from 2026-01-01 --to 2026-02-01 --by day${sameOptions(flags)}`,
  ];
  printLines(
    context,
    ids.length === 0 ? none : ids.map((id) => `npx stepwatch backfill status ${id}${sameOptions(flags)}`),
  );
  return exitCodes.green;
}

/** `stepwatch backfill status <id>`. The exit code is the backfill's, as of a run. */
export async function backfillStatus(context: Context, id: string, flags: CommonOptions): Promise<number> {
  const stack = await context.openStack(flags);
  return reportBackfill(context, await lookAtBackfill(stack, id, flags), flags);
}

/**
 * `stepwatch backfill stop <id>`: no further window begins, and the runs that are at work are stopped as by `stop`.
 * Answers 0 once it is over: what was asked for is done.
 */
export async function backfillStop(
  context: Context,
  named: string,
  flags: CommonOptions & { readonly reason: string; readonly follow?: boolean },
): Promise<number> {
  const stack = await context.openStack(flags);
  const look = await lookAtBackfill(stack, named, flags);
  const { id } = look.input.backfill;
  if (look.state !== "running")
    throw new UsageError(
      `The backfill ${id} is over already: ${look.state}.`,
      `npx stepwatch backfill status ${id}${sameOptions(flags)}`,
    );
  const cause = `stopped by ${context.person}: ${flags.reason}`;
  // Where a run has been told why it is stopped, that stands in its verdict, whoever ends its execution.
  const asked = new Set<string>();
  await askRuns(context, stack, look, { asked, cause: null, reason: flags.reason });
  await stack.executions.stop(executionArn(backfillMachineOf(stack, flags), attemptName(id, look.attempt)), cause);
  // Whose runs have begun since that look.
  const after = await lookAtBackfill(stack, id, flags);
  await askRuns(context, stack, after, { asked, cause, reason: flags.reason });
  say(context, `The backfill ${id} is being stopped: no further window begins.`);
  if (flags.follow === false) return reportAsked(context, await lookAtBackfill(stack, id, flags), flags);
  const end = await followBackfill(context, stack, id, flags);
  return end === null ? exitCodes.interrupted : reportAsked(context, end, flags);
}

function reportAsked(context: Context, look: BackfillLook, flags: CommonOptions): number {
  reportBackfill(context, look, flags);
  return exitCodes.green;
}

/** @param cause with which runs end that wait for their lock; null: these are left, for now */
async function askRuns(
  context: Context,
  stack: DeployedStack,
  { input, windows }: BackfillLook,
  { asked, cause, reason }: { readonly asked: Set<string>; readonly cause: string | null; readonly reason: string },
): Promise<void> {
  const { project } = input.backfill;
  for (const { state, runId } of windows) {
    if (state !== "running" || runId === null || asked.has(runId)) continue;
    const run = await stack.ledger.readRun({ project, runId });
    if (run !== null) asked.add(runId);
    // One that waits for its lock has no verdict to explain.
    else if (cause !== null) await stack.executions.stop(executionArn(stack.resources.runMachineArn, runId), cause);
    if (run?.state === "running")
      await stack.ledger.requestStop(run, { atMs: context.now(), reason, by: context.person, afterCurrent: false });
  }
}

/** Flags of `backfill retry`. */
export interface BackfillRetryFlags extends CommonOptions {
  readonly follow?: boolean;
  readonly image?: "same" | "current";
  readonly evenIfPaused?: boolean;
}

/** `stepwatch backfill retry <id>`: the windows that are not green once more, each going on with what is good of it. */
export async function backfillRetry(context: Context, named: string, flags: BackfillRetryFlags): Promise<number> {
  const stack = await context.openStack(flags);
  const machine = backfillMachineOf(stack, flags);
  const look = await lookAtBackfill(stack, named, flags);
  const { id, project } = look.input.backfill;
  const next = `npx stepwatch backfill status ${id}${sameOptions(flags)}`;
  if (look.state === "running")
    throw new UsageError(`The backfill ${id} goes on: it is retried when it is over.`, next);
  const open = look.windows.filter(({ state }) => state !== "green").map(({ window }) => window);
  const days = (await stack.readSettings(project))?.policy.ttlDays ?? Number.POSITIVE_INFINITY;
  // What is green of it nobody knows any more, and would be built again.
  if (context.now() > look.startedAtMs + days * DAY_MS && look.windows.some(({ runId }) => runId === null))
    throw new UsageError(
      `The backfill ${id} is older than the rows of its runs (ttlDays): which windows are green is not known any more.`,
      `Begin another one for what is missing: npx stepwatch backfill ${project} --from … --to …${sameOptions(flags)}`,
    );
  if (open.length === 0)
    throw new UsageError(`All windows of the backfill ${id} are green: nothing is left to do.`, next);
  const { attemptImage: _, ...before } = look.input.input;
  const input = {
    ...before,
    ...(flags.image === "current" && { attemptImage: "current" }),
    ...(flags.evenIfPaused === true && { evenIfPaused: true }),
  };
  await refusePaused(stack, project, {
    ...flags,
    evenIfPaused: before.evenIfPaused === true || flags.evenIfPaused === true,
  });
  const attempt = look.attempt + 1;
  return await begin(
    context,
    stack,
    machine,
    backfillAgain({ ...look.input, input }, open, machine, attempt),
    attempt,
    flags,
  );
}
