import {
  type AslChoice,
  type AslDefinition,
  type AslRetrier,
  type AslState,
  type AslTask,
  INVOKE,
  INVOKE_AND_WAIT,
} from "../../infra/state-machines/asl.ts";

/** The part of the Amazon States Language that our machines use, read strictly: what is not known here is refused. */

const MACHINE_FIELDS = ["Comment", "QueryLanguage", "StartAt", "TimeoutSeconds", "States"];
const TASK_FIELDS = [
  "Type",
  "Comment",
  "Resource",
  "Parameters",
  "TimeoutSeconds",
  "TimeoutSecondsPath",
  "ResultPath",
  "OutputPath",
  "Retry",
  "Catch",
  "Next",
  "End",
];
const RETRY_FIELDS = [
  "ErrorEquals",
  "IntervalSeconds",
  "MaxAttempts",
  "BackoffRate",
  "MaxDelaySeconds",
  "JitterStrategy",
];
const CHOICE_FIELDS = ["Type", "Comment", "Choices", "Default"];
const RULE_FIELDS = ["Variable", "StringEquals", "Next"];
const CATCH_FIELDS = ["ErrorEquals", "ResultPath", "Next"];

/** Throws if a definition has a field, a type or a value that the interpreter does not act on. */
export function refuseUnknown(definition: AslDefinition): void {
  onlyFields("the machine", definition, MACHINE_FIELDS);
  requireOne("QueryLanguage", definition.QueryLanguage, ["JSONPath"]);
  requireOne("StartAt", definition.StartAt, Object.keys(definition.States));
  for (const [name, state] of Object.entries(definition.States))
    refuseUnknownInState(name, state, Object.keys(definition.States));
}

function refuseUnknownChoice(name: string, state: AslChoice, states: readonly string[]): void {
  onlyFields(name, state, CHOICE_FIELDS);
  requireOne(`${name}.Default`, state.Default, states);
  for (const rule of state.Choices) {
    onlyFields(`${name}.Choices`, rule, RULE_FIELDS);
    requireOne(`${name}.Choices.Next`, rule.Next, states);
  }
}

function refuseUnknownInState(name: string, state: AslState, states: readonly string[]): void {
  if (state.Type === "Choice") refuseUnknownChoice(name, state, states);
  else if (state.Type === "Pass") {
    onlyFields(name, state, ["Type", "Comment", "Next"]);
    requireOne(`${name}.Next`, state.Next, states);
  } else refuseUnknownTask(name, state, states);
}

function refuseUnknownTask(name: string, state: AslTask, states: readonly string[]): void {
  onlyFields(name, state, TASK_FIELDS);
  requireOne(`${name}.Type`, state.Type, ["Task"]);
  requireOne(`${name}.Resource`, state.Resource, [INVOKE, INVOKE_AND_WAIT]);
  requireOne(`${name}.ResultPath`, state.ResultPath, [undefined, "$", null]);
  requireOne(`${name}.OutputPath`, state.OutputPath, [undefined, "$", "$.Payload"]);
  onlyFields(`${name}.Parameters`, state.Parameters, ["FunctionName", "Payload"]);
  if ("Next" in state) requireOne(`${name}.Next`, state.Next, states);
  else requireOne(`${name}.End`, state.End, [true]);
  for (const retrier of state.Retry ?? []) {
    onlyFields(`${name}.Retry`, retrier, RETRY_FIELDS);
    requireOne(`${name}.Retry.JitterStrategy`, retrier.JitterStrategy, ["FULL"]);
  }
  for (const catcher of state.Catch ?? []) {
    onlyFields(`${name}.Catch`, catcher, CATCH_FIELDS);
    requireOne(`${name}.Catch.ResultPath`, catcher.ResultPath, [null, "$.error"]);
    requireOne(`${name}.Catch.Next`, catcher.Next, states);
  }
}

function onlyFields(where: string, value: object, known: readonly string[]): void {
  for (const field of Object.keys(value)) {
    if (!known.includes(field)) throw new Error(`${where}: the interpreter does not know the field ${field}.`);
  }
}

function requireOne(where: string, value: unknown, known: readonly unknown[]): void {
  if (!known.includes(value)) throw new Error(`${where}: the interpreter does not know ${JSON.stringify(value)}.`);
}

/** A path that leads nowhere fails the execution, on AWS as here; no Retry and no Catch sees it. */
export class PathMissing extends Error {
  override readonly name = "States.Runtime";
}

/** Parameters with their paths followed, in the state's input (`$`) and in the context object (`$$`). */
export function fillTemplate(template: unknown, input: unknown, context: unknown): unknown {
  if (Array.isArray(template)) return template.map((inner) => fillTemplate(inner, input, context));
  if (typeof template !== "object" || template === null) return template;
  const entries = Object.entries(template).map(([key, value]) =>
    key.endsWith(".$")
      ? [key.slice(0, -2), atPath(String(value), input, context)]
      : [key, fillTemplate(value, input, context)],
  );
  return Object.fromEntries(entries);
}

/** What stands at a reference path. */
export function atPath(path: string, input: unknown, context: unknown = {}): unknown {
  const inContext = path.startsWith("$$");
  const steps = path
    .slice(inContext ? 2 : 1)
    .split(".")
    .slice(1);
  return steps.reduce<unknown>(
    (at, step) => {
      const inner = (at as Record<string, unknown> | null)?.[step];
      if (inner === undefined) throw new PathMissing(`The path ${path} leads nowhere.`);
      return inner;
    },
    inContext ? context : input,
  );
}

export const matches = (errorEquals: readonly string[], error: string): boolean =>
  errorEquals.includes(error) || errorEquals.includes("States.ALL");

/** Milliseconds before an attempt: full jitter over the back-off. `random` gives 0 to 1. */
export function retryDelayMs(retrier: AslRetrier, attempt: number, random: () => number): number {
  const seconds = Math.min(retrier.IntervalSeconds * retrier.BackoffRate ** attempt, retrier.MaxDelaySeconds);
  return seconds * 1000 * random();
}
