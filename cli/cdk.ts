import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { modulesWith } from "#local/own-files.ts";
import { InfrastructureError, UsageError } from "./failure.ts";
import { packageRoot } from "./paths.ts";

export interface CdkCall {
  /** What it does, for messages: "deploying". */
  readonly doing: string;
  readonly cdkArguments: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logFile: string;
  readonly signal: AbortSignal;
  /** The command to run after a failure that says nothing better. */
  readonly afterFailure?: string;
}

const LINES_SHOWN = 15;

/** A JavaScript stack trace, with the error's fields behind it: it stands in the log, and says nothing to a person. */
const STACK_TRACE = /^\s+at .+:\d+:\d+\)?(?: \{\n[\s\S]*?^\s*\})?\n?/gm;

/**
 * Runs the pinned CDK CLI, its output in a log file. It gets a process group of its own, so that Ctrl-C ends it with
 * the app that it has started, and not in the middle of our own tidying up. The app of cdk.json is started by `node`:
 * ours comes first on its PATH.
 *
 * @throws {UsageError} where the app refused the configuration, {@link InfrastructureError} with the log's last lines otherwise
 */
export async function cdk(call: CdkCall): Promise<void> {
  mkdirSync(dirname(call.logFile), { recursive: true });
  const output = openSync(call.logFile, "w");
  try {
    const child = spawn(
      process.execPath,
      [join(modulesWith("aws-cdk") ?? "node_modules", "aws-cdk", "bin", "cdk"), ...call.cdkArguments],
      {
        cwd: packageRoot,
        env: {
          ...call.environment,
          ...QUIET,
          PATH: `${dirname(process.execPath)}${delimiter}${call.environment.PATH ?? ""}`,
        },
        stdio: ["ignore", output, output],
        detached: true,
      },
    );
    const stop = () => {
      if (child.pid !== undefined) endGroup(child.pid);
    };
    call.signal.addEventListener("abort", stop, { once: true });
    if (call.signal.aborted) stop();
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code ?? 1));
    });
    call.signal.removeEventListener("abort", stop);
    if (exitCode !== 0) throw failed(call);
  } finally {
    closeSync(output);
  }
}

/** No calls home, no notices, no prompts. */
const QUIET = {
  CDK_DISABLE_CLI_TELEMETRY: "true",
  CDK_DISABLE_VERSION_CHECK: "1",
  CI: "true",
  NO_COLOR: "1",
  FORCE_COLOR: "0",
};

function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGTERM");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function failed(call: CdkCall): Error {
  if (call.signal.aborted) return new InfrastructureError(`${capitalised(call.doing)} was interrupted.`);
  const log = readFileSync(call.logFile, "utf8");
  const refused = /^stepwatch\.yaml refused[\s\S]*?(?=\n\S|$)/m.exec(log)?.[0];
  if (refused !== undefined) return new UsageError(refused, "Correct stepwatch.yaml and run the same command again.");
  if (/ENOSPC|No space left/.test(log))
    return new InfrastructureError(
      `${capitalised(call.doing)} failed: the disk is full.`,
      "Free some space and run the same command again.",
    );
  const lines = log
    .replace(STACK_TRACE, "")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-LINES_SHOWN);
  return new InfrastructureError(
    `${capitalised(call.doing)} failed; the whole output is in ${call.logFile}.`,
    call.afterFailure ?? "Run the same command again.",
    { lines },
  );
}

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
