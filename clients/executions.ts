/** Step Functions. Throws `ServiceUnavailable` for throttling and network. */
export interface Executions {
  /** Starts an execution; the same name twice is one execution (`started: false`). */
  start(stateMachineArn: string, name: string, input: unknown): Promise<{ executionArn: string; started: boolean }>;
  /** Ends a token wait. A token that is used, late or timed out answers false: the wait is already over. */
  succeed(taskToken: string, output: unknown): Promise<boolean>;
  fail(taskToken: string, error: { name: string; cause: string }): Promise<boolean>;
  /** Null if there is no such execution (or it has expired). */
  describe(executionArn: string): Promise<{
    status: string;
    name: string;
    startedAtMs: number;
    stoppedAtMs: number | null;
    input: unknown;
    output: unknown;
    error: string | null;
    cause: string | null;
  } | null>;
  stop(executionArn: string, cause: string): Promise<void>;
}
