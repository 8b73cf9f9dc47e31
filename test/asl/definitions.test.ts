import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import {
  type CheckRunPayload,
  CONTRACT,
  checkRunPayloadSchema,
  consumerReferenceSchema,
  settleRunPayloadSchema,
  startRunPayloadSchema,
  watchNodePayloadSchema,
} from "../../core/contracts/payloads.ts";
import * as errors from "../../core/errors.ts";
import { CONSUMER_STATES } from "../../infra/state-machines/consumer-machine.ts";
import { RETRYABLE_ERRORS, TRANSIENT_LAMBDA_ERRORS } from "../../infra/state-machines/retries.ts";
import { RUN_STATES, runMachineDefinition } from "../../infra/state-machines/run-machine.ts";
import { fillTemplate, refuseUnknown } from "../support/asl-subset.ts";
import { exampleSettings } from "../support/projects.ts";
import { CONSUMER_MACHINE, FUNCTION_ARNS, RUN_MACHINE } from "./machines.ts";

const validate = createRequire(import.meta.url)("asl-validator") as (definition: unknown) => {
  isValid: boolean;
  errorsText: (separator: string) => string;
};

const MACHINES = [
  { name: "run machine", golden: "run-machine", definition: RUN_MACHINE.definition, states: Object.values(RUN_STATES) },
  {
    name: "consumer machine",
    golden: "consumer-machine",
    definition: CONSUMER_MACHINE.definition,
    states: Object.values(CONSUMER_STATES),
  },
];

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
    for (const name of reached) {
      const state = definition.States[name]!;
      if ("Next" in state) reached.add(state.Next);
    }
    expect([...reached].sort()).toEqual([...states].sort());
    for (const name of states) expect(name.length).toBeLessThanOrEqual(80);
  });

  test("every state has a timeout that is a constant, and a loop's timeout leads to the state itself with its input", () => {
    for (const [name, state] of Object.entries(definition.States)) {
      expect(state.TimeoutSeconds).toBeGreaterThan(0);
      if (state.Resource.endsWith(".waitForTaskToken")) {
        expect(state.Catch?.[0]).toEqual({ ErrorEquals: ["States.Timeout"], ResultPath: null, Next: name });
        expect(state.Retry.flatMap((retrier) => retrier.ErrorEquals)).not.toContain("States.Timeout");
      } else {
        expect(state.Catch).toBeUndefined();
        expect(state.Retry.flatMap((retrier) => retrier.ErrorEquals)).toContain("States.Timeout");
      }
    }
  });

  test("F11: retries only what is known to be transient, for the better part of an hour", () => {
    const ours = [...Object.keys(RETRYABLE_ERRORS), "Unforeseen"];
    const known = [...Object.keys(TRANSIENT_LAMBDA_ERRORS), ...ours, "States.Timeout"];
    for (const state of Object.values(definition.States)) {
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

test("F11: every retryable error of core is retried by name, no fatal one is", () => {
  const classes = Object.values(errors).filter(
    (value): value is typeof errors.RowMissing => typeof value === "function",
  );
  const namesOf = (base: abstract new () => unknown) =>
    classes.filter((value) => value.prototype instanceof base).map((value) => new value("", [] as never).name);
  expect(Object.keys(RETRYABLE_ERRORS).sort()).toEqual(namesOf(errors.RetryableError as never).sort());
  const retried = [RUN_MACHINE, CONSUMER_MACHINE]
    .flatMap(({ definition }) => Object.values(definition.States))
    .flatMap((state) => state.Retry.flatMap((retrier) => retrier.ErrorEquals));
  for (const name of namesOf(errors.FatalError as never)) expect(retried).not.toContain(name);
});

describe("each state's payload is what its function parses, with no path that leads nowhere", () => {
  const run: CheckRunPayload["run"] = { contract: CONTRACT, project: "shop", runId: "r1", round: 1 };
  const consumer = consumerReferenceSchema.parse({ ...run, uniqueId: "model.shop.orders" });
  const payload = (state: string, input: unknown) => {
    const definition = { ...RUN_MACHINE.definition.States, ...CONSUMER_MACHINE.definition.States }[state]!;
    return fillTemplate(definition.Parameters.Payload, input, CONTEXT);
  };

  test("Start run gets the execution's input, its names, and all projects", () => {
    const parsed = startRunPayloadSchema.parse(payload(RUN_STATES.start, { project: "shop" }));
    expect(parsed.input).toEqual({ project: "shop" });
    expect(parsed.execution).toEqual({ arn: CONTEXT.Execution.Id, name: "r1", startTime: CONTEXT.Execution.StartTime });
    expect(parsed.projects).toEqual({ shop: exampleSettings() });
  });

  test("the others get the state data as it is", () => {
    expect(checkRunPayloadSchema.parse(payload(RUN_STATES.check, run))).toEqual({ taskToken: "token", run });
    expect(settleRunPayloadSchema.parse(payload(RUN_STATES.settle, run))).toEqual({ run });
    expect(watchNodePayloadSchema.parse(payload(CONSUMER_STATES.watch, consumer))).toEqual({
      taskToken: "token",
      consumer,
    });
  });
});

test("a dbt variable whose name JSONPath would take for a path is refused at synth", () => {
  const shop = { ...exampleSettings(), build: { vars: { "price.$": 1 } } };
  const options = {
    startRunArn: "a",
    checkRunArn: "b",
    settleRunArn: "c",
    projects: { shop },
    pollIntervalSeconds: 5,
    longestRunMinutes: 60,
  };
  expect(() => runMachineDefinition(options)).toThrow('projects.shop.build.vars.price.$: a key must not end in ".$".');
});

test("functions are called by the ARNs that were given", () => {
  const called = [RUN_MACHINE, CONSUMER_MACHINE].flatMap(({ definition }) =>
    Object.values(definition.States).map((state) => state.Parameters.FunctionName),
  );
  expect(called).toEqual([
    FUNCTION_ARNS.startRun,
    FUNCTION_ARNS.checkRun,
    FUNCTION_ARNS.settleRun,
    FUNCTION_ARNS.watchNode,
  ]);
});
