import { Aws } from "aws-cdk-lib";
import {
  Choice,
  Condition,
  CustomState,
  Fail,
  type IChainable,
  JsonPath,
  Map as MapState,
  Pass,
  Result,
  Succeed,
} from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";

/**
 * Starts one run for each window of a backfill and waits for it (core/backfill.ts has the input). Lanes go on side by
 * side, windows of a lane one after the other: a number of runs at once that the input says, where not every engine
 * reads MaxConcurrencyPath. A window whose run is not green lets the others go on, and fails the execution at its end.
 */
export function backfillStates(scope: Construct, runMachineArn: string): IChainable {
  // Not CDK's own task, which may start and stop executions of any machine whose name begins as that of the run machine.
  const run = new CustomState(scope, "Run window", {
    stateJson: {
      Type: "Task",
      Comment: "A run like any other; it goes on with the attempt before of the same window.",
      Resource: `arn:${Aws.PARTITION}:states:::states:startExecution.sync:2`,
      Parameters: {
        StateMachineArn: runMachineArn,
        // Not by the window alone: it may be started again.
        "Name.$": "States.Format('{}-{}', $.window.name, States.UUID())",
        "Input.$": "States.JsonMerge($.input, $.window.input, false)",
      },
      // Of the start alone: a run that is not green is States.TaskFailed. A start that came through is known by its runKey.
      Retry: [
        { ErrorEquals: START_ERRORS, IntervalSeconds: 5, MaxAttempts: 6, BackoffRate: 2, JitterStrategy: "FULL" },
      ],
    },
  });
  const green = new Pass(scope, "Window is green", { result: Result.fromString(GREEN) });
  const notGreen = new Pass(scope, "Window is not green", { result: Result.fromString(NOT_GREEN) });
  const lane = new MapState(scope, "Windows of a lane", {
    itemsPath: "$.windows",
    itemSelector: { input: JsonPath.objectAt("$.input"), window: JsonPath.objectAt("$$.Map.Item.Value") },
    maxConcurrency: 1,
    resultSelector: { failed: JsonPath.arrayContains(JsonPath.objectAt("$"), NOT_GREEN) },
  }).itemProcessor(run.addCatch(notGreen, { errors: ["States.ALL"] }).next(green));
  const lanes = new MapState(scope, "Lanes", {
    itemsPath: "$.lanes",
    itemSelector: { input: JsonPath.objectAt("$.input"), windows: JsonPath.objectAt("$$.Map.Item.Value") },
    resultSelector: { failed: JsonPath.stringAt("States.ArrayContains($[*].failed, true)") },
  }).itemProcessor(lane);
  const failed = new Fail(scope, "Not all are green", {
    error: "BackfillFailed",
    cause: "Not every window is green. See which, and repair them alone: npx stepwatch backfill status, retry.",
  });
  return lanes.next(
    new Choice(scope, "Are all green?")
      .when(Condition.booleanEquals("$.failed", true), failed)
      .otherwise(new Succeed(scope, "All are green")),
  );
}

/** Step Functions' own errors where it can not take a start for the moment. */
const START_ERRORS = [
  "StepFunctions.ExecutionLimitExceededException",
  "StepFunctions.ThrottlingException",
  "StepFunctions.StepFunctionsException",
  "StepFunctions.SdkClientException",
];

const GREEN = "green";
const NOT_GREEN = "not green";
