import { describe, expect, it } from "vitest";
import { buildEnded } from "#core/dbt/build-end.ts";
import type { ProcessEnd } from "#core/dbt/cause.ts";
import { isUnsupportedDbt } from "#core/dbt/dbt-version.ts";
import { fatalKind } from "#core/dbt/fatal-kind.ts";
import { lateError, line, result, start, stats, version } from "../../support/dbt-lines.ts";
import { readLines, readRecording } from "../../support/read-recording.ts";
import { recordedCase } from "../../support/recorded-cases.ts";

const ok: ProcessEnd = { exitCode: 0, signal: null, signalledByUs: false };
const A = "model.p.a";
const good = [version("1.11.16"), start(A), result(A, "success"), stats()];
const hookEnd = line({
  name: "LogHookEndLine",
  id: "operation.p.p-on-run-end-0",
  nodeStatus: "error",
  status: "error",
  level: "error",
});

describe("A13: an unsupported dbt", () => {
  it.each(["1.7.19", "1.0.0", "0.21.1"])("%s is refused", (is) => {
    expect(isUnsupportedDbt(is)).toBe(true);
    const { cause, inOrder } = buildEnded(readLines([version(is), stats()]), ok);
    expect(cause).toMatchObject({ kind: "unsupported_dbt", nextStep: "Install dbt 1.8 or later." });
    expect(inOrder).toBe(false);
  });

  it.each(["1.8.0", "1.11.16", "1.12.6", "2.0.0-preview.196", "2.0.9", "", "unknown"])("%s is not", (is) => {
    expect(isUnsupportedDbt(is)).toBe(false);
  });
});

describe("in order", () => {
  it("all good, last line seen, exit 0", () => {
    expect(buildEnded(readLines(good), ok)).toMatchObject({
      inOrder: true,
      cause: { kind: "none" },
      retryableLaunch: false,
    });
  });

  it.each<[string, ProcessEnd, string]>([
    ["a signal from outside", { ...ok, exitCode: null, signal: "SIGKILL" }, "killed"],
    ["our own signal", { ...ok, exitCode: 2, signalledByUs: true }, "terminated"],
    ["memory", { ...ok, exitCode: null, signal: "SIGKILL", outOfMemory: true }, "out_of_memory"],
    ["exit code 137 of a shell", { ...ok, exitCode: 137 }, "killed"],
  ])("not after %s", (_why, end, kind) => {
    expect(buildEnded(readLines(good), end)).toMatchObject({ inOrder: false, cause: { kind } });
  });

  it("B11: an exit code that no vertex explains is red with that cause", () => {
    const { inOrder, cause } = buildEnded(readLines(good), { ...ok, exitCode: 1 });
    expect(inOrder).toBe(false);
    expect(cause).toMatchObject({ kind: "unexplained_exit", sentence: expect.stringContaining("exit code 1") });
  });

  it("B11: a recorded log in which dbt says that it failed, and no vertex why, is not green", () => {
    const command = line({ name: "CommandCompleted", level: "debug", data: { success: false } });
    const unseen = { ...ok, exitCode: null };
    const { inOrder, cause } = buildEnded(readLines([...good, command]), unseen);
    expect(inOrder).toBe(false);
    expect(cause).toMatchObject({ kind: "unexplained_exit", sentence: expect.stringContaining("no vertex") });
    const explained = [version("1.11.16"), start(A), result(A, "error"), stats(), command];
    expect(buildEnded(readLines(explained), unseen)).toMatchObject({ inOrder: true, cause: { kind: "node" } });
  });

  it("exit 0 without the last line is not in order", () => {
    expect(buildEnded(readLines(good.slice(0, -1)), ok).inOrder).toBe(false);
  });

  it("exit 0 although a vertex failed is not in order", () => {
    expect(buildEnded(readLines([start(A), result(A, "error"), stats()]), ok)).toMatchObject({
      inOrder: false,
      cause: { kind: "node" },
    });
  });
});

