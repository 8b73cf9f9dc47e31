import { execFile } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import {
  closingLine,
  failureLines,
  oneCheck,
  sum,
  vitestCounts,
  vitestFailures,
  vitestSkipped,
} from "../runner/counts.ts";
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

  test("failed tests by name with the first line of why, and a file that could not be loaded", () => {
    const assertionResults = [
      { status: "passed", fullName: "one" },
      { status: "failed", fullName: "of two", failureMessages: ["\u001b[31mexpected 1\u001b[39m\n    at x.ts"] },
    ];
    const file = report({
      testResults: [
        { name: join(folder, "a.test.ts"), status: "failed", assertionResults },
        { name: join(folder, "b.test.ts"), status: "failed", message: "no such module", assertionResults: [] },
        { name: join(folder, "c.test.ts"), status: "passed", assertionResults: [] },
      ],
    });
    expect(failureLines("fast", vitestFailures(folder, file))).toEqual([
      "FAILED fast: a.test.ts > of two: expected 1",
      "FAILED fast: b.test.ts: no such module",
    ]);
    expect(vitestFailures(folder, join(folder, "none.json"))).toEqual([]);
  });

  test("tests that were left out, by name", () => {
    const assertionResults = [
      { status: "passed", fullName: "one" },
      { status: "skipped", fullName: "needs a redrive" },
    ];
    const file = report({ testResults: [{ name: join(folder, "a.test.ts"), status: "passed", assertionResults }] });
    expect(vitestSkipped(folder, file)).toEqual(["a.test.ts > needs a redrive"]);
    expect(vitestSkipped(folder, join(folder, "none.json"))).toEqual([]);
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
    const { code, stdout } = await promisify(execFile)("bash", [".ci/run"], { env }).then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: { code: number; stdout: string }) => error,
    );
    const lines = stdout.trimEnd().split("\n");
    return { code, last: lines.at(-1), lines };
  };

  test("adds both halves up and closes with the sum", async () => {
    expect(await ciRun("echo 7 passed, 0 failed, 1 skipped", "echo 2 passed, 0 failed, 0 skipped")).toMatchObject({
      code: 0,
      last: "9 passed, 0 failed, 1 skipped",
    });
  });

  test("tells which tests failed in either half just before the sum", async () => {
    const npm = "echo FAILED fast: a.test.ts: x; echo more; echo 7 passed, 1 failed, 0 skipped; exit 1";
    const { lines } = await ciRun(npm, "echo 2 passed, 0 failed, 0 skipped");
    expect(lines.slice(-2)).toEqual(["FAILED fast: a.test.ts: x", "9 passed, 1 failed, 0 skipped"]);
  });

  test("a failed half fails all, and a half without its line is one failure", async () => {
    expect(
      await ciRun("echo 7 passed, 2 failed, 0 skipped; exit 1", "echo 2 passed, 0 failed, 0 skipped"),
    ).toMatchObject({
      code: 1,
      last: "9 passed, 2 failed, 0 skipped",
    });
    expect(await ciRun("echo 7 passed, 0 failed, 0 skipped", "exit 137")).toMatchObject({
      code: 1,
      last: "7 passed, 1 failed, 0 skipped",
    });
  });
});
