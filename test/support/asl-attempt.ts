import { type AslTask, INVOKE_AND_WAIT } from "../../infra/state-machines/asl.ts";
import type { Execution } from "./asl-interpreter.ts";
import { atPath, fillTemplate, PathMissing } from "./asl-subset.ts";

/** What Step Functions takes from state to state, in bytes. */
const PAYLOAD_LIMIT = 256 * 1024;

export interface Failure {
  readonly name: string;
  readonly cause: string;
}

/** One call of a state's function, and the wait for its token. It ends once; what comes later is dropped. */
export class Attempt {
  over = false;
  readonly #execution: Execution;
  readonly #state: AslTask;
  readonly #input: unknown;
  readonly #stateName: string;
  #timer: { cancel(): void } | undefined;

  constructor(execution: Execution, state: AslTask, input: unknown, stateName: string) {
    this.#execution = execution;
    this.#state = state;
    this.#input = input;
    this.#stateName = stateName;
  }

  begin(): void {
    const { interpreter } = this.#execution;
    const payload = this.#payload();
    if (payload === null) return;
    const seconds = this.#timeoutSeconds();
    if (seconds === null) return;
    this.#execution.note("TaskScheduled");
    this.#execution.note("TaskStarted");
    const cause = `${this.#stateName} has run into its timeout.`;
    const timeOut = () => this.fail("TaskTimedOut", { name: "States.Timeout", cause });
    this.#timer = interpreter.clock.after(seconds * 1000, timeOut);
    const called = interpreter.functions[this.#state.Parameters.FunctionName];
    if (called === undefined) throw new Error(`There is no function ${this.#state.Parameters.FunctionName}.`);
    called(payload as never).then(
      (answer) => this.#returned(asJson(answer ?? null)),
      (error: Error) => this.fail("TaskFailed", { name: error.name, cause: error.message }),
    );
  }

  succeed(result: unknown): void {
    if (!this.#close("TaskSucceeded")) return;
    this.#execution.attemptSucceeded(this.#state, result);
  }

  fail(event: "TaskFailed" | "TaskTimedOut", failure: Failure): void {
    if (!this.#close(event, failure.name)) return;
    this.#execution.attemptFailed(this.#state, failure);
  }

  abandon(): void {
    this.over = true;
    this.#timer?.cancel();
  }

  /** Null: what the path leads to is no whole number from 1 on, which ends the execution. */
  #timeoutSeconds(): number | null {
    const state = this.#state;
    if ("TimeoutSeconds" in state) return state.TimeoutSeconds;
    try {
      const seconds = atPath(state.TimeoutSecondsPath, this.#input);
      if (Number.isInteger(seconds) && Number(seconds) >= 1) return Number(seconds);
      throw new PathMissing(`${state.TimeoutSecondsPath} is ${JSON.stringify(seconds)}, no number of seconds.`);
    } catch (error) {
      if (!(error instanceof PathMissing)) throw error;
      this.#execution.end("FAILED", { failure: { name: error.name, cause: `${this.#stateName}: ${error.message}` } });
      return null;
    }
  }

  #payload(): unknown {
    const { arn, name, startedAtMs, redriveCount, redrivenAtMs, interpreter } = this.#execution;
    const redriven = redrivenAtMs === null ? {} : { RedriveTime: new Date(redrivenAtMs).toISOString() };
    const token = this.#state.Resource === INVOKE_AND_WAIT ? interpreter.openWait(this) : undefined;
    const context = {
      Execution: {
        Id: arn,
        Name: name,
        StartTime: new Date(startedAtMs).toISOString(),
        RedriveCount: redriveCount,
        ...redriven,
      },
      Task: token === undefined ? {} : { Token: token },
    };
    try {
      const payload = asJson(fillTemplate(this.#state.Parameters.Payload, this.#input, context));
      if (JSON.stringify(payload).length <= PAYLOAD_LIMIT) return payload;
      this.#execution.end("FAILED", {
        failure: { name: "States.DataLimitExceeded", cause: `${this.#stateName}: payload above 256 KiB.` },
      });
    } catch (error) {
      if (!(error instanceof PathMissing)) throw error;
      this.#execution.end("FAILED", { failure: { name: error.name, cause: `${this.#stateName}: ${error.message}` } });
    }
    return null;
  }

  #returned(answer: unknown): void {
    if (this.#state.Resource !== INVOKE_AND_WAIT) this.succeed({ StatusCode: 200, Payload: answer });
    else if (!this.over) this.#execution.note("TaskSubmitted");
  }

  #close(event: string, error?: string): boolean {
    if (this.over) return false;
    this.abandon();
    this.#execution.note(event, error);
    return true;
  }
}

/** What crosses a process: undefined fields are gone, nothing is shared. */
export const asJson = (value: unknown): unknown => (value === undefined ? null : JSON.parse(JSON.stringify(value)));
