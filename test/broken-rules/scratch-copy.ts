import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BrokenRule } from "./rules.ts";

/** What a source is, of the folder of the project: what git and the tests have made stays behind. */
const LEFT_BEHIND = new Set([".git", ".stepwatch", "node_modules", "cdk.out", "build"]);

export interface Outcome {
  readonly red: boolean;
  /** The first test that failed, or the first words of a violation. */
  readonly by: string;
}

/** A copy of the sources in which one rule at a time is broken. Packages and Python environments are the project's own. */
export class ScratchCopy {
  readonly #folder: string;

  constructor(root: string) {
    this.#folder = mkdtempSync(join(tmpdir(), "stepwatch-rules-"));
    cpSync(root, this.#folder, {
      recursive: true,
      filter: (path) => !LEFT_BEHIND.has(path.slice(root.length + 1)),
    });
    mkdirSync(join(this.#folder, ".stepwatch"));
    symlinkSync(join(root, "node_modules"), join(this.#folder, "node_modules"));
    symlinkSync(join(root, ".stepwatch", "venvs"), join(this.#folder, ".stepwatch", "venvs"));
  }

  readonly read = (file: string): string => readFileSync(join(this.#folder, file), "utf8");

  with<T>({ file, text, broken }: BrokenRule, act: () => T): T {
    const path = join(this.#folder, file);
    const source = this.read(file);
    writeFileSync(
      path,
      source.replace(text, () => broken),
    );
    try {
      return act();
    } finally {
      writeFileSync(path, source);
    }
  }

  /** Red only by a test that ran and failed: a file that can not be loaded proves nothing. */
  test(project: string, files: readonly string[]): Outcome {
    const { status, tests } = this.#vitest(project, files, ["--bail=1"]);
    if (status === 0) return { red: false, by: `${tests.length} tests are green` };
    // A failure that stops the other files is at times missing in the report: then once more, to the end.
    const failed = failedAmong(tests) ?? failedAmong(this.#vitest(project, files, []).tests);
    if (!failed) throw new Error(`vitest ended with ${status} without a failed test.`);
    return { red: true, by: failed.fullName };
  }

  simulate(seeds: number): Outcome {
    const { status, stdout } = this.#node(["test/simulate.ts", "--first", "--from", "1", "--seeds", String(seeds)]);
    const violation = /^Seed \d+: .*/m.exec(stdout)?.[0];
    return { red: status !== 0 && violation !== undefined, by: violation ?? stdout.trim() };
  }

  #vitest(project: string, files: readonly string[], options: readonly string[]) {
    const report = join(this.#folder, ".stepwatch", "report.json");
    rmSync(report, { force: true });
    const vitest = join(this.#folder, "node_modules", "vitest", "vitest.mjs");
    const reporters = ["--reporter=json", `--outputFile.json=${report}`];
    const { status, stdout, stderr } = this.#node([
      ...[vitest, "run", "--project", project, ...reporters],
      ...options,
      ...files,
    ]);
    if (!existsSync(report)) throw new Error(`vitest left no report:\n${stdout}\n${stderr}`);
    const { testResults } = JSON.parse(readFileSync(report, "utf8")) as VitestReport;
    const unloaded = testResults.find((one) => one.status === "failed" && one.assertionResults.length === 0);
    if (unloaded) throw new Error(`${unloaded.name} could not be loaded: ${unloaded.message}`);
    const tests = testResults.flatMap((one) => one.assertionResults);
    if (tests.length === 0) throw new Error(`No test was run of ${files.join(", ")}.`);
    return { status, tests };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #node(args: readonly string[]) {
    // What is random is the same each time, so that a rule that is found today is found tomorrow.
    const env = { ...process.env, STEPWATCH_TEST_SEED: "1" };
    return spawnSync(process.execPath, args, { cwd: this.#folder, env, encoding: "utf8", maxBuffer: 1 << 28 });
  }
}

const failedAmong = (tests: readonly TestResult[]): TestResult | undefined =>
  tests.find((one) => one.status === "failed");

interface TestResult {
  readonly status: string;
  readonly fullName: string;
}

interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly TestResult[];
  }[];
}
