import { CONTRACT, LOCK_FREE, WOKEN } from "#core/contracts/payloads.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { InputError } from "#core/errors.ts";
import { type AslChoice, type AslDefinition, type AslTask, INVOKE, INVOKE_AND_WAIT, turns } from "./asl.ts";
import { CALL_RETRY, LOOP_RETRY } from "./retries.ts";
import { QUEUE_TURN_SECONDS, roundsSeconds, runMachineTimeoutSeconds, runWait, type Watching } from "./turns.ts";

/** The run machine's states; no loop leads from a state straight to itself (asl.ts, {@link turns}). */
export const RUN_STATES = {
  start: "Start run",
  startAgain: "Start run again",
  check: "Check run",
  checkAgain: "Check run again",
  over: "Is the run over?",
  settle: "Settle run",
} as const;

/** Settle-run reads all rows of a run and writes its summary; its Lambda timeout is shorter (infra/functions.ts). */
const SETTLE_TIMEOUT_SECONDS = 600;

export interface RunMachineOptions extends Watching {
  readonly startRunArn: string;
  readonly checkRunArn: string;
  readonly settleRunArn: string;
  /** Everything that start-run may start, by project name. */
  readonly projects: Readonly<Record<string, ProjectSettings>>;
}

/**
 * One run of a project: `Start run` ⟲ → `Check run` ⟲ → `Settle run`. Start run's answer, a RunReference, replaces the
 * execution's input as the state data; a turn that times out changes nothing (ResultPath null).
 * @throws {InputError} if a project's settings hold a key that JSONPath would take for a path.
 */
export function runMachineDefinition(options: RunMachineOptions): AslDefinition {
  refusePathKeys(options.projects);
  const { start, startAgain, check, checkAgain, over, settle } = RUN_STATES;
  return {
    Comment: "One dbt build and what its failures need, until every vertex has its last word.",
    QueryLanguage: "JSONPath",
    StartAt: start,
    TimeoutSeconds: runMachineTimeoutSeconds(options.longestRunMinutes),
    States: {
      [start]: startState(options),
      [startAgain]: {
        Type: "Pass",
        Comment: "The state before holds the settings of all projects: no second one like it.",
        Next: start,
      },
      ...turns([check, checkAgain], checkState(options)),
      [over]: overChoice,
      [settle]: settleState(options),
    },
  };
}

const startState = (options: RunMachineOptions): AslTask => ({
  Type: "Task",
  Comment: "Takes the project's lock and writes the run, or waits in the lock's queue.",
  Resource: INVOKE_AND_WAIT,
  Parameters: {
    FunctionName: options.startRunArn,
    Payload: {
      contract: CONTRACT,
      "taskToken.$": "$$.Task.Token",
      "input.$": "$",
      execution: {
        "arn.$": "$$.Execution.Id",
        "name.$": "$$.Execution.Name",
        "startTime.$": "$$.Execution.StartTime",
      },
      projects: options.projects,
      catchesLockFree: true,
      waitSeconds: runWait(options).waitSeconds,
    },
  },
  TimeoutSeconds: QUEUE_TURN_SECONDS,
  ResultPath: "$",
  Retry: LOOP_RETRY,
  // The turn's end, or somebody who gave the lock back: look again.
  Catch: [{ ErrorEquals: ["States.Timeout", LOCK_FREE], ResultPath: null, Next: RUN_STATES.startAgain }],
  Next: RUN_STATES.check,
});

const checkState =
  (options: RunMachineOptions) =>
  (again: string): AslTask => ({
    Type: "Task",
    Comment: "Decides and launches what is due; answers when it is to look at another time, or for the last time.",
    Resource: INVOKE_AND_WAIT,
    Parameters: {
      FunctionName: options.checkRunArn,
      Payload: { "taskToken.$": "$$.Task.Token", "run.$": "$", ...waitsOf(options) },
    },
    TimeoutSecondsPath: "$.waitSeconds",
    ResultPath: "$",
    Retry: LOOP_RETRY,
    Catch: [
      // The turn's end, or somebody who saw what it decides about: look again.
      { ErrorEquals: ["States.Timeout", WOKEN], ResultPath: null, Next: again },
      // Whatever else a check can not go on with: the run is settled red by it, never left without a verdict.
      { ErrorEquals: ["States.ALL"], ResultPath: "$.error", Next: RUN_STATES.settle },
    ],
    Next: RUN_STATES.over,
  });

function waitsOf(options: RunMachineOptions) {
  const { waitSeconds: netSeconds, averageSeconds } = runWait(options);
  return averageSeconds === null ? {} : { waits: { netSeconds, averageSeconds } };
}

const overChoice: AslChoice = {
  Type: "Choice",
  Comment: "Another look, after as many seconds as the check said; or the verdict.",
  Choices: [{ Variable: "$.next", StringEquals: "settle", Next: RUN_STATES.settle }],
  Default: RUN_STATES.check,
};

const settleState = (options: RunMachineOptions): AslTask => ({
  Type: "Task",
  Comment:
    "Writes verdict and summary and gives the lock back; fails with RunFailed unless the run is green, or goes on.",
  Resource: INVOKE,
  Parameters: {
    FunctionName: options.settleRunArn,
    Payload: { "run.$": "$", "execution.$": "$$.Execution", roundsSeconds: roundsSeconds(options) },
  },
  TimeoutSeconds: SETTLE_TIMEOUT_SECONDS,
  OutputPath: "$.Payload",
  Retry: CALL_RETRY,
  // Somebody redrove the run, or retried it, or it retries itself: it goes on with a further round.
  Catch: [{ ErrorEquals: ["RoundOpened"], ResultPath: null, Next: RUN_STATES.check }],
  End: true,
});

/** In Parameters a key that ends in `.$` is a path: a dbt variable of such a name would fail every run at its start. */
function refusePathKeys(value: unknown, path = "projects"): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key.endsWith(".$")) throw new InputError("Settings refused", [`${path}.${key}: a key must not end in ".$".`]);
    refusePathKeys(inner, `${path}.${key}`);
  }
}
