import { z } from "zod";
import { bytesOf } from "#core/aws-limits.ts";
import type { Dates } from "#core/contracts/date-settings.ts";
import { runPolicySchema } from "#core/contracts/run-policy.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { type BuildOptions, buildOptionsSchema, checkExtraArgs } from "#core/dbt/argv.ts";
import { DbtCommandRefused, readDbtCommand } from "#core/dbt/commands.ts";
import { ignoredSelection, optionsOver, windowLosesRows } from "#core/dbt/options-over.ts";
import { InputError } from "#core/errors.ts";
import { parseInput } from "#core/input-problems.ts";
import { COMMIT, PROJECT_NAME, RUN_ID, workHash } from "#core/names.ts";
import { momentOf } from "#core/schedule/local-time.ts";

/** Nodes that one retry may name: beyond them it is everything that is not good. */
export const MOST_NODES = 100;

/** Input of the run machine: a project, and options of `dbt build` that win over those of stepwatch.yaml. */
export const runInputSchema = buildOptionsSchema.extend({
  project: z.string().regex(PROJECT_NAME, "is no project name: letters, digits, _ and -, a letter first, at most 63."),
  /** The job of the project that it is a run of: its options, policy and steps, under what else is given here. */
  job: z.string().min(1).max(100).optional(),
  /** With a job of `lock: schema`: what tells its schema apart, in place of the job's own. */
  lockKey: z.string().min(1).max(200).optional(),
  /**
   * The moment that the run works on, whenever it begins (behaviour H11): date and time with an offset, or by the clock of
   * the schedule's zone. Unset, or filled in by nobody: the execution's start.
   */
  scheduledTime: z.string().min(1).max(100).optional(),
  /** The run that this one goes on with, where that can not be redriven: its plan, and all of it that is good. */
  resume: z
    .strictObject({
      run: z.string().regex(RUN_ID, "is no run id: letters, digits, - and _ only, at most 80."),
      /** What is built, good or not; unset: everything that is not good. */
      nodes: z.array(z.string().min(1)).min(1).max(MOST_NODES).optional(),
      downstream: z.boolean().default(false),
      force: z.boolean().default(false),
      fullRefresh: z.boolean().default(false),
      size: z.enum(["producer", "queue"]).optional(),
      /** `current`: the image that is deployed now, not that of the run. */
      image: z.enum(["same", "current"]).default("same"),
      who: z.string().max(200).optional(),
      reason: z.string().max(500).optional(),
    })
    .optional(),
  /** Instead of a build: another command of dbt's, as it stands behind `dbt`, a word each (behaviour H7). */
  command: z.array(z.string().max(100_000)).min(1).max(200).optional(),
  /** A selection that finds nothing is green. */
  allowEmpty: z.boolean().optional(),
  /** What this run changes of its project's policy. */
  policy: runPolicySchema.optional(),
  /**
   * What names the trigger: a second run with it is a duplicate of the first (behaviour G22). Schedules give theirs and the
   * scheduled time.
   */
  dedupeKey: z.string().min(1).max(1_000).optional(),
  /**
   * Names the work that a larger machine asks for (behaviour G13): a later run with it goes on with the one before that
   * was not green, and has nothing to do after one that was.
   */
  runKey: z.string().min(1).max(1_000).optional(),
  /** The execution of the backfill machine that starts it: once that is over, a run that has not begun does not begin. */
  backfill: z.string().min(1).max(2_000).optional(),
  /** With which image an attempt with a `runKey` goes on with the one before: that one's, or the one deployed now. */
  attemptImage: z.enum(["same", "current"]).optional(),
  /** The commit that is built: its manifest is kept under that name, for later runs to compare with. */
  commit: z.string().regex(COMMIT, "is no name of a commit: letters, digits, ., _ and -, at most 100.").optional(),
  /** Begins although a person has paused the project. */
  evenIfPaused: z.boolean().optional(),
  /**
   * What becomes of a run that is left out (paused, a duplicate, overlap: skip): it ends as skipped, or fails, where the
   * next step of a larger machine must not go on with nothing built (behaviour G13).
   */
  ifLeftOut: z.enum(["skip", "fail"]).optional(),
});
export type RunInput = z.infer<typeof runInputSchema>;

/** What Step Functions' own tools add to the input of an execution, to name the one that started it. */
export const STARTED_BY = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID";

/** Parses a run input; throws {@link InputError} that names each field and its value. Nothing has been started then. */
export function parseRunInput(input: unknown): RunInput {
  const parsed = readRunInput(input);
  const problems = parsed.command === undefined ? [] : commandProblems(parsed, parsed.command);
  const loses = windowLosesRows(parsed);
  if (loses !== null) problems.push(loses);
  if (problems.length > 0) throw new InputError("Run input refused", problems);
  try {
    checkExtraArgs(parsed.extraArgs ?? []);
  } catch (cause) {
    throw new InputError(
      "Run input refused",
      [`extraArgs: ${cause instanceof Error ? cause.message : String(cause)}`],
      { cause },
    );
  }
  return parsed;
}

/** What a run of one command may say beside it: everything else is the command's own to say. */
const WITH_COMMAND: ReadonlySet<string> = new Set([
  ...["project", "command", "policy", "dedupeKey", "runKey", "evenIfPaused", "ifLeftOut", "resume"],
  ...["target", "profile", "vars", "threads", "noPartialParse", "state", "deferState", "stateIfMissing"],
]);

