import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { startMarkOf } from "../process-identity.mjs";
import { TaskStartError } from "./ecs-errors.ts";
import type { ContainerTrace } from "./leftover-containers.ts";

export interface ContainerProcessOptions {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly stopTimeoutSeconds: number;
  /** File that names the process as long as it may run, so that a later start can end what a crash left behind. */
  readonly traceFile: string;
  /** In the environment of this container's processes and of no others. */
  readonly metadataUri: string;
  readonly onLine: (line: string) => void;
}

/**
 * A container: a child process that leads a process group of its own. What AWS does to the container's first process
 * (SIGTERM) goes to the child, what it does to the container (SIGKILL, and its end with the first process) to the group.
 */
export class ContainerProcess {
  readonly pid: number;
  /** Exit code, 128 + n for signal n as a shell gives it. Resolves when all output has been read as well. */
  readonly exited: Promise<number>;
  readonly #child: ChildProcess;
  readonly #options: ContainerProcessOptions;
  #running = true;
  #terminated = false;

  private constructor(child: ChildProcess, pid: number, options: ContainerProcessOptions) {
    this.#child = child;
    this.pid = pid;
    this.#options = options;
    const outputRead = Promise.all([child.stdout, child.stderr].map((stream) => this.#readLines(stream)));
    this.exited = this.#reap().then(async (code) => {
      await outputRead;
      return code;
    });
  }

  /** @throws {TaskStartError} CannotStartContainerError when the program can not be started */
  static async start(options: ContainerProcessOptions): Promise<ContainerProcess> {
    const [command, ...args] = options.argv;
    if (command === undefined) throw cannotStart(options.name, "no command specified");
    const child = spawn(command, args, {
      cwd: options.workingDirectory,
      env: options.env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    child.once("spawn", resolve).once("error", reject);
    try {
      await promise;
    } catch (error) {
      throw cannotStart(options.name, (error as Error).message);
    }
    // "spawn" without a pid does not happen.
    const pid = child.pid ?? 0;
    writeTrace(options, pid);
    return new ContainerProcess(child, pid, options);
  }

  /**
   * SIGTERM to the first process, once, and SIGKILL to all of them when the stop timeout is over. A later call can only
   * bring that moment nearer.
   */
  async stop(graceSeconds = Number.POSITIVE_INFINITY): Promise<void> {
    if (!this.#running) return;
    if (!this.#terminated) this.#child.kill("SIGTERM");
    this.#terminated = true;
    const waitMs = Math.min(this.#options.stopTimeoutSeconds, graceSeconds) * 1000;
    const timer = setTimeout(() => this.kill(), waitMs);
    await this.exited;
    clearTimeout(timer);
  }

  /** SIGKILL to the whole group. */
  kill(): void {
    if (!this.#running) return;
    this.#killGroup();
  }

  #killGroup(): void {
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch {
      // ESRCH: the group is empty, which is what was wanted.
    }
  }

  #reap(): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#child.once("exit", (code, signal) => {
      this.#running = false;
      // A container ends with its first process; here the others have to be told.
      this.#killGroup();
      rmSync(this.#options.traceFile, { force: true });
      resolve(code ?? 128 + constants.signals[signal ?? "SIGKILL"]);
    });
    return promise;
  }

  async #readLines(stream: NodeJS.ReadableStream | null): Promise<void> {
    if (stream === null) return;
    for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      this.#options.onLine(line);
    }
  }
}

function cannotStart(name: string, why: string): TaskStartError {
  return new TaskStartError(
    `CannotStartContainerError: ResourceInitializationError: failed to start "${name}": ${why}`,
  );
}

function writeTrace({ traceFile, metadataUri }: ContainerProcessOptions, pid: number): void {
  const trace: ContainerTrace = { pid, startMark: startMarkOf(pid) ?? "", metadataUri };
  mkdirSync(dirname(traceFile), { recursive: true });
  writeFileSync(traceFile, JSON.stringify(trace));
}
