import { OUTSIDE_CAUSES, SIGNAL_CAUSES } from "#core/contracts/cause.ts";
import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import type { Policy } from "#core/contracts/settings.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import { commandWords, shownWords } from "#core/dbt/command-words.ts";
import { isRepeatable, readDbtCommand } from "#core/dbt/commands.ts";
import { optionsOver } from "#core/dbt/options-over.ts";
import { backOffMs } from "#core/run/deciding/back-off.ts";
import { endOf } from "#core/run/deciding/decision.ts";
import { FIRST_ROUND, type Round, tasksOfRound } from "#core/run/judging/rounds.ts";
import { currentProducer, isOver, overAtMs } from "#core/run/judging/vertex-view.ts";

/** Another command of dbt's that a run consists of, or has before or after its build (docs/adr/0055). */
export interface RunStep {
  /** Names it among the steps of its run; the rows of its tasks keep it. */
  readonly id: string;
  readonly where: "alone" | "before" | "after";
  readonly words: readonly string[];
  /** It may be run again by itself where it was cut off. */
  readonly repeatable: boolean;
  readonly continueOnFailure: boolean;
  /** Of a step after the build: also where that is not green. */
  readonly always: boolean;
}

export interface RunSteps {
  /** There is no build: the steps are all of the run. */
  readonly alone: boolean;
  /** A build that finds nothing is green. */
  readonly selectsByState: boolean;
  readonly before: readonly RunStep[];
  readonly after: readonly RunStep[];
}

/** The steps of a run: its one command, or those of its job. Null: it has none. */
export function stepsOf({ input, settings }: Pick<RunRow, "input" | "settings">): RunSteps | null {
  const { command } = input;
  const kept = { selectsByState: selectsByState({ input, settings }) };
  const flags = { continueOnFailure: false, always: false };
  if (Array.isArray(command))
    return { ...kept, alone: true, before: [made("command", "alone", command, flags)], after: [] };
  const { before = [], after = [] } = settings.job ?? {};
  if (before.length + after.length === 0) return null;
  const of = (where: "before" | "after", steps: typeof before) =>
    steps.map((step, at) => made(`${where}-${at + 1}`, where, commandWords(step.command), step));
  return { ...kept, alone: false, before: of("before", before), after: of("after", after) };
}

/** Whether a run's selection may rightly find nothing: by what it selects, not by what its own word has put out. */
export function selectsByState({ input, settings }: Pick<RunRow, "input" | "settings">): boolean {
  const { select, selector } = input as BuildOptions;
  const asked = optionsOver(settings.build as BuildOptions, { select, selector });
  return /\b(state|source_status):/.test(JSON.stringify(asked.select ?? []));
}

const made = (
  id: string,
  where: RunStep["where"],
  words: readonly string[],
  { continueOnFailure, always }: Pick<RunStep, "continueOnFailure" | "always">,
): RunStep => ({ id, where, words, continueOnFailure, always, repeatable: isRepeatable(readDbtCommand(words)) });

/** A step as a person would type it, without what quotes it: for reasons and verdicts, which are sent far. */
export const lineOf = ({ words }: RunStep): string => `dbt ${shownWords(words).join(" ")}`;

/** What is known of a run's commands. */
export interface StepsAsked {
  readonly tasks: readonly TaskRow[];
  readonly policy: Policy;
  readonly round?: Round;
}

/** How a step stands: to be run at a moment, in a live task, or over. */
export type Standing =
  | { readonly is: "good" | "alive" }
  | { readonly is: "failed"; readonly task: TaskRow }
  | { readonly is: "due"; readonly atMs: number; readonly after: TaskRow | null };

/** Whether a command's task has ended well: its step is not run again. */
export const isWell = ({ end }: TaskRow): boolean => end?.cause.kind === "none" && end.exitCode === 0;

/**
 * How a step stands. One that was good is not run again, in no round; but a step after the build is, where more was built
 * since: grants and docs are of what was there then.
 */
export function standing(step: RunStep, { tasks, policy, round = FIRST_ROUND }: StepsAsked): Standing {
  const own = tasks.filter((task) => task.step === step.id);
  const builtLast = step.where === "after" ? (tasks.findLast(({ kind }) => kind !== "command")?.task ?? 0) : 0;
  if (own.some((task) => isWell(task) && task.task > builtLast)) return { is: "good" };
  if (own.some((task) => !isOver(task))) return { is: "alive" };
  const tried = tasksOfRound(own, round).filter(({ task }) => task > builtLast);
  const last = tried.at(-1);
  if (last === undefined) return { is: "due", atMs: 0, after: null };
  if (!mayRunAgain(step, last) || tried.length > policy.producerRetries) return { is: "failed", task: last };
  return { is: "due", atMs: overAtMs(last) + backOffMs(tried.length, policy), after: last };
}

/** A command that was cut off. One that writes may have written half: a person looks at that first. */
function mayRunAgain({ repeatable }: RunStep, { end, stop, startedAtMs }: TaskRow): boolean {
  if (stop?.neverStarted) return false;
  if (startedAtMs === undefined && end === undefined) return true;
  if (!repeatable) return false;
  return end === undefined || OUTSIDE_CAUSES.has(end.cause.kind) || SIGNAL_CAUSES.has(end.cause.kind);
}

/** Steps that have failed and make their run red, each with its last task. */
export function failedSteps(steps: RunSteps, asked: StepsAsked): { readonly step: RunStep; readonly task: TaskRow }[] {
  return [...steps.before, ...steps.after].flatMap((step) => {
    const stands = step.continueOnFailure ? null : ended(step, asked);
    return stands?.is === "failed" ? [{ step, task: stands.task }] : [];
  });
}

/** As it stands in the verdict: nothing is run again any more. */
function ended(step: RunStep, asked: StepsAsked): Standing {
  const stands = standing(step, asked);
  return stands.is === "due" && stands.after !== null ? { is: "failed", task: stands.after } : stands;
}

/** Steps of a run that was good until then and that were not run, or not to their end. */
export const openSteps = (steps: RunSteps, asked: StepsAsked): RunStep[] =>
  (steps.alone ? steps.before : steps.after).filter((step) => !["good", "failed"].includes(ended(step, asked).is));

/**
 * Steps that a further round runs: before a build that has not begun, those that were not good; after it those too, and
 * all of them where it builds something.
 */
export function stepsOfNextRound(steps: RunSteps, tasks: readonly TaskRow[], buildsMore: boolean): RunStep[] {
  const mayBegin = steps.alone || currentProducer(tasks) === null;
  const wasGood = ({ id }: RunStep) => tasks.some((task) => task.step === id && isWell(task));
  const before = mayBegin ? steps.before.filter((step) => !wasGood(step)) : [];
  return [...before, ...steps.after.filter((step) => buildsMore || !wasGood(step))];
}

/** A sentence for each step that failed and was passed over. */
export function passedOverSteps(steps: RunSteps | null, asked: StepsAsked): string[] {
  return [...(steps?.before ?? []), ...(steps?.after ?? [])].flatMap((step) => {
    const stands = step.continueOnFailure ? ended(step, asked) : null;
    if (stands?.is !== "failed") return [];
    return [`${lineOf(step)}, ${step.where} the build, failed and was passed over: ${endOf(stands.task)}`];
  });
}
