/** An answer of the ECS API that is an error; `name` is what an SDK client throws. */
export class EcsApiError extends Error {
  override readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(name: string, message: string, fields: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.name = name;
    this.fields = fields;
  }
}

export function invalidParameter(message: string): EcsApiError {
  return new EcsApiError("InvalidParameterException", message);
}

/** A task that will never run: `reason` is ECS' stoppedReason, its first word naming the kind. */
export class TaskStartError extends Error {
  override readonly name = "TaskStartError";
}
