import { execFile } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { closingLine, oneCheck, sum, vitestCounts } from "../runner/counts.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const folder = temporaryFolder("runner");

describe("counts of a test run", () => {
  const report = (value: object) => {
    const file = join(folder, "report.json");
    writeFileSync(file, JSON.stringify(value));
    return file;
  };

  test("tests of vitest's report, skipped and to-do together", () => {
    const file = report({ numPassedTests: 5, numFailedTests: 1, numPendingTests: 2, numTodoTests: 1, testResults: [] });
    expect(vitestCounts(file, 1)).toEqual({ passed: 5, failed: 1, skipped: 3 });
  });

  test("a file that could not be loaded, a vitest that ended badly and a missing report are failures", () => {
    const unloaded = report({
      numPassedTests: 5,
      numFailedTests: 0,
      testResults: [{ status: "failed", assertionResults: [] }],
    });
    expect(vitestCounts(unloaded, 1).failed).toBe(1);
    expect(vitestCounts(report({ numPassedTests: 5, numFailedTests: 0 }), 1).failed).toBe(1);
    expect(vitestCounts(join(folder, "none.json"), 1).failed).toBe(1);
  });

  test("the closing line", () => {
    expect(closingLine(sum([oneCheck(true), oneCheck(false), { passed: 3, failed: 0, skipped: 2 }]))).toBe(
      "4 passed, 1 failed, 2 skipped",
    );
  });
});

describe(".ci/run", () => {
  /** An `npm` that prints what the test wants and ends as it wants. */
  const ciRun = async (ofTest: string, ofAll: string) => {
    const npm = join(folder, "npm");
    writeFileSync(npm, `#!/bin/sh\nif [ "$1" = test ]; then ${ofTest}; else ${ofAll}; fi\n`);
    chmodSync(npm, 0o755);
    const env = { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` };
    return promisify(execFile)("bash", [".ci/run"], { env }).then(
      ({ stdout }) => ({ code: 0, last: stdout.trimEnd().split("\n").at(-1) }),
      (error: { code: number; stdout: string }) => ({
        code: error.code,
        last: error.stdout.trimEnd().split("\n").at(-1),
      }),
    );
  };

  test("adds both halves up and closes with the sum", async () => {
    expect(await ciRun("echo 7 passed, 0 failed, 1 skipped", "echo 2 passed, 0 failed, 0 skipped")).toEqual({
      code: 0,
      last: "9 passed, 0 failed, 1 skipped",
    });
  });

  test("a failed half fails all, and a half without its line is one failure", async () => {
    expect(await ciRun("echo 7 passed, 2 failed, 0 skipped; exit 1", "echo 2 passed, 0 failed, 0 skipped")).toEqual({
      code: 1,
      last: "9 passed, 2 failed, 0 skipped",
    });
    expect(await ciRun("echo 7 passed, 0 failed, 0 skipped", "exit 137")).toEqual({
      code: 1,
      last: "7 passed, 1 failed, 0 skipped",
    });
  });
});
