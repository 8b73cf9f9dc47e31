/**
 * Errors say what they kill. A {@link RetryableError} kills this call: the same call may be right a moment later, and
 * the state machines retry it by name. A {@link FatalError} kills the execution: bad input, a defect, or a verdict.
 */
export abstract class StepwatchError extends Error {
  abstract override readonly name: string;
}

/** The same call may be right a moment later; each name stands in the machines' Retry lists. */
export abstract class RetryableError extends StepwatchError {}

/** Repeating the call can not help: somebody has to change something first. */
export abstract class FatalError extends StepwatchError {}

/** A setting, an option, a run input or an environment variable is wrong. Names the field and the value. */
export class InputError extends FatalError {
  override readonly name = "InputError";
  readonly problems: readonly string[];
  constructor(what: string, problems: readonly string[], options?: ErrorOptions) {
    super(
      problems.length === 1 ? `${what}: ${problems[0]}` : `${what}:\n${problems.map((p) => `  - ${p}`).join("\n")}`,
      options,
    );
    this.problems = problems;
  }
}

/** Another run holds the lock, and the project's policy is not to wait or its queue is full. */
export class RunLocked extends FatalError {
  override readonly name = "RunLocked";
  readonly holder: string;
  constructor(lockKey: string, holder: string, advice: string) {
    super(`Run ${holder} holds the lock ${lockKey}: ${advice}`);
    this.holder = holder;
  }
}

/** As many runs wait for a lock as may; whether one holds it at this moment is another question. */
export class QueueFull extends FatalError {
  override readonly name = "QueueFull";
  constructor(lockKey: string, bound: number, holder: string | undefined) {
    const held = holder === undefined ? "It is free, and goes to the first of them." : `Run ${holder} holds it.`;
    super(
      `${bound} runs wait for the lock ${lockKey} already. ${held} Let some of them end, or start runs less often.`,
    );
  }
}

/** The verdict of a consumer: its node, or a test of it, is not good. Thrown to Step Functions under this name. */
export class NodeFailed extends FatalError {
  override readonly name = "NodeFailed";
}

/** The verdict of a run that is not green. Thrown to Step Functions under this name. */
export class RunFailed extends FatalError {
  override readonly name = "RunFailed";
}

/** A row that must be there is not: a wrong run id, or a run whose rows have expired. */
export class RowMissing extends FatalError {
  override readonly name = "RowMissing";
}

/** The ledger refused a call for reasons of load or of the network. */
export class LedgerUnavailable extends RetryableError {
  override readonly name = "LedgerUnavailable";
}

/** ECS, S3 or Step Functions refused a call for reasons of load or of the network. */
export class ServiceUnavailable extends RetryableError {
  override readonly name = "ServiceUnavailable";
}

/** A task of the run still builds: what is to be done once all of them are over has to wait for it. */
export class TaskStillBuilds extends RetryableError {
  override readonly name = "TaskStillBuilds";
  readonly task: number;
  constructor(runId: string, task: number) {
    super(`Task ${task} of run ${runId} still builds: the run is settled when it has ended.`);
    this.task = task;
  }
}

/**
 * An error that nobody foresaw: of AWS (a permission, a resource that is gone) or a defect of ours. It may pass; the
 * machines try it a few times under this name, and then the run is settled red by it (behaviour D19).
 */
export class Unforeseen extends StepwatchError {
  override readonly name = "Unforeseen";
  constructor(cause: unknown) {
    super(cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause), { cause });
  }
}
