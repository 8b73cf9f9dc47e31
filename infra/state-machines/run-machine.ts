import type { ProjectSettings } from "#core/contracts/settings.ts";
import { InputError } from "#core/errors.ts";
import { type AslDefinition, INVOKE, INVOKE_AND_WAIT } from "./asl.ts";
import { CALL_RETRY, LOOP_RETRY } from "./retries.ts";
import { QUEUE_TURN_SECONDS, runMachineTimeoutSeconds, turnSeconds } from "./turns.ts";

/** The run machine's states. */
export const RUN_STATES = { start: "Start run", check: "Check run", settle: "Settle run" } as const;

/** Settle-run reads all rows of a run and writes its summary; its Lambda timeout is shorter (infra/functions.ts). */
const SETTLE_TIMEOUT_SECONDS = 600;

export interface RunMachineOptions {
  readonly startRunArn: string;
  readonly checkRunArn: string;
  readonly settleRunArn: string;
  /** Everything that start-run may start, by project name. */
  readonly projects: Readonly<Record<string, ProjectSettings>>;
  readonly pollIntervalSeconds: number;
  readonly longestRunMinutes: number;
}

/**
 * One run of a project: `Start run` ⟲ → `Check run` ⟲ → `Settle run`. Start run's answer, a RunReference, replaces the
 * execution's input as the state data; a turn that times out changes nothing (ResultPath null).
 * @throws {InputError} if a project's settings hold a key that JSONPath would take for a path.
 */
export function runMachineDefinition(options: RunMachineOptions): AslDefinition {
  refusePathKeys(options.projects);
  return {
    Comment: "One dbt build and what its failures need, until every vertex has its last word.",
    QueryLanguage: "JSONPath",
    StartAt: RUN_STATES.start,
    TimeoutSeconds: runMachineTimeoutSeconds(options.longestRunMinutes),
    States: {
      [RUN_STATES.start]: {
        Type: "Task",
        Comment: "Takes the project's lock and writes the run, or waits in the lock's queue.",
        Resource: INVOKE_AND_WAIT,
        Parameters: {
          FunctionName: options.startRunArn,
          Payload: {
            "taskToken.$": "$$.Task.Token",
            "input.$": "$",
            execution: {
              "arn.$": "$$.Execution.Id",
              "name.$": "$$.Execution.Name",
              "startTime.$": "$$.Execution.StartTime",
            },
            projects: options.projects,
          },
        },
        TimeoutSeconds: QUEUE_TURN_SECONDS,
        ResultPath: "$",
        Retry: LOOP_RETRY,
        Catch: [{ ErrorEquals: ["States.Timeout"], ResultPath: null, Next: RUN_STATES.start }],
        Next: RUN_STATES.check,
      },
      [RUN_STATES.check]: {
        Type: "Task",
        Comment: "Decides and launches what is due; answers when there is nothing left to wait for.",
        Resource: INVOKE_AND_WAIT,
        Parameters: { FunctionName: options.checkRunArn, Payload: { "taskToken.$": "$$.Task.Token", "run.$": "$" } },
        TimeoutSeconds: turnSeconds(options.longestRunMinutes, options.pollIntervalSeconds),
        ResultPath: null,
        Retry: LOOP_RETRY,
        Catch: [
          { ErrorEquals: ["States.Timeout"], ResultPath: null, Next: RUN_STATES.check },
          // Whatever else a check can not go on with: the run is settled red by it, never left without a verdict.
          { ErrorEquals: ["States.ALL"], ResultPath: "$.error", Next: RUN_STATES.settle },
        ],
        Next: RUN_STATES.settle,
      },
      [RUN_STATES.settle]: {
        Type: "Task",
        Comment: "Writes verdict and summary and gives the lock back; fails with RunFailed unless the run is green.",
        Resource: INVOKE,
        Parameters: { FunctionName: options.settleRunArn, Payload: { "run.$": "$" } },
        TimeoutSeconds: SETTLE_TIMEOUT_SECONDS,
        OutputPath: "$.Payload",
        Retry: CALL_RETRY,
        End: true,
      },
    },
  };
}

/** In Parameters a key that ends in `.$` is a path: a dbt variable of such a name would fail every run at its start. */
function refusePathKeys(value: unknown, path = "projects"): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key.endsWith(".$")) throw new InputError("Settings refused", [`${path}.${key}: a key must not end in ".$".`]);
    refusePathKeys(inner, `${path}.${key}`);
  }
}
