import type { Executions } from "../../clients/executions.ts";
import { executionArn, MAX_EXECUTION_NAME } from "../../core/names.ts";
import type { AslChoice, AslDefinition, AslTask } from "../../infra/state-machines/asl.ts";
import { HISTORY_LIMIT } from "../../infra/state-machines/turns.ts";
import { Attempt, asJson, type Failure } from "./asl-attempt.ts";
import { atPath, matches, PathMissing, refuseUnknown, retryDelayMs } from "./asl-subset.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** A function of the stack, called with its payload; a thrown error's `name` is the error's name. */
export type TaskFunction = (payload: never) => Promise<unknown>;

export interface Machine {
  readonly arn: string;
  readonly definition: AslDefinition;
}

export interface HistoryEvent {
  readonly type: string;
  readonly atMs: number;
  readonly state?: string | undefined;
  readonly error?: string | undefined;
}

type Status = "RUNNING" | "SUCCEEDED" | "FAILED" | "TIMED_OUT" | "ABORTED";

/** Runs machines on a virtual clock as Step Functions does, as far as our two machines go; see asl-subset.ts. */
export class AslInterpreter implements Executions {
  readonly executions = new Map<string, Execution>();
  readonly clock: VirtualClock;
  readonly functions: Readonly<Record<string, TaskFunction>>;
  readonly random: () => number;
  readonly #machines: Map<string, AslDefinition>;
  readonly #waits = new Map<string, Attempt>();
  #tokens = 0;

  constructor(options: {
    clock: VirtualClock;
    machines: readonly Machine[];
    /** By the `FunctionName` of the definitions. */
    functions: Readonly<Record<string, TaskFunction>>;
    random?: () => number;
  }) {
    for (const { definition } of options.machines) refuseUnknown(definition);
    this.#machines = new Map(options.machines.map(({ arn, definition }) => [arn, definition]));
    this.clock = options.clock;
    this.functions = options.functions;
    this.random = options.random ?? (() => 1);
  }

  /** Executions that begin from now on have this definition; those that run keep theirs. */
  deploy({ arn, definition }: Machine): void {
    refuseUnknown(definition);
    this.#machines.set(arn, definition);
  }

  async start(
    stateMachineArn: string,
    name: string,
    input: unknown,
  ): Promise<{ executionArn: string; started: boolean }> {
    const definition = this.#machines.get(stateMachineArn);
    if (definition === undefined) throw new Error(`There is no machine ${stateMachineArn}.`);
    if (name.length > MAX_EXECUTION_NAME || !/^[A-Za-z0-9_-]+$/.test(name))
      throw new Error(`Execution name refused: ${name}`);
    const arn = executionArn(stateMachineArn, name);
    if (this.executions.has(arn)) return { executionArn: arn, started: false };
    const execution = new Execution(this, { arn, name, input: asJson(input) }, definition);
    this.executions.set(arn, execution);
    execution.begin();
    return { executionArn: arn, started: true };
  }

  async succeed(taskToken: string, output: unknown): Promise<boolean> {
    return this.#answer(taskToken, (attempt) => attempt.succeed(asJson(output)));
  }

  async fail(taskToken: string, error: Failure): Promise<boolean> {
    return this.#answer(taskToken, (attempt) => attempt.fail("TaskFailed", error));
  }

  async describe(arn: string): ReturnType<Executions["describe"]> {
    const execution = this.executions.get(arn);
    if (execution === undefined) return null;
    const { name, status, input, output, failure, startedAtMs, stoppedAtMs } = execution;
    return {
      status,
      redriveCount: execution.redriveCount,
      name,
      startedAtMs,
      stoppedAtMs,
      input,
      output,
      error: failure?.name ?? null,
      cause: failure?.cause ?? null,
    };
  }

  async stop(arn: string, cause: string): Promise<void> {
    this.executions.get(arn)?.end("ABORTED", { failure: { name: "", cause } });
  }

  /** Runs the state that failed again, with the same input. False where RedriveExecution refuses. */
  async redrive(arn: string): Promise<boolean> {
    const execution = this.executions.get(arn);
    if (execution === undefined || !["FAILED", "ABORTED", "TIMED_OUT"].includes(execution.status)) return false;
    execution.redrive();
    return true;
  }

  /** @internal */
  openWait(attempt: Attempt): string {
    const token = `token-${++this.#tokens}`;
    this.#waits.set(token, attempt);
    return token;
  }

  #answer(token: string, give: (attempt: Attempt) => void): boolean {
    const attempt = this.#waits.get(token);
    this.#waits.delete(token);
    if (attempt === undefined || attempt.over) return false;
    give(attempt);
    return true;
  }
}

/** One execution of a machine. */
export class Execution {
  readonly arn: string;
  readonly name: string;
  readonly input: unknown;
  readonly startedAtMs: number;
  readonly history: HistoryEvent[] = [];
  status: Status = "RUNNING";
  output: unknown = null;
  failure: Failure | null = null;
  stoppedAtMs: number | null = null;
  redriveCount = 0;
  redrivenAtMs: number | null = null;
  readonly interpreter: AslInterpreter;
  readonly #definition: AslDefinition;
  #at: { state: string; input: unknown; attempts: number[] };
  #attempt: Attempt | undefined;
  #deadline: { cancel(): void } | undefined;
  #retryTimer: { cancel(): void } | undefined;