/** What is wrong with a command, and what stands beside it that it does not have. */
export function commandProblems(input: Readonly<Record<string, unknown>>, command: readonly string[]): string[] {
  const others = Object.entries(input).filter(([name, value]) => value !== undefined && !WITH_COMMAND.has(name));
  const problems = others.map(([name]) => `${name}: a command has none; write dbt's own options behind the command`);
  try {
    readDbtCommand(command);
  } catch (error) {
    if (!(error instanceof DbtCommandRefused)) throw error;
    problems.push(`command: ${error.message}`);
  }
  return problems;
}

/** The run's row holds input and settings, and DynamoDB takes rows up to 400 KiB. Bytes. */
const MOST_INPUT_BYTES = 128 * 1_024;

function readRunInput(input: unknown): RunInput {
  const bytes = bytesOf(JSON.stringify(input) ?? "");
  if (bytes > MOST_INPUT_BYTES)
    throw new InputError("Run input refused", [
      `input of ${bytes} bytes: at most ${MOST_INPUT_BYTES}. Let the dbt project read large values from a file or a table.`,
    ]);
  return parseInput("Run input refused", runInputSchema, withoutStarter(input));
}

function withoutStarter(input: unknown): unknown {
  if (typeof input !== "object" || input === null || !Object.hasOwn(input, STARTED_BY)) return input;
  return Object.fromEntries(Object.entries(input).filter(([name]) => name !== STARTED_BY));
}

/**
 * The options of a run's builds: those of stepwatch.yaml, under those of the run input. The lock and the containers ask
 * the same function, so that a run never builds another target than the one it has locked.
 * @throws InputError
 */
export function effectiveOptions(settings: ProjectSettings, input: Record<string, unknown>): BuildOptions {
  const given = Object.entries(readRunInput(input)).filter(([name]) => Object.hasOwn(buildOptionsSchema.shape, name));
  const options = Object.fromEntries(given);
  const { threads, target, build } = settings;
  const merged = optionsOver(optionsOver({ threads, target }, build), options);
  const ignored = ignoredSelection(merged);
  if (ignored !== null) throw new InputError(`Options of project ${settings.project} refused`, [ignored]);
  return parseInput(`Options of project ${settings.project} refused`, buildOptionsSchema, merged);
}

/** Whether a run's own options make each build of it a full refresh. */
export const isFullRefresh = (run: { settings: ProjectSettings; input: Record<string, unknown> }): boolean =>
  effectiveOptions(run.settings, run.input).fullRefresh === true;

/** Fields of a run's own input by which it builds less, or elsewhere, than its project or its job says. */
const OTHERWISE = [
  ...["command", "select", "exclude", "selector", "resourceTypes", "excludeResourceTypes", "target", "profile"],
  ...["sample", "empty", "eventTimeStart", "eventTimeEnd", "lockKey", "backfill", "indirectSelection"],
] as const;

/**
 * Whether a run builds what its project or its job says, all of it and where it says: not a part that a person names. One
 * that repairs named nodes of a red run is whole by that; of a green run they are a part.
 */
export const isAsConfigured = (input: Readonly<Record<string, unknown>>, pastState: string | undefined): boolean =>
  OTHERWISE.every((field) => input[field] === undefined) &&
  ((input.resume as RunInput["resume"])?.nodes === undefined || pastState !== "green");

/**
 * What a run would build, when it would not, and who waits for it (`runKey`), as one text for all inputs that ask for the
 * same: its trigger, and what it does where another run is live, make no difference. Its scheduled time does where dbt is
 * given it by the project's settings: yesterday's run is then no other word for today's.
 */
export function workOf(asked: RunInput, dates?: Dates): string {
  const { dedupeKey: _, ifLeftOut: __, backfill: ___, attemptImage: ____, ...work } = asked;
  const { scheduledTime, policy, ...input } = work;
  const { overlap: _overlap, ...own } = policy ?? {};
  const isDated = dates?.variable !== undefined || dates?.eventTime !== undefined;
  return workHash(JSON.stringify(sorted({ ...input, ...(isDated && { scheduledTime }), policy: own })));
}

/** Keys of every mapping in one order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, sorted(inner)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** EventBridge Scheduler's words for what it fills in; an emulator leaves them as they are. */
const CONTEXT_ATTRIBUTE = /<aws\.scheduler\.[\w-]+>/;

/** What makes a schedule's run one, however often Scheduler delivers it: its attempts have other execution ids. */
export const SCHEDULE_DEDUPE_KEY = "<aws.scheduler.schedule-arn> <aws.scheduler.scheduled-time>";

/** The key of a run's trigger; null where it has none, or one that nobody has filled in: it would be the same for all. */
export const triggerOf = ({ dedupeKey }: RunInput): string | null =>
  dedupeKey === undefined || CONTEXT_ATTRIBUTE.test(dedupeKey) ? null : dedupeKey;

/** What a schedule gives as the scheduled time of its runs. */
export const SCHEDULE_TIME = "<aws.scheduler.scheduled-time>";

/**
 * The moment that a run works on, by its input; null where that names none, or holds words that nobody filled in.
 * @throws InputError for a text that is no moment
 */
export function scheduledTimeOf({ scheduledTime }: RunInput, zone: string): number | null {
  if (scheduledTime === undefined || CONTEXT_ATTRIBUTE.test(scheduledTime)) return null;
  const atMs = momentOf(scheduledTime, zone);
  if (atMs !== null) return atMs;
  throw new InputError("Run input refused", [
    `scheduledTime = ${JSON.stringify(scheduledTime)}: no date and time; write for example 2026-01-31T03:00:00Z, or 2026-01-31`,
  ]);
}
