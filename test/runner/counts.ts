import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { stripVTControlCharacters } from "node:util";

/** Tests of one phase, or of all. A check without tests of its own (lint, types) is one test. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const NO_TESTS: Counts = { passed: 0, failed: 0, skipped: 0 };

/** A check that has no tests of its own: one passed or one failed. */
export const oneCheck = (good: boolean): Counts => ({ passed: good ? 1 : 0, failed: good ? 0 : 1, skipped: 0 });

export function sum(all: readonly Counts[]): Counts {
  return all.reduce(
    (total, next) => ({
      passed: total.passed + next.passed,
      failed: total.failed + next.failed,
      skipped: total.skipped + next.skipped,
    }),
    NO_TESTS,
  );
}

/** One line for each failed test, for the end of the output: what is cut of a long log is its beginning. */
export const failureLines = (phase: string, failures: readonly Failure[]): string[] =>
  failures.map(({ test, message }) => `FAILED ${phase}: ${test}: ${message}`);

/** The closing line that `.ci/run` adds up: keep both in step. */
export const closingLine = (counts: Counts): string =>
  `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;

/** A failed test: its file and name, and the first line of why. */
export interface Failure {
  readonly test: string;
  readonly message: string;
}

interface VitestReport {
  numPassedTests?: number;
  numFailedTests?: number;
  numPendingTests?: number;
  numTodoTests?: number;
  testResults?: {
    status?: string;
    name?: string;
    message?: string;
    assertionResults?: { status?: string; fullName?: string; failureMessages?: string[] }[];
  }[];
}

/** The failed tests of vitest's JSON report; a file that could not be loaded stands under its own name. */
export function vitestFailures(root: string, reportFile: string): Failure[] {
  if (!existsSync(reportFile)) return [];
  const report = JSON.parse(readFileSync(reportFile, "utf8")) as VitestReport;
  return (report.testResults ?? []).flatMap(({ status, name = "", message, assertionResults = [] }) => {
    const file = relative(root, name);
    const failed = assertionResults.filter((test) => test.status === "failed");
    if (failed.length === 0 && status === "failed") return [{ test: file, message: firstLine(message) }];
    return failed.map(({ fullName, failureMessages }) => ({
      test: `${file} > ${fullName}`,
      message: firstLine(failureMessages?.[0]),
    }));
  });
}

/** Tests of vitest's JSON report that were left out, by file and name. */
export function vitestSkipped(root: string, reportFile: string): string[] {
  if (!existsSync(reportFile)) return [];
  const report = JSON.parse(readFileSync(reportFile, "utf8")) as VitestReport;
  return (report.testResults ?? []).flatMap(({ name = "", assertionResults = [] }) =>
    assertionResults
      .filter(({ status }) => status === "skipped" || status === "pending")
      .map(({ fullName }) => `${relative(root, name)} > ${fullName}`),
  );
}

const firstLine = (text = "") => stripVTControlCharacters(text).trim().split("\n", 1)[0]!.slice(0, 300);

/**
 * Counts of vitest's JSON report. A file that could not be loaded has no tests in the report and is one failure; so is
 * a vitest that ended badly without a single failed test (an unhandled error, a crash, a report that is missing).
 */
export function vitestCounts(reportFile: string, exitCode: number): Counts {
  if (!existsSync(reportFile)) return oneCheck(exitCode === 0);
  const report = JSON.parse(readFileSync(reportFile, "utf8")) as VitestReport;
  const unloaded = (report.testResults ?? []).filter(
    (file) => file.status === "failed" && (file.assertionResults ?? []).length === 0,
  ).length;
  const failed = (report.numFailedTests ?? 0) + unloaded;
  return {
    passed: report.numPassedTests ?? 0,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: (report.numPendingTests ?? 0) + (report.numTodoTests ?? 0),
  };
}
