import { createRequire } from "node:module";
import { Stack } from "aws-cdk-lib";
import { Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import { LambdaInvoke } from "aws-cdk-lib/aws-stepfunctions-tasks";
import { describe, expect, test } from "vitest";
import {
  type CheckRunPayload,
  CLOSELY,
  CONTRACT,
  checkRunPayloadSchema,
  consumerReferenceSchema,
  LOCK_FREE,
  PATIENTLY,
  settleRunPayloadSchema,
  startRunPayloadSchema,
  WOKEN,
  watchNodePayloadSchema,
} from "../../core/contracts/payloads.ts";
import * as errors from "../../core/errors.ts";
import type { AslRetrier, AslState } from "../../infra/state-machines/asl.ts";
import { CONSUMER_STATES } from "../../infra/state-machines/consumer-machine.ts";
import { RETRYABLE_ERRORS, TRANSIENT_LAMBDA_ERRORS } from "../../infra/state-machines/retries.ts";
import { RUN_STATES, runMachineDefinition } from "../../infra/state-machines/run-machine.ts";
import { fillTemplate, refuseUnknown } from "../support/asl-subset.ts";
import { exampleSettings } from "../support/projects.ts";
import { CONSUMER_MACHINE, consumerMachine, FUNCTION_ARNS, RUN_MACHINE, runMachine, tasksOf } from "./machines.ts";

const validate = createRequire(import.meta.url)("asl-validator") as (definition: unknown) => {
  isValid: boolean;
  errorsText: (separator: string) => string;
};

const CLOSE_STATES: readonly string[] = [CONSUMER_STATES.closely, CONSUMER_STATES.closelyAgain];
const MACHINES = (["wake", "poll"] as const).flatMap((watch) => [
  {
    name: `run machine, ${watch}`,
    golden: `run-machine-${watch}`,
    definition: runMachine(watch).definition,
    states: Object.values<string>(RUN_STATES),
  },
  {
    name: `consumer machine, ${watch}`,
    golden: `consumer-machine-${watch}`,
    definition: consumerMachine(watch).definition,
    states: Object.values<string>(CONSUMER_STATES).filter((name) => watch === "wake" || !CLOSE_STATES.includes(name)),
  },
]);

const CONTEXT = {
  Execution: {
    Id: "arn:aws:states:us-east-1:000000000000:execution:stepwatch-run:r1",
    Name: "r1",
    StartTime: "2026-01-01T00:00:00.000Z",
  },
  Task: { Token: "token" },
};

describe.each(MACHINES)("the $name", ({ golden, definition, states }) => {
  test("is rendered as the golden file says", async () => {
    await expect(`${JSON.stringify(definition, null, 2)}\n`).toMatchFileSnapshot(`../fixtures/asl/${golden}.json`);
  });

  test("is valid for the validator and for our interpreter", () => {
    const { isValid, errorsText } = validate(structuredClone(definition));
    expect(isValid ? "" : errorsText("\n")).toBe("");
    expect(() => refuseUnknown(definition)).not.toThrow();
  });

  test("has the states that the code names, each with a name of at most 80 characters, and all are reached", () => {
    expect(Object.keys(definition.States).sort()).toEqual([...states].sort());
    const reached = new Set([definition.StartAt]);
    for (const name of reached) for (const next of nextOf(definition.States[name]!)) reached.add(next);
    expect([...reached].sort()).toEqual([...states].sort());
    for (const name of states) expect(name.length).toBeLessThanOrEqual(80);
  });

  test("every task has a timeout, and a loop's leads to its twin, the same state, or past a state that leads back, with its input; never straight to itself", () => {
    for (const [name, state] of tasksOf(definition)) {
      if ("TimeoutSeconds" in state) expect(state.TimeoutSeconds).toBeGreaterThan(0);
      else expect(state.TimeoutSecondsPath).toBe("$.waitSeconds");
      if (state.Resource.endsWith(".waitForTaskToken")) {
        const again = state.Catch!.find(({ ErrorEquals }) => ErrorEquals.includes("States.Timeout"))!;
        expect(again.ResultPath).toBeNull();
        expect(again.Next).not.toBe(name);
        const twin = definition.States[again.Next]!;
        if (twin.Type === "Pass") {
          expect(twin.Next).toBe(name);
          continue;
        }
        if (twin.Type !== "Task") throw new Error(`${again.Next} is no task.`);
        const back = twin.Catch!.map((one) => (one.Next === name ? { ...one, Next: again.Next } : one));
        expect({ ...twin, Catch: back }).toEqual(state);
        expect(state.Retry.flatMap((retrier) => retrier.ErrorEquals)).not.toContain("States.Timeout");
      } else {
        expect(state.Catch).toEqual([{ ErrorEquals: ["RoundOpened"], ResultPath: null, Next: RUN_STATES.check }]);
        expect(state.Retry.flatMap((retrier) => retrier.ErrorEquals)).toContain("States.Timeout");
      }
    }
  });

  test("who ends a wait from outside is caught by each state whose payload says so", () => {
    for (const [, { Parameters, Catch = [] }] of tasksOf(definition)) {
      const { catchesLockFree, waits } = Parameters.Payload;
      const caught = Catch.flatMap(({ ErrorEquals }) => ErrorEquals);
      if (catchesLockFree) expect(caught).toContain(LOCK_FREE);
      if (waits === undefined) expect(caught).not.toEqual(expect.arrayContaining([WOKEN, CLOSELY, PATIENTLY]));
      else expect(caught).toContain({ patiently: CLOSELY, closely: PATIENTLY }[String(waits)] ?? WOKEN);
    }
  });

  test("F11: retries only what is known to be transient, for the better part of an hour", () => {
    const ours = [...Object.keys(RETRYABLE_ERRORS), "Unforeseen"];
    const known = [...Object.keys(TRANSIENT_LAMBDA_ERRORS), ...ours, "States.Timeout"];
    for (const [, state] of tasksOf(definition)) {
      for (const retrier of state.Retry) {
        for (const error of retrier.ErrorEquals) expect(known).toContain(error);
        const delays = Array.from({ length: retrier.MaxAttempts }, (_, attempt) =>
          Math.min(retrier.IntervalSeconds * retrier.BackoffRate ** attempt, retrier.MaxDelaySeconds),
        );
        const meanMinutes = delays.reduce((sum, delay) => sum + delay / 2, 0) / 60;
        const isUnforeseen = retrier.ErrorEquals.includes("Unforeseen");
        expect(meanMinutes).toBeGreaterThan(isUnforeseen ? 0.25 : 30);
        expect(meanMinutes).toBeLessThan(isUnforeseen ? 1 : 60);
        expect(retrier.JitterStrategy).toBe("FULL");
      }
    }
  });
});

test("F11: everything that CDK's own LambdaInvoke tries again is tried again here", () => {
  const stack = new Stack();
  const lambdaFunction = LambdaFunction.fromFunctionArn(stack, "F", "arn:aws:lambda:eu-west-1:111122223333:function:f");
  const theirs = new LambdaInvoke(stack, "Invoke", { lambdaFunction }).toStateJson() as { Retry: AslRetrier[] };
  const names = theirs.Retry.flatMap((retrier) => retrier.ErrorEquals);
  expect(names.length).toBeGreaterThanOrEqual(4);
  expect(Object.keys(TRANSIENT_LAMBDA_ERRORS)).toEqual(expect.arrayContaining(names));
});

test("F11: every retryable error of core is retried by name, no fatal one is", () => {
  const classes = Object.values(errors).filter(
    (value): value is typeof errors.RowMissing => typeof value === "function",
  );
  const namesOf = (base: abstract new () => unknown) =>
    classes.filter((value) => value.prototype instanceof base).map((value) => new value("", [] as never).name);
  expect(Object.keys(RETRYABLE_ERRORS).sort()).toEqual(namesOf(errors.RetryableError as never).sort());
  const retried = [RUN_MACHINE, CONSUMER_MACHINE]
    .flatMap(({ definition }) => tasksOf(definition))
    .flatMap(([, state]) => state.Retry.flatMap((retrier) => retrier.ErrorEquals));
  for (const name of namesOf(errors.FatalError as never)) expect(retried).not.toContain(name);
});

describe("each state's payload is what its function parses, with no path that leads nowhere", () => {
  const run: CheckRunPayload["run"] = { contract: CONTRACT, project: "shop", runId: "r1", round: 1 };
  const consumer = consumerReferenceSchema.parse({ ...run, uniqueId: "model.shop.orders" });
  const payload = (state: string, input: unknown) => {
    const tasks = Object.fromEntries([...tasksOf(RUN_MACHINE.definition), ...tasksOf(CONSUMER_MACHINE.definition)]);
    return fillTemplate(tasks[state]!.Parameters.Payload, input, CONTEXT);
  };

  test("Start run gets the execution's input, its names, and all projects", () => {
    const parsed = startRunPayloadSchema.parse(payload(RUN_STATES.start, { project: "shop" }));
    expect(parsed.input).toEqual({ project: "shop" });
    expect(parsed.execution).toEqual({ arn: CONTEXT.Execution.Id, name: "r1", startTime: CONTEXT.Execution.StartTime });
    expect(parsed.projects).toEqual({ shop: exampleSettings() });
  });

  test("the others get the state data as it is", () => {
    const waits = { netSeconds: 60, averageSeconds: 7 };
    expect(checkRunPayloadSchema.parse(payload(RUN_STATES.check, run))).toEqual({ taskToken: "token", run, waits });
    const roundsSeconds = 2_460 * 7 - 30 * 60;
    expect(settleRunPayloadSchema.parse(payload(RUN_STATES.settle, run))).toEqual({
      run,
      execution: {},
      roundsSeconds,
    });
    expect(watchNodePayloadSchema.parse(payload(CONSUMER_STATES.watch, consumer))).toEqual({
      taskToken: "token",
      consumer,
      execution: {},
      waits: "patiently",
    });
  });

  test("F14, G8: those that a redrive enters are told how often that was, and nothing is missed where it never was", () => {
    const redriven = { ...CONTEXT, Execution: { ...CONTEXT.Execution, RedriveCount: 2 } };
    for (const [states, state, input] of [
      [RUN_MACHINE.definition, RUN_STATES.settle, run],
      [CONSUMER_MACHINE.definition, CONSUMER_STATES.watch, consumer],
      [CONSUMER_MACHINE.definition, CONSUMER_STATES.closely, consumer],
    ] as const) {
      const task = Object.fromEntries(tasksOf(states))[state]!;
      const told = fillTemplate(task.Parameters.Payload, input, redriven) as { execution: unknown };
      expect(told.execution).toMatchObject({ RedriveCount: 2 });
    }
  });
});

test("a dbt variable whose name JSONPath would take for a path is refused at synth", () => {
  const shop = { ...exampleSettings(), build: { vars: { "price.$": 1 } } };
  const options = {
    startRunArn: "a",
    checkRunArn: "b",
    settleRunArn: "c",
    projects: { shop },
    watch: "wake" as const,
    pollIntervalSeconds: 5,
    longestRunMinutes: 60,
  };
  expect(() => runMachineDefinition(options)).toThrow('projects.shop.build.vars.price.$: a key must not end in ".$".');
});

test("functions are called by the ARNs that were given", () => {
  const called = [RUN_MACHINE, CONSUMER_MACHINE].flatMap(({ definition }) =>
    tasksOf(definition).map(([, state]) => state.Parameters.FunctionName),
  );
  expect([...new Set(called)].sort()).toEqual(Object.values(FUNCTION_ARNS).sort());
});

const nextOf = (state: AslState): string[] => {
  if (state.Type === "Pass") return [state.Next];
  if (state.Type === "Choice") return [state.Default, ...state.Choices.map(({ Next }) => Next)];
  return [...("Next" in state ? [state.Next] : []), ...(state.Catch ?? []).map(({ Next }) => Next)];
};
