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
  constructor(lockKey: string, holder: string, advice: string, how: "holds" | "waits for" = "holds") {
    super(`Run ${holder} ${how} the lock ${lockKey}: ${advice}`);
    this.holder = holder;
  }
}

/** The run that had this key before has not ended: a second attempt beside it would say nothing of either. */
export class StillRunning extends FatalError {
  override readonly name = "StillRunning";
  readonly runId: string;
  constructor(runId: string, runKey: string) {
    super(`Run ${runId} of the runKey ${runKey} has not ended: wait for it, or stop it (npx stepwatch stop ${runId}).`);
    this.runId = runId;
  }
}

/** The run was left out (paused, a duplicate, overlap), and whoever started it said that it must not be (`ifLeftOut`). */
export class RunLeftOut extends FatalError {
  override readonly name = "RunLeftOut";
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

/** A run that depends on the one before it, which is not green. */
export class PastNotGreen extends FatalError {
  override readonly name = "PastNotGreen";
  readonly past: string;
  constructor(past: { readonly runId: string; readonly project: string; readonly is: string }) {
    super(
      `The run ${past.runId} before this one ${past.is} This run depends on it (dependsOnPast) and was not begun. Mend that one with npx stepwatch retry ${past.runId}, or begin all the same with npx stepwatch run ${past.project} --no-depends-on-past.`,
    );
    this.past = past.runId;
  }
}

/** An object of the artefact bucket is larger than whoever reads it takes: it is not read. */
export class ObjectTooLarge extends FatalError {
  override readonly name = "ObjectTooLarge";
  readonly bytes: number;
  constructor(key: string, bytes: number, most: number) {
    super(`${key} has ${bytes} bytes, more than ${most}.`);
    this.bytes = bytes;
  }
}

/** Containers have told more of a run than a plan has vertices for: it is not read to its end. */
export class TooMuchTold extends FatalError {
  override readonly name = "TooMuchTold";
  readonly pages: number;
  constructor(partition: string, pages: number) {
    super(
      `${partition} has more than ${pages} MB of rows, which no builds of a run come to: something else writes there.`,
    );
    this.pages = pages;
  }
}

/** What a container has told as its run's plan is none that a run may be decided by: nothing is done with it. */
export class PlanRefused extends FatalError {
  override readonly name = "PlanRefused";
  readonly planKey: string;
  constructor(planKey: string, problem: string) {
    super(`The plan ${planKey} is refused: ${problem}`);
    this.planKey = planKey;
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

/** A run is to go on, and its execution's history has no room for a further round: it can as a new run alone. */
export class HistoryFull extends FatalError {
  override readonly name = "HistoryFull";
  readonly runId: string;
  constructor({ runId, verdict }: { readonly runId: string; readonly verdict: string }) {
    super(
      `${verdict}\nIts execution has no room for another round: npx stepwatch retry ${runId} goes on with it as a new run.`,
    );
    this.runId = runId;
  }
}

/** A run is to go on, and its rows may expire before a further round has ended. */
export class RowsExpire extends FatalError {
  override readonly name = "RowsExpire";
  readonly runId: string;
  constructor({ runId, verdict }: { readonly runId: string; readonly verdict: string }) {
    super(
      `${verdict}\nIts rows expire before another round of it has ended (ttlDays): npx stepwatch retry ${runId} goes on with it as a new run, while they are there.`,
    );
    this.runId = runId;
  }
}

/** A further round of a run was opened where it was to end. Thrown to Step Functions, which goes on with it. */
export class RoundOpened extends FatalError {
  override readonly name = "RoundOpened";
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
