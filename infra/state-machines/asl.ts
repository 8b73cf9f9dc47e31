/** The part of the Amazon States Language that our machines use: JSONPath, Task states, and what leads from one to another. */

export interface AslRetrier {
  readonly ErrorEquals: readonly string[];
  readonly IntervalSeconds: number;
  readonly MaxAttempts: number;
  readonly BackoffRate: number;
  readonly MaxDelaySeconds: number;
  readonly JitterStrategy: "FULL";
}

export interface AslCatcher {
  readonly ErrorEquals: readonly string[];
  /** Where the error goes: nowhere, or beside the state data. */
  readonly ResultPath: null | "$.error";
  readonly Next: string;
}

/** Where a Task state goes: to a state, or to the execution's end. */
type AslTransition = { readonly Next: string } | { readonly End: true };

/** Seconds of a state: always the same, or as the state data say. */
type AslTimeout = { readonly TimeoutSeconds: number } | { readonly TimeoutSecondsPath: string };

export type AslTask = AslTransition &
  AslTimeout & {
    readonly Type: "Task";
    readonly Comment: string;
    readonly Resource: string;
    readonly Parameters: { readonly FunctionName: string; readonly Payload: Readonly<Record<string, unknown>> };
    /** `null` keeps the state's input as the state data. */
    readonly ResultPath?: "$" | null;
    readonly OutputPath?: "$" | "$.Payload";
    readonly Retry: readonly AslRetrier[];
    readonly Catch?: readonly AslCatcher[];
  };

/** Goes where a word of the state data leads, which is always there. */
export interface AslChoice {
  readonly Type: "Choice";
  readonly Comment: string;
  readonly Choices: readonly { readonly Variable: string; readonly StringEquals: string; readonly Next: string }[];
  readonly Default: string;
}

/** Leads on, with what came in. */
export interface AslPass {
  readonly Type: "Pass";
  readonly Comment: string;
  readonly Next: string;
}

export type AslState = AslTask | AslChoice | AslPass;

export interface AslDefinition {
  readonly Comment: string;
  readonly QueryLanguage: "JSONPath";
  readonly StartAt: string;
  readonly TimeoutSeconds: number;
  readonly States: Readonly<Record<string, AslState>>;
}

/** Calls a function and waits until somebody answers the task token, or until the state's timeout. */
export const INVOKE_AND_WAIT = "arn:aws:states:::lambda:invoke.waitForTaskToken";

/** Calls a function and takes its answer. */
export const INVOKE = "arn:aws:states:::lambda:invoke";

/**
 * The two states of a loop: a turn that times out, or that somebody ends before, leads to the other one, which is the
 * same. A Catch that names its own state would do on AWS as far as its specification goes, but the engines of LocalStack
 * and moto do not follow one: they go on to the state's `Next`, or end. The price is the same: one transition, six events.
 */
export const turns = (
  [one, other]: readonly [string, string],
  state: (again: string) => AslTask,
): Record<string, AslTask> => ({ [one]: state(other), [other]: state(one) });