describe("hooks", () => {
  it("B11: an on-run-end hook fails: vertices good, cause hook, the build ended in order", () => {
    const log = readLines([...good.slice(0, -1), hookEnd, stats()]);
    expect(buildEnded(log, { ...ok, exitCode: 1 })).toMatchObject({ inOrder: true, cause: { kind: "hook" } });
    expect(log.vertices.get(A)?.class).toBe("good");
    expect(log.hookFailures).toMatchObject([{ phase: "end" }]);
  });

  it.each(["1.11.16", "1.12.6", "2.0.0rc196"])(
    "B11: in a recorded build of %s the on-run-end hook fails: every vertex good, the hook's own message, no failed connection",
    (release) => {
      const { log, end, outcomes } = readRecording(recordedCase(release, "end_hook_fail"), { withFile: true });
      expect(end).toMatchObject({ inOrder: true, retryableLaunch: false, cause: { kind: "hook" } });
      expect(log.hookFailures).toMatchObject([
        { phase: "end", message: expect.stringContaining("planned_end_hook_failure") },
      ]);
      expect(new Set(outcomes.map((one) => one.class))).toEqual(new Set(["good"]));
    },
  );

  it("a start hook that was never run, since the one before it failed, is no failed hook", () => {
    const { log } = readRecording(recordedCase("1.11.16", "start_hook_second"));
    expect(log.hookFailures.map((hook) => hook.name)).toEqual(["harbour.on-run-start.1"]);
  });

  it.each(["1.8.10", "1.9.10", "1.10.23", "1.11.16"])(
    "B10: on-run-start fails in %s: it builds on, vertices as they ended, one cause",
    (release) => {
      const { log, end, outcomes } = readRecording(recordedCase(release, "start_hook_fail"));
      expect(end).toMatchObject({
        inOrder: true,
        cause: { kind: "hook", sentence: expect.stringContaining("planned_start_hook_failure") },
      });
      expect(log.hookFailures).toMatchObject([{ phase: "start" }]);
      expect(new Set(outcomes.map((one) => one.class))).toEqual(new Set(["good"]));
    },
  );

  it.each(["1.12.6", "2.0.0rc196"])("B10: on-run-start fails in %s: nothing is built, one cause", (release) => {
    const { log, end, outcomes } = readRecording(recordedCase(release, "start_hook_fail"), { withFile: true });
    expect(end).toMatchObject({ inOrder: false, cause: { kind: "hook" } });
    expect(log.hookFailures).toMatchObject([{ phase: "start" }]);
    expect(new Set(outcomes.map((one) => one.class))).toEqual(new Set(["not_built"]));
  });
});

describe("D3: what made dbt give up", () => {
  it.each([
    ['IO Error: Could not set lock on file "x.duckdb": Conflicting lock is held', "connection"],
    ['connection to server at "db" (10.0.0.1), port 5432 failed: Connection refused', "connection"],
    ["250001 (08001): Failed to connect to DB: account.snowflakecomputing.com:443", "connection"],
    ['could not translate host name "db" to address: Name or service not known', "connection"],
    ["Runtime Error\n  The profile 'p' does not have a target named 'x'. The valid target names", "profile"],
    ["Runtime Error\n  Could not find profile named 'p'", "profile"],
    ["Compilation Error\n  Model 'model.p.a' depends on a node named 'b' which was not found", "parse"],
    ["Parsing Error\n  Error reading p: x.yml - Runtime Error\n    Syntax error near line 3", "parse"],
    ['IO Error: The file "x.duckdb" exists, but it is not a valid DuckDB database file!', "connection"],
    ["[error] [Generic (dbt1000)]: model function should return only one object\n  --> models/a.py", "parse"],
    ["The selection criterion 'a' does not match any enabled nodes", "selection"],
    ["Runtime Error\n  Could not find selector named nope, expected one of []", "flags"],
    ["[error] [SelectorError (dbt1600)]: Unknown selector `nope` (see selectors.yml)", "flags"],
    ["Found a cycle: model.p.c --> model.p.a --> model.p.b", "parse"],
    ['[error] [InvalidConfig (dbt1005)]: dbt found two resources with the database relation "p"."main"."a"', "parse"],
    ["[error] [WEOIncludeExcludeDeprecation (dbt1086)]: Found deprecated keys in warn_error_options", "flags"],
    ["MemoryError", "memory"],
    ["Error: No such option '--nope'.", "flags"],
    ["something that nobody has seen", "unknown"],
  ])("%j is %s", (text, kind) => expect(fatalKind(text)).toBe(kind));

  it("only a launch that did nothing may be repeated by itself", () => {
    const fatal = line({ name: "MainEncounteredError", level: "error", data: { exc: "could not connect to server" } });
    expect(buildEnded(readLines([version("1.11.16"), fatal]), { ...ok, exitCode: 2 })).toMatchObject({
      retryableLaunch: true,
      cause: { kind: "connection" },
    });
    expect(buildEnded(readLines([...good.slice(0, 3), fatal]), { ...ok, exitCode: 2 })).toMatchObject({
      retryableLaunch: false,
      inOrder: false,
    });
  });

  it("flags are refused on stderr, before any event", () => {
    const end = { ...ok, exitCode: 2, stderrTail: "Usage: dbt build [OPTIONS]\n\nError: No such option '--nope'." };
    expect(buildEnded(readLines([]), end).cause).toMatchObject({
      kind: "flags",
      lines: expect.arrayContaining(["Error: No such option '--nope'."]),
    });
  });

  it("the last relevant lines come with the cause", () => {
    const log = readLines([
      start(A),
      result(A, "error", 5, { level: "error", msg: "1 of 1 ERROR creating a" }),
      lateError(A, "Binder Error"),
      stats(),
    ]);
    expect(buildEnded(log, { ...ok, exitCode: 1 }).cause.lines).toEqual(["1 of 1 ERROR creating a", "Binder Error"]);
  });

  it("B12: no sentence claims that a failed node's table is unchanged", () => {
    const { sentence, nextStep } = buildEnded(readLines([start(A), result(A, "error"), stats()]), {
      ...ok,
      exitCode: 1,
    }).cause;
    expect(`${sentence} ${nextStep}`).not.toMatch(/unchanged|untouched|as it was/);
  });
});