  constructor(
    interpreter: AslInterpreter,
    start: { arn: string; name: string; input: unknown },
    definition: AslDefinition,
  ) {
    this.interpreter = interpreter;
    this.arn = start.arn;
    this.name = start.name;
    this.input = start.input;
    this.startedAtMs = interpreter.clock.nowMs();
    this.#definition = definition;
    this.#at = { state: definition.StartAt, input: start.input, attempts: [] };
  }

  begin(): void {
    this.note("ExecutionStarted");
    this.#setDeadline();
    this.#enter(this.#definition.StartAt, this.input);
  }

  note(type: string, error?: string): void {
    const state = type.startsWith("Execution") ? undefined : this.#at.state;
    this.history.push({ type, atMs: this.interpreter.clock.nowMs(), ...(state && { state }), ...(error && { error }) });
    if (this.history.length >= HISTORY_LIMIT && this.status === "RUNNING") {
      this.end("FAILED", { failure: { name: "States.Runtime", cause: `The history has ${HISTORY_LIMIT} events.` } });
    }
  }

  redrive(): void {
    if (this.status === "RUNNING" || this.status === "SUCCEEDED")
      throw new Error(`ExecutionNotRedrivable: it is ${this.status}.`);
    Object.assign(this, { status: "RUNNING", failure: null, stoppedAtMs: null, redriveCount: this.redriveCount + 1 });
    this.redrivenAtMs = this.interpreter.clock.nowMs();
    this.note("ExecutionRedriven");
    this.#setDeadline();
    this.#at.attempts = [];
    this.#try();
  }

  end(status: Status, result: { output?: unknown; failure?: Failure }): void {
    if (this.status !== "RUNNING") return;
    this.status = status;
    this.stoppedAtMs = this.interpreter.clock.nowMs();
    this.output = result.output ?? null;
    this.failure = result.failure ?? null;
    this.#deadline?.cancel();
    this.#retryTimer?.cancel();
    this.#attempt?.abandon();
    const words = { SUCCEEDED: "Succeeded", FAILED: "Failed", TIMED_OUT: "TimedOut", ABORTED: "Aborted", RUNNING: "" };
    this.note(`Execution${words[status]}`, result.failure?.name);
  }

  /** @internal An attempt came to its end. */
  attemptSucceeded(state: AslTask, result: unknown): void {
    const data = state.ResultPath === null ? this.#at.input : result;
    const output = state.OutputPath === "$.Payload" ? (data as { Payload?: unknown }).Payload : data;
    this.note("TaskStateExited");
    if (this.status !== "RUNNING") return;
    if ("Next" in state) this.#enter(state.Next, output);
    else this.end("SUCCEEDED", { output });
  }

  /** @internal */
  attemptFailed(state: AslTask, failure: Failure): void {
    if (this.status !== "RUNNING") return;
    const index = state.Retry.findIndex((retrier) => matches(retrier.ErrorEquals, failure.name));
    const retrier = state.Retry[index];
    const used = this.#at.attempts[index] ?? 0;
    if (retrier !== undefined && used < retrier.MaxAttempts) {
      this.#at.attempts[index] = used + 1;
      const delayMs = retryDelayMs(retrier, used, this.interpreter.random);
      this.#retryTimer = this.interpreter.clock.after(delayMs, () => this.#try());
      return;
    }
    const catcher = (state.Catch ?? []).find((candidate) => matches(candidate.ErrorEquals, failure.name));
    if (catcher === undefined) {
      this.end("FAILED", { failure });
    } else {
      this.note("TaskStateExited");
      const told = { Error: failure.name, Cause: failure.cause };
      const { input } = this.#at;
      this.#enter(catcher.Next, catcher.ResultPath === null ? input : { ...(input as object), error: told });
    }
  }

  #enter(name: string, input: unknown): void {
    if (this.status !== "RUNNING") return;
    this.#at = { state: name, input, attempts: [] };
    const state = this.#definition.States[name]!;
    this.note(`${state.Type}StateEntered`);
    if (state.Type === "Task") this.#try();
    else if (state.Type === "Choice") this.#choose(state, input);
    else {
      this.note("PassStateExited");
      this.#enter(state.Next, input);
    }
  }

  #choose(state: AslChoice, input: unknown): void {
    try {
      const next = state.Choices.find((rule) => atPath(rule.Variable, input) === rule.StringEquals)?.Next;
      this.note("ChoiceStateExited");
      this.#enter(next ?? state.Default, input);
    } catch (error) {
      if (!(error instanceof PathMissing)) throw error;
      this.end("FAILED", { failure: { name: error.name, cause: error.message } });
    }
  }

  #try(): void {
    if (this.status !== "RUNNING") return;
    const state = this.#definition.States[this.#at.state]!;
    if (state.Type !== "Task") throw new Error(`${this.#at.state} is no task.`);
    this.#attempt = new Attempt(this, state, this.#at.input, this.#at.state);
    this.#attempt.begin();
  }

  #setDeadline(): void {
    const cause = "The execution has run into its timeout.";
    const timeOut = () => this.end("TIMED_OUT", { failure: { name: "States.Timeout", cause } });
    this.#deadline = this.interpreter.clock.after(this.#definition.TimeoutSeconds * 1000, timeOut);
  }
}
