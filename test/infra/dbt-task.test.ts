import { App, Duration, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import type { IChainable } from "aws-cdk-lib/aws-stepfunctions";
import { Chain, DefinitionBody, JsonPath, Pass, QueryLanguage, StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { describe, expect, it } from "vitest";
import { parseRunInput } from "#core/contracts/run-input.ts";
import { InputError } from "#core/errors.ts";
import type { DbtTaskProps } from "../../infra/dbt-task.ts";
import { StepwatchRun } from "../../infra/stepwatch-run.ts";
import type { StepwatchStack } from "../../infra/stepwatch-stack.ts";
import { listOf, resourcesOf, type Statement, synthesise } from "./example-stack.ts";

const ARN = "arn:aws:states:eu-central-1:123456789012:stateMachine:stepwatch-run";

interface Machine {
  readonly states: Record<string, Record<string, unknown>>;
  readonly statements: Statement[];
}

/** A machine of one's own in a stack of one's own, as its template has it. */
function machine(make: (stack: Stack, run: StepwatchRun) => IChainable, queryLanguage?: QueryLanguage): Machine {
  const stack = new Stack(new App(), "mine");
  const body = DefinitionBody.fromChainable(make(stack, StepwatchRun.fromRunMachineArn(ARN)));
  new StateMachine(stack, "Machine", { definitionBody: body, ...(queryLanguage && { queryLanguage }) });
  const resources = Object.values(resourcesOf(Template.fromStack(stack)));
  const { DefinitionString } = resources.find(({ Type }) => Type === "AWS::StepFunctions::StateMachine")!.Properties;
  const policy = resources.find(({ Type }) => Type === "AWS::IAM::Policy")!.Properties;
  const { Statement } = (policy as unknown as { PolicyDocument: { Statement: Statement[] } }).PolicyDocument;
  return { states: JSON.parse(joined(DefinitionString)).States, statements: Statement };
}

const joined = (value: unknown): string => {
  if (typeof value === "string") return value;
  const [, parts] = (value as { "Fn::Join": [string, unknown[]] })["Fn::Join"];
  return parts.map((part) => (typeof part === "string" ? part : "aws")).join("");
};

const one = (props: DbtTaskProps, language?: QueryLanguage) =>
  machine((stack, run) => run.asTask(stack, "Build", { project: "shop", ...props }), language);

describe("H8: a dbt run as a state of one's own machine", () => {
  it("H8: starts the run machine, waits for the verdict, and hands on counts and a pointer", () => {
    const { states } = one({ select: ["orders+"], vars: { day: JsonPath.stringAt("$.day") }, resultPath: "$.dbt" });
    expect(states.Build).toEqual({
      Type: "Task",
      End: true,
      Resource: "arn:aws:states:::states:startExecution.sync:2",
      Parameters: {
        StateMachineArn: ARN,
        Input: {
          project: "shop",
          ifLeftOut: "fail",
          "runKey.$": "States.Format('{} {}', $$.Execution.Id, $$.State.Name)",
          select: ["orders+"],
          vars: { "day.$": "$.day" },
          "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$": "$$.Execution.Id",
        },
      },
      ResultPath: "$.dbt",
      ResultSelector: {
        "contract.$": "$.Output.contract",
        "project.$": "$.Output.project",
        "runId.$": "$.Output.runId",
        "state.$": "$.Output.state",
        "verdict.$": "$.Output.verdict",
        "counts.$": "$.Output.counts",
        "summaryKey.$": "$.Output.summaryKey",
      },
    });
  });

  it("H8: speaks JSONata in a machine that does", () => {
    const { states } = one({ vars: { day: "{% $states.input.day %}" } }, QueryLanguage.JSONATA);
    expect(states.Build).toEqual({
      Type: "Task",
      End: true,
      Resource: "arn:aws:states:::states:startExecution.sync:2",
      Arguments: {
        StateMachineArn: ARN,
        Input: {
          project: "shop",
          ifLeftOut: "fail",
          runKey: "{% $states.context.Execution.Id & ' ' & $states.context.State.Name %}",
          vars: { day: "{% $states.input.day %}" },
          AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID: "{% $states.context.Execution.Id %}",
        },
      },
      Output: "{% $states.result.Output %}",
    });
  });

  it("H8: several in one machine have each a key of its own, by execution and state", () => {
    const { states } = machine((stack, run) =>
      Chain.start(run.asTask(stack, "Build", { project: "shop" })).next(
        run.asTask(stack, "Build again", { project: "shop" }),
      ),
    );
    const key = { "runKey.$": "States.Format('{} {}', $$.Execution.Id, $$.State.Name)" };
    expect(states.Build).toMatchObject({ Parameters: { Input: key }, Next: "Build again" });
    expect(states["Build again"]).toMatchObject({ Parameters: { Input: key } });
  });

  it("H7 H8: a command has the key of its state too: repeated, it is run again unless it was good", () => {
    const { states } = machine((stack, run) =>
      run.asTask(stack, "Grants", { project: "shop", command: ["run-operation", "grants"] }),
    );
    const { Input } = states.Grants!.Parameters as { Input: Record<string, unknown> };
    const key = { "runKey.$": "States.Format('{} {}', $$.Execution.Id, $$.State.Name)" };
    expect(Input).toMatchObject({
      ...{ project: "shop", ifLeftOut: "fail", command: ["run-operation", "grants"] },
      ...key,
    });
    const { "runKey.$": runKey, "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$": _, ...given } = Input;
    expect(parseRunInput({ ...given, runKey })).toEqual({ ...given, runKey });
  });

  it("G13: the machine's own Retry is the machine's; a key of one's own, and that a left-out run is fine, win", () => {
    const { states } = machine((stack, run) =>
      run
        .asTask(stack, "Build", { project: "shop", runKey: JsonPath.stringAt("$.key"), ifLeftOut: "skip" })
        .addRetry({ errors: ["States.TaskFailed"], interval: Duration.minutes(1), maxAttempts: 2 }),
    );
    expect(states.Build).toMatchObject({
      Parameters: { Input: { "runKey.$": "$.key", ifLeftOut: "skip" } },
      Retry: [{ ErrorEquals: ["States.TaskFailed"], IntervalSeconds: 60, MaxAttempts: 2 }],
    });
  });

  it("H8: the machine's role may start, look at and stop runs of this stack, and no other machine's", () => {
    const { statements } = one({});
    expect(statements.flatMap(({ Action }) => listOf(Action)).sort()).toEqual([
      "events:DescribeRule",
      "events:PutRule",
      "events:PutTargets",
      "states:DescribeExecution",
      "states:StartExecution",
      "states:StopExecution",
    ]);
    const text = JSON.stringify(statements.map(({ Resource }) => Resource));
    expect(text).toContain(":execution:stepwatch-run:*");
    expect(text).toContain("rule/StepFunctionsGetEventsForStepFunctionsExecutionRule");
  });
});

describe("H8: what is wrong is one sentence at synth", () => {
  it.each([
    [{ threads: 0 }, "threads = 0"],
    [{ selcet: ["orders"] }, "selcet: there is no such setting"],
    [{ resume: { run: "a" } }, "resume"],
    [{ policy: { retryOn: "never" } }, 'policy.retryOn = "never": must be one of all, transient'],
    [{ select: ["--quiet", JsonPath.stringAt("$.x")], vars: 3 }, "vars"],
    [{ command: ["rebuild"] }, "command: "],
    [{ command: ["seed"], select: ["a"] }, "select: a command has none"],
    [{ nothing: JsonPath.stringAt("$.x") }, "nothing: there is no such setting"],
  ])("H8: %j", (props, words) => {
    expect(() => one(props as DbtTaskProps)).toThrow(InputError);
    expect(() => one(props as DbtTaskProps)).toThrow(words);
  });

  it("H8: a project that the stack does not have, and an ARN that is none of a machine", () => {
    const stack = synthesise().stack as StepwatchStack;
    expect(() => stack.run.project("nowhere")).toThrow(/"nowhere": this stack has /);
    expect(() => stack.run.asTask(new Stack(), "Build", { project: "nowhere" })).toThrow(InputError);
    expect(() => StepwatchRun.fromRunMachineArn("stepwatch-run")).toThrow("is no ARN of a state machine");
    expect(() => StepwatchRun.fromRunMachineArn("arn:aws:states:eu-central-1:1:activity:a")).toThrow(InputError);
  });

  it("G13: a state that is entered again after it was green needs keys of its own; one that a failure leads back to does not", () => {
    const loop = (props: DbtTaskProps) => () =>
      machine((stack, run) => {
        const build = run.asTask(stack, "Build", { project: "shop", ...props });
        return build.next(new Pass(stack, "Wait").next(build));
      });
    expect(loop({})).toThrow("the machine comes back to this state after it was green");
    expect(loop({ runKey: JsonPath.stringAt("$.turn") })).not.toThrow();
    const mended = () =>
      machine((stack, run) => {
        const build = run.asTask(stack, "Build", { project: "shop" });
        build.addCatch(new Pass(stack, "Mend").next(build));
        return build.next(new Pass(stack, "Report"));
      });
    expect(mended).not.toThrow();
  });
});
