/** The faults that a test can ask for. Each is used up as it happens. */
export interface EcsFaults {
  /** RunTask answers 200 with these failures and starts nothing, once for each entry. */
  failNextRunTasks: { readonly reason: string }[];
  /** How long a task stays PROVISIONING, in milliseconds. */
  startDelayMs: number;
  /** The next so many DescribeTasks calls find none of their tasks. */
  missingDescribes: number;
}

export function noFaults(): EcsFaults {
  return { failNextRunTasks: [], startDelayMs: 0, missingDescribes: 0 };
}
