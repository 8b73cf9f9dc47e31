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
    /** How often it has been redriven. */
    redriveCount: number;
    name: string;
    startedAtMs: number;
    stoppedAtMs: number | null;
    input: unknown;
    output: unknown;
    error: string | null;
    cause: string | null;
  } | null>;
  /**
   * Starts an execution that has failed again at the state that failed. False: Step Functions does not redrive it (it
   * runs, is green, is older than 14 days, or its history is full), does not know it, or redrives nothing (an engine that
   * is not AWS).
   */
  redrive(executionArn: string): Promise<boolean>;
  stop(executionArn: string, cause: string): Promise<void>;
}
