import type { TaskRow } from "#core/contracts/ledger.ts";
import { type Decision, endOf, type LaunchDecision, nothing, type StepInput } from "#core/run/deciding/decision.ts";
import {
  failedSteps,
  lineOf,
  type RunStep,
  type RunSteps,
  type Standing,
  standing,
} from "#core/run/judging/run-steps.ts";
import { currentProducer, isOver } from "#core/run/judging/vertex-view.ts";
import { verdictOfBuild } from "#core/run/reporting/verdict.ts";

/**
 * What comes before the build, one after another. Null: it may begin, or has begun: then nothing of this is asked again.
 */
export function beforeBuild(input: StepInput): Decision | null {
  const { steps, stopReason, notBeforeMs, nowMs } = input;
  if (steps == null) return null;
  if (stopReason !== null)
    return steps.alone || currentProducer(input.tasks) === null || isStepAlive(input) ? stopped(input) : null;
  if (nowMs < (notBeforeMs ?? 0)) return nothing;
  if (!steps.alone && currentProducer(input.tasks) !== null) return null;
  return inOrder(steps.before, input) ?? (steps.alone ? { ...nothing, settle: true } : null);
}

/** A step after the build runs: what ends builds would pass it over. */
const isStepAlive = ({ tasks }: StepInput): boolean => tasks.some((task) => task.kind === "command" && !isOver(task));

/** Nothing more is launched; what lives is ended. */
function stopped({ tasks }: StepInput): Decision {
  return tasks.some((task) => !isOver(task)) ? { ...nothing, stopTasks: true } : { ...nothing, settle: true };
}

/** The first step that is not over decides; one that failed ends the run. Null: all of them are over. */
function inOrder(steps: readonly RunStep[], input: StepInput): Decision | null {
  for (const step of steps) {
    const stands = standing(step, input);
    if (stands.is === "good") continue;
    if (stands.is !== "failed") return next(step, stands, input);
    if (!step.continueOnFailure) return { ...nothing, settle: true };
  }
  return null;
}

const next = (step: RunStep, stands: Standing, { nowMs }: StepInput): Decision =>
  stands.is === "due" && nowMs >= stands.atMs ? { ...nothing, launches: [launchOf(step, stands.after)] } : nothing;

const launchOf = (step: RunStep, after: TaskRow | null): LaunchDecision => ({
  kind: "command",
  uniqueIds: [],
  claims: [],
  size: "producer",
  step: { id: step.id, words: step.words },
  reason: `${lineOf(step)}${step.where === "alone" ? "" : `, ${step.where} the build`}${after === null ? "" : `, again: ${endOf(after)}`}`,
});

/**
 * What comes after the build, once nothing is left to be built: of a run that would be green, or `always`. A step that
 * failed is followed by none but those.
 */
export function afterBuild(input: StepInput, end: Decision): Decision {
  const { steps } = input;
  if (steps == null || steps.alone || steps.after.length === 0) return end;
  let goesWell = end.finals.length === 0 && wouldBeGreen(input, steps);
  for (const step of steps.after) {
    if (!goesWell && !step.always) continue;
    const stands = standing(step, input);
    if (stands.is === "failed") goesWell &&= step.continueOnFailure;
    else if (stands.is !== "good") return { ...next(step, stands, input), finals: end.finals };
  }
  return end;
}

function wouldBeGreen(input: StepInput, steps: RunSteps): boolean {
  if (failedSteps({ ...steps, after: [] }, input).length > 0) return false;
  const tasks = input.tasks.filter(({ kind }) => kind !== "command");
  return verdictOfBuild({ ...input, tasks, selectsByState: steps.selectsByState }).state === "green";
}
