import { createInterface } from "node:readline";
import { Worker } from "node:worker_threads";
import { ownProgram } from "../own-files.ts";
import type { FromThread, FunctionFailure, Invocation, Outcome, ThreadSettings } from "./thread-messages.ts";

/** AWS gives the code ten seconds to load; a loaded machine with two cores may need more. */
const LOAD_TIMEOUT_MS = 30_000;

interface Pending {
  readonly resolve: (outcome: Outcome) => void;
  timer: NodeJS.Timeout | undefined;
}

export interface SandboxOptions {
  readonly settings: ThreadSettings;
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutSeconds: number;
  readonly writeLog: (line: string, timestampMs?: number) => void;
  /** Called once, when the thread has ended. */
  readonly onEnded: () => void;
}

/**
 * The execution environment of one revision of a function: a thread, with any number of invocations at once. On AWS
 * each would have a sandbox of its own; one thread keeps a hundred pollers at the memory of one.
 */
export class Sandbox {
  /** No further invocation may be given to it: its thread has ended, hangs, or never loaded the code. */
  retired = false;
  readonly #options: SandboxOptions;
  readonly #thread: Worker;
  readonly #pending = new Map<string, Pending>();
  /** Settles when the code is loaded, or when the thread has ended. */
  readonly #loading = Promise.withResolvers<void>();
  readonly #loadTimer: NodeJS.Timeout;
  #loadFailure: FunctionFailure | undefined;

  constructor(options: SandboxOptions) {
    this.#options = options;
    this.#thread = new Worker(ownProgram("lambda/lambda-thread"), {
      env: options.env,
      workerData: options.settings,
      stdout: true,
      stderr: true,
    });
    this.#thread.on("message", (message: FromThread) => this.#receive(message));
    this.#thread.on("error", (error) => options.writeLog(`Uncaught error: ${(error as Error).stack ?? String(error)}`));
    this.#thread.on("exit", (code) => this.#ended(code));
    for (const stream of [this.#thread.stdout, this.#thread.stderr]) {
      // Each line is an event of its own, as on AWS: CloudWatch reads metrics in one that is a JSON object.
      createInterface({ input: stream }).on("line", (line) => options.writeLog(line));
    }
    this.#loadTimer = setTimeout(() => this.#neverLoaded(), LOAD_TIMEOUT_MS);
  }

  /** The function's timeout begins when its code is loaded, as on AWS. */
  async invoke(requestId: string, event: string): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const pending: Pending = { resolve, timer: undefined };
    this.#pending.set(requestId, pending);
    await this.#loading.promise;
    if (this.#pending.has(requestId)) {
      const timeoutMs = this.#options.timeoutSeconds * 1000;
      pending.timer = setTimeout(() => this.#timedOut(requestId), timeoutMs);
      const invocation: Invocation = { requestId, event, deadlineMs: Date.now() + timeoutMs };
      this.#thread.postMessage(invocation);
    }
    return promise;
  }

  /** Takes no more invocations; the thread ends with the last one that it has. */
  retire(): void {
    this.retired = true;
    if (this.#pending.size === 0) void this.#thread.terminate();
  }

  async terminate(): Promise<void> {
    this.retired = true;
    await this.#thread.terminate();
  }

  #receive(message: FromThread): void {
    if (message.kind === "loaded") this.#loaded();
    else if (message.kind === "log") this.#options.writeLog(message.line, message.timestampMs);
    else if (message.kind === "done") this.#settle(message.requestId, { payload: message.payload });
    else if (message.kind === "failed") this.#settle(message.requestId, { failure: message.failure });
    else if (message.kind === "notLoaded") {
      this.#loadFailure = message.failure;
      void this.terminate();
    }
  }

  #settle(requestId: string, outcome: Outcome): void {
    const pending = this.#pending.get(requestId);
    if (pending === undefined) return;
    clearTimeout(pending.timer);
    this.#pending.delete(requestId);
    pending.resolve(outcome);
    if (this.retired && this.#pending.size === 0) void this.#thread.terminate();
  }

  #loaded(): void {
    clearTimeout(this.#loadTimer);
    this.#loading.resolve();
  }

  #neverLoaded(): void {
    const errorMessage = `Init phase timed out after ${LOAD_TIMEOUT_MS / 1000} seconds`;
    this.#loadFailure = { errorType: "Sandbox.Timedout", errorMessage };
    void this.terminate();
  }

  /** AWS ends the sandbox at a timeout. Others may still run in this thread, so it ends after them. */
  #timedOut(requestId: string): void {
    this.retired = true;
    const seconds = this.#options.timeoutSeconds.toFixed(2);
    const errorMessage = `RequestId: ${requestId} Error: Task timed out after ${seconds} seconds`;
    this.#options.writeLog(errorMessage);
    this.#settle(requestId, { failure: { errorType: "Sandbox.Timedout", errorMessage } });
  }

  #ended(code: number): void {
    this.retired = true;
    for (const requestId of [...this.#pending.keys()]) {
      const errorMessage = `RequestId: ${requestId} Error: Runtime exited with error: exit status ${code}`;
      this.#settle(requestId, { failure: this.#loadFailure ?? { errorType: "Runtime.ExitError", errorMessage } });
    }
    this.#loaded();
    this.#options.onEnded();
  }
}
