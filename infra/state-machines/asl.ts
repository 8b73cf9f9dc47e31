/** The part of the Amazon States Language that our machines use: JSONPath, Task states, nothing else. */

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

export type AslTask = AslTransition & {
  readonly Type: "Task";
  readonly Comment: string;
  readonly Resource: string;
  readonly Parameters: { readonly FunctionName: string; readonly Payload: Readonly<Record<string, unknown>> };
  readonly TimeoutSeconds: number;
  /** `null` keeps the state's input as the state data. */
  readonly ResultPath?: "$" | null;
  readonly OutputPath?: "$" | "$.Payload";
  readonly Retry: readonly AslRetrier[];
  readonly Catch?: readonly AslCatcher[];
};

export interface AslDefinition {
  readonly Comment: string;
  readonly QueryLanguage: "JSONPath";
  readonly StartAt: string;
  readonly TimeoutSeconds: number;
  readonly States: Readonly<Record<string, AslTask>>;
}

/** Calls a function and waits until somebody answers the task token, or until the state's timeout. */
export const INVOKE_AND_WAIT = "arn:aws:states:::lambda:invoke.waitForTaskToken";

/** Calls a function and takes its answer. */
export const INVOKE = "arn:aws:states:::lambda:invoke";
