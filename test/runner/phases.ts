import { spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Counts, type Failure, oneCheck, vitestCounts, vitestFailures, vitestSkipped } from "./counts.ts";

export interface PhaseResult {
  readonly counts: Counts;
  /** Failed tests by name; a phase without tests of its own has none. */
  readonly failures?: readonly Failure[];
  /** Tests by name that were left out, for example since an endpoint can not do what they are about. */
  readonly notRun?: readonly string[];
}

/** One part of the test run: does its work on this terminal and says how it went. */
export interface Phase {
  readonly name: string;
  readonly go: () => Promise<PhaseResult>;
}

/** A tool of node_modules that only has to end with exit code 0. */
export function check(root: string, name: string, script: string, toolArguments: readonly string[]): Phase {
  return {
    name,
    go: async () => ({
      counts: oneCheck((await exitCodeOf(root, [join(root, "node_modules", script), ...toolArguments])) === 0),
    }),
  };
}

/** One vitest project, or the part of it that `filters` name. */
export function vitest(root: string, project: string, filters: readonly string[]): Phase {
  return {
    name: `${project} tests`,
    go: async () => {
      const report = join(root, ".stepwatch", "reports", `${project}.json`);
      mkdirSync(dirname(report), { recursive: true });
      rmSync(report, { force: true });
      const exitCode = await exitCodeOf(root, [
        join(root, "node_modules", "vitest", "vitest.mjs"),
        "run",
        "--project",
        project,
        "--passWithNoTests",
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${report}`,
        ...filters,
      ]);
      return {
        counts: vitestCounts(report, exitCode),
        failures: vitestFailures(root, report),
        notRun: vitestSkipped(root, report),
      };
    },
  };
}

/** A worker that waits in a synchronous call is out of vitest's own reach: no phase takes half of it. */
const PHASE_BOUND_MS = 60 * 60_000;

/** Runs a Node program on this terminal. Ctrl-C reaches it by itself; a signal sent to us alone is passed on. */
function exitCodeOf(cwd: string, programArguments: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, programArguments, { cwd, stdio: ["ignore", "inherit", "inherit"] });
    const passOn = () => child.kill("SIGTERM");
    const bound = setTimeout(() => {
      process.stdout.write(`It has not ended within ${PHASE_BOUND_MS / 60_000} minutes, and is ended.\n`);
      child.kill("SIGKILL");
    }, PHASE_BOUND_MS);
    process.once("SIGTERM", passOn);
    child.once("error", (error) => {
      clearTimeout(bound);
      reject(error);
    });
    child.once("exit", (code) => {
      process.off("SIGTERM", passOn);
      clearTimeout(bound);
      resolve(code ?? 1);
    });
  });
}
