/**
 * Exit codes of the container: they say how the supervising ended, never how dbt did. What dbt said stands in the
 * ledger. The numbers follow sysexits.h where it has a word for the case; none of them is a code of dbt (0, 1, 2) but 0.
 */
export const EXIT = {
  /** The end of the build is recorded in the ledger, whatever dbt said, also after a stop. */
  recorded: 0,
  /** An environment variable is missing or wrong, or ECS does not tell the task's own ARN. dbt was not started. */
  environment: 64,
  /** Another container passed this task's fence, before or during the build. What it records counts. */
  fenceLost: 65,
  /** The rows or objects that tell this task what to build can not be read as they are. dbt was not started. */
  taskUnreadable: 66,
  /** The ledger could not be reached until the deadline, so that the end is not recorded. */
  ledgerUnreachable: 69,
  /** A defect of the supervisor. */
  defect: 70,
  /** Stopped by a signal, and there was no time left to record the end. */
  terminated: 75,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
