import { describe, expect, it } from "vitest";
import { buildEnded } from "#core/dbt/build-end.ts";
import { cutMessage, MAX_MESSAGE_CHARACTERS, withoutNoise } from "#core/dbt/message-text.ts";
import { nameSkips } from "#core/dbt/skipped-without-id.ts";
import { lateError, line, result, start, stats, version } from "../../support/dbt-lines.ts";
import { readLines, readRecording } from "../../support/read-recording.ts";
import { recordedCase } from "../../support/recorded-cases.ts";

const [A, B] = ["model.p.a", "model.p.b"];
const U = "unit_test.p.a.u";
const closed = "Database Error in model a\n  server closed the connection unexpectedly";

const endOf = (lines: string[], exitCode = 1) =>
  buildEnded(readLines([version("1.11.16"), ...lines, stats()]), { exitCode, signal: null, signalledByUs: false });

const failed = (id: string, message: string) => [start(id), result(id, "error"), lateError(id, message)];
const interrupted = line({ name: "EndOfRunSummary", data: { keyboard_interrupt: true } });
const gaveUp = (exc: string) =>
  line({ name: "MainEncounteredError", level: "error", msg: `Encountered an error:\n${exc}`, data: { exc } });

describe("D3: a warehouse that goes away while dbt builds", () => {
  it("is the cause in the recorded stop of a Postgres, which dbt calls a keyboard interrupt", () => {
    const { end } = readRecording(recordedCase("1.11.16", "server_stops"));
    expect(end).toMatchObject({ inOrder: false, retryableLaunch: false, cause: { kind: "connection" } });
    expect(end.cause.sentence).toMatch(/^dbt lost the warehouse while it built 2 nodes: .*Connection refused/);
    expect(end.cause.lines.join("\n")).not.toContain("Encountered an error");
  });

  it("is the cause where all that failed says so, also if dbt came to its end", () => {
    expect(endOf([...failed(A, closed), ...failed(B, "connection refused")])).toMatchObject({
      inOrder: true,
      cause: { kind: "connection", sentence: expect.stringContaining("server closed the connection") },
    });
  });

  it("is not the cause where something else failed, and a keyboard interrupt stays one", () => {
    expect(endOf([...failed(A, closed), ...failed(B, "column x does not exist")]).cause.kind).toBe("node");
    expect(endOf([...failed(A, "canceled"), interrupted, gaveUp("")], 2).cause.kind).toBe("killed");
    expect(endOf([...failed(A, "Access Denied: Table t")]).cause.kind).toBe("node");
  });
});

describe("a cause's sentence and lines", () => {
  it("counts nodes and tests", () => {
    const tests = [start(U), result(U, "fail"), start("test.p.t.1"), result("test.p.t.1", "fail")];
    expect(endOf([...failed(A, "boom"), ...tests]).cause).toMatchObject({
      kind: "node",
      sentence: `1 node and 2 tests failed, ${A} first.`,
    });
    expect(endOf(tests).cause).toMatchObject({ kind: "test", sentence: expect.stringMatching(/^2 tests failed/) });
  });

  it("leaves out what tells nothing", () => {
    const stderr = [
      "/venv/lib/multiprocessing/resource_tracker.py:254: UserWarning: resource_tracker: There appear to be 6 leaked semaphore objects to clean up at shutdown",
      "  warnings.warn('resource_tracker: There appear to be %d '",
      "Fatal Python error",
    ].join("\n");
    const end = buildEnded(readLines([]), { exitCode: 70, signal: null, signalledByUs: false, stderrTail: stderr });
    expect(end.cause.lines).toEqual(["Fatal Python error"]);
    expect(withoutNoise("Encountered an error:\nIO Error: x")).toBe("IO Error: x");
    expect(endOf([gaveUp("IO Error: Could not set lock on file")], 2).cause.sentence).not.toContain("Encountered");
  });

  it("C10: an empty project is no selection with a typo", () => {
    const nothing = [line({ name: "NothingToDo", level: "warn", msg: "Nothing to do." })];
    const end = (selects: boolean) =>
      buildEnded(readLines(nothing), { exitCode: 0, signal: null, signalledByUs: false, selects }).cause;
    expect(end(false)).toMatchObject({ kind: "empty_selection", sentence: "The project has nothing to build." });
    expect(end(false).nextStep).not.toContain("typo");
    expect(end(true)).toMatchObject({ kind: "empty_selection", nextStep: expect.stringContaining("typo") });
  });

  it("of a traceback it is the last line that tells", () => {
    const exc = [
      "Runtime Error",
      "Traceback (most recent call last):",
      ...Array(20).fill('  File "x.py"'),
      "KeyError: 'vat'",
    ];
    expect(endOf([gaveUp(exc.join("\n"))], 2).cause.sentence).toMatch(/Runtime Error KeyError: 'vat'$/);
  });
});

describe("a message that is cut", () => {
  const long = `first line\n${"in between\n".repeat(2_000)}ValueError: the last line`;

  it("keeps its beginning and its end, is within the limit and is not cut twice", () => {
    const once = cutMessage(long);
    expect(once).toMatch(/^first line/);
    expect(once).toMatch(/ValueError: the last line$/);
    expect(once).toMatch(/\d+ more characters in dbt's log/);
    expect(once.length).toBeLessThanOrEqual(MAX_MESSAGE_CHARACTERS);
    expect(cutMessage(once)).toBe(once);
    expect(cutMessage("short")).toBe("short");
  });

  it("is so in a vertex's message of a Python model", () => {
    const log = readLines([version("1.11.16"), ...failed(A, long)]);
    expect(log.vertices.get(A)?.message).toMatch(/ValueError: the last line$/);
  });
});

describe("B4: what dbt 1 skips below an ephemeral that can not be compiled, and names without an id", () => {
  const T = "test.harbour.not_null_e1_a.abc";
  const read = () => readLines(recordedCase("1.11.16", "eph_test_compile").lines());

  it("is the one planned vertex of that name", () => {
    const log = read();
    const changes = nameSkips(log, [
      { uniqueId: T, name: "not_null_e1_a" },
      { uniqueId: A, name: "a" },
    ]);
    expect(changes).toMatchObject([{ uniqueId: T, what: "ended" }]);
    expect(log.vertices.get(T)).toMatchObject({ status: "skipped", class: "not_built", evidence: false });
    expect(nameSkips(log, [{ uniqueId: T, name: "not_null_e1_a" }])).toEqual([]);
  });

  it("is nothing where two could be it, or dbt said something else of it", () => {
    const log = read();
    const two = [T, "test.annex.not_null_e1_a.def"].map((uniqueId) => ({ uniqueId, name: "not_null_e1_a" }));
    expect(nameSkips(log, two)).toEqual([]);
    expect(nameSkips(log, [{ uniqueId: "model.harbour.e1_child", name: "not_null_e1_a" }])).toEqual([]);
  });
});

describe("D3: a disk that is full under dbt", () => {
  it.each([
    "[Errno 28] No space left on device: '/work/target/manifest.json'",
    "OSError: [Errno 122] Disk quota exceeded",
  ])("is the cause, and another launch would meet it again: %s", (exc) => {
    const end = endOf([gaveUp(exc)], 2);
    expect(end).toMatchObject({ inOrder: false, retryableLaunch: false, cause: { kind: "disk_full" } });
    expect(end.cause.nextStep).toContain("ephemeral storage");
  });
});
