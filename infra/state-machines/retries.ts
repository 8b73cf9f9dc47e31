import type { AslRetrier } from "./asl.ts";

/**
 * What the machines try again, by name. Everything else ends the execution at once: the verdicts NodeFailed and
 * RunFailed, bad input, and defects. States.Timeout is in no loop's list: there it is the turn's end, and is caught.
 */

/** Errors of the Lambda service and of the sandbox, each with the reason why the same call may be right a moment later. */
export const TRANSIENT_LAMBDA_ERRORS = {
  "Lambda.ServiceException": "the Lambda service had an internal error",
  "Lambda.AWSLambdaException": "the Lambda service answered with an error it does not explain",
  "Lambda.SdkClientException": "Step Functions did not reach the Lambda service",
  "Lambda.ClientExecutionTimeoutException": "the Lambda service did not answer Step Functions in time",
  "Lambda.TooManyRequestsException": "the account's concurrent executions are used up; new accounts have ten",
  "Lambda.Unknown": "the function's sandbox died without an answer; also how an emulator says throttled",
  "Sandbox.Timedout": "the function ran into its own timeout, as calls to a slow service do",
  "Runtime.ExitError": "the function's process died, of memory or of the host",
} as const;

/** Our own errors of the kind `RetryableError` (core/errors.ts), each with the reason. */
export const RETRYABLE_ERRORS = {
  LedgerUnavailable: "DynamoDB throttled or was not reached",
  ServiceUnavailable: "ECS, S3 or Step Functions throttled or was not reached",
  TaskStillBuilds: "a task was launched at the last moment: the run is settled when it has ended",
} as const;

/**
 * Delays of at most 2, 4, 8, 16, 32 and then 60 s, 90 in all, each drawn between nothing and its maximum: at most
 * 62 + 85 × 60 s = 86 minutes, 43 on average. The better part of an hour, so that a hiccup of a service does not end a
 * two-hour build; a minute's cap, so that the run goes on soon after the service does. 90 retries are 270 events, three each.
 */
const BACK_OFF = {
  IntervalSeconds: 2,
  BackoffRate: 2,
  MaxDelaySeconds: 60,
  MaxAttempts: 90,
  JitterStrategy: "FULL",
} as const;

/**
 * What nobody foresaw (core/errors.ts) may be a permission that has not spread yet, or a resource that is being made
 * anew: six attempts within about a minute, with delays of at most 2, 4, 8, 16 and 32 s.
 */
const UNFORESEEN: AslRetrier = { ErrorEquals: ["Unforeseen"], ...BACK_OFF, MaxAttempts: 5 };

/** For states whose timeout is the turn of a loop. Two entries, because attempts are counted per entry. */
export const LOOP_RETRY: readonly AslRetrier[] = [
  { ErrorEquals: Object.keys(TRANSIENT_LAMBDA_ERRORS), ...BACK_OFF },
  { ErrorEquals: Object.keys(RETRYABLE_ERRORS), ...BACK_OFF },
  UNFORESEEN,
];

/** For states that wait for nothing but their function: its timeout is transient too. */
export const CALL_RETRY: readonly AslRetrier[] = [
  { ErrorEquals: [...Object.keys(TRANSIENT_LAMBDA_ERRORS), "States.Timeout"], ...BACK_OFF },
  { ErrorEquals: Object.keys(RETRYABLE_ERRORS), ...BACK_OFF },
  UNFORESEEN,
];
