import { type ChildProcess, spawn } from "node:child_process";
import { LineSplitter } from "./line-splitter.ts";

/** Lines of stderr that are kept for the cause of a build that ended before it logged anything. */
const STDERR_TAIL_LINES = 20;
const STDERR_LINE_CHARACTERS = 2_000;

/** Time for the pipes to close after dbt is gone: a process that dbt left behind may hold them for ever. */
const PIPES_CLOSE_MS = 2_000;

export interface DbtCommand {
  readonly executable: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface DbtExit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderrTail: string;
  /** Wall milliseconds from spawn to exit. */
  readonly tookMs: number;
  /** The operating system could not start the executable: its sentence. */
  readonly notStarted: string | null;
}

export interface DbtProcess {
  /** Signals dbt. Does nothing when dbt is gone. */
  signal(signal: NodeJS.Signals): void;
  /** Resolves when dbt is reaped and all of its output was handed on. Never rejects. */
  readonly exit: Promise<DbtExit>;
}

/**
 * Starts dbt without a shell, in our own process group: what ends the whole container ends dbt too, and a dbt never
 * outlives its supervisor. SIGTERM goes to the supervisor alone (ECS and its init process signal one process), which
 * hands it on as SIGINT. The executable must be dbt itself or a script that replaces itself by it (`exec`): a signal
 * reaches the process that we started.
 */
export function startDbt(
  command: DbtCommand,
  output: { onLine(line: string, droppedBytes: number): void; onErrorLine(line: string): void },
): DbtProcess {
  const startedAtMs = Date.now();
  const child = spawn(command.executable, [...command.argv], {
    cwd: command.cwd,
    env: command.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const tail: string[] = [];
  const out = new LineSplitter(output.onLine);
  const err = new LineSplitter((line) => {
    if (line.trim() !== "") tail.push(line.slice(0, STDERR_LINE_CHARACTERS));
    if (tail.length > STDERR_TAIL_LINES) tail.shift();
    output.onErrorLine(line);
  });
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  const exit = reaped(child).then((end) => {
    out.end();
    err.end();
    return { ...end, stderrTail: tail.join("\n"), tookMs: Date.now() - startedAtMs };
  });
  return { signal: (signal) => void child.kill(signal), exit };
}

function reaped(child: ChildProcess): Promise<Pick<DbtExit, "exitCode" | "signal" | "notStarted">> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      if (child.pid === undefined) resolve({ exitCode: null, signal: null, notStarted: error.message });
    });
    child.once("exit", (exitCode, signal) => {
      const end = { exitCode, signal, notStarted: null };
      const late = setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve(end);
      }, PIPES_CLOSE_MS);
      child.once("close", () => {
        clearTimeout(late);
        resolve(end);
      });
    });
  });
}
