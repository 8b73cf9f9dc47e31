/** A run's state. A run that is not `running` has its verdict. */
export const runStates = ["running", "green", "red", "skipped", "stopped"] as const;
