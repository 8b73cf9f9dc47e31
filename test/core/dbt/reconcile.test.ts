import { describe, expect, it } from "vitest";
import { markSignalled } from "#core/dbt/build-log.ts";
import { reconcile } from "#core/dbt/reconcile.ts";
import { readRunResults } from "#core/dbt/run-results.ts";
import { INVOCATION, result, START_MS, start } from "../../support/dbt-lines.ts";
import { readLines } from "../../support/read-recording.ts";
import { recordedCase, recordedCases } from "../../support/recorded-cases.ts";

const [A, B] = ["model.p.a", "model.p.b"];

const file = (results: Record<string, unknown>[], invocation = INVOCATION, dbtVersion = "1.11.16") =>
  readRunResults(JSON.stringify({ metadata: { invocation_id: invocation, dbt_version: dbtVersion }, results }));

const joined = (lines: string[], results: Record<string, unknown>[], invocation?: string) => {
  const log = readLines(lines);
  return { log, ...reconcile(log, file(results, invocation), { invocationId: INVOCATION }) };
};

describe("the file run_results.json", () => {
  it("every entry of every recorded file is read", () => {
    for (const recorded of recordedCases().filter((one) => one.level === "info")) {
      const text = recorded.runResults();
      if (text === null) continue;
      const entries = (JSON.parse(text) as { results: unknown[] }).results.length;
      expect(readRunResults(text)?.results.length, `${recorded.version} ${recorded.name}`).toBe(entries);
    }
  });

  it.each(["", "{", "null", "[]", "{}", '{"results": 7}', '{"metadata": {}, "results": [{"unique_id": 1}, null, 7]}'])(
    "%j is no file, or an empty one",
    (text) => {
      expect(readRunResults(text)?.results ?? []).toEqual([]);
    },
  );

  it("G15: batch windows are read", () => {
    const results = readRunResults(recordedCase("1.11.16", "micro_partial").runResults()!)!;
    expect(results.results.find((one) => one.uniqueId === "model.harbour.tide_days")?.batches).toMatchObject({
      failed: [["2024-03-03T00:00:00+00:00", "2024-03-04T00:00:00+00:00"]],
      successful: { length: 3 },
    });
  });
});

describe("A17: whose file it is", () => {
  it("a file of another invocation is ignored", () => {
    const { used, log } = joined([start(A)], [{ unique_id: A, status: "success" }], "another");
    expect(used).toBe(false);
    expect(log.vertices.get(A)?.class).toBeNull();
  });

  it("a file that names no invocation, and a log that names none, are not joined", () => {
    const log = readLines([start(A)]);
    expect(reconcile(log, readRunResults('{"results": []}'), { invocationId: INVOCATION }).used).toBe(false);
    expect(reconcile(log, file([]), { invocationId: null }).used).toBe(false);
  });
});

describe("A19: the log wins", () => {
  it("a printed end beats the file, and the difference is told", () => {
    const { log, contradictions } = joined([start(A), result(A, "error")], [{ unique_id: A, status: "success" }]);
    expect(log.vertices.get(A)?.status).toBe("error");
    expect(contradictions).toEqual([{ uniqueId: A, log: "error", file: "success", knownReason: null }]);
  });

  it("the file ends a vertex that printed a start and no end", () => {
    const { log, filled, changes } = joined(
      [start(A)],
      [{ unique_id: A, status: "error", message: "late", execution_time: 2 }],
    );
    expect(filled).toEqual([A]);
    expect(log.vertices.get(A)).toMatchObject({
      class: "failed",
      status: "error",
      message: "late",
      executionSeconds: 2,
    });
    expect(changes).toMatchObject([{ what: "ended" }]);
  });

  it("one that never started is not in the ledger, whatever the file says", () => {
    const { log, filled } = joined([start(A)], [{ unique_id: B, status: "success" }]);
    expect(filled).toEqual([]);
    expect(log.vertices.has(B!)).toBe(false);
  });

  it("a skip in the file does not end what had started, nor does dbt 2's wholesale compilation error", () => {
    expect(
      joined([start(A)], [{ unique_id: A, status: "skipped", message: "Skipping due to fail_fast" }]).filled,
    ).toEqual([]);
    const log = readLines([start(A)]);
    const wholesale = file([{ unique_id: A, status: "error", message: "Compilation Error" }], INVOCATION, "2.0.0");
    expect(reconcile(log, wholesale, { invocationId: INVOCATION }).filled).toEqual([]);
  });

  it("our signal beats the file", () => {
    const log = readLines([start(A)]);
    markSignalled(log, START_MS + 5);
    reconcile(log, file([{ unique_id: A, status: "success" }]), { invocationId: INVOCATION });
    expect(log.vertices.get(A)?.class).toBe("interrupted");
  });

  it("C11: detail that the log lacks is lifted: message, failures, affected rows, relation", () => {
    const entry = {
      unique_id: "test.p.t.1",
      status: "fail",
      message: "Got 4 results",
      failures: 4,
      relation_name: '"db"."audit"."t"',
      adapter_response: { rows_affected: 4 },
    };
    const { log } = joined(
      [result("test.p.t.1", "fail", 5, { node: { node_relation: { relation_name: "" } } })],
      [entry],
    );
    expect(log.vertices.get("test.p.t.1")).toMatchObject({
      message: "Got 4 results",
      failures: 4,
      rowsAffected: 4,
      relationName: '"db"."audit"."t"',
    });
  });

  it.each([
    ["1.12.6", "fail_fast", "fail-fast"],
    ["1.10.23", "fail_fast_test", "fail-fast"],
    ["1.8.10", "fail_fast_test", "fail-fast"],
    ["2.0.0rc196", "fail_fast", "compilation error"],
    ["2.0.0rc196", "sigint", "compilation error"],
    ["2.0.0rc196", "eph_child_error", "ephemeral"],
  ])("%s %s contradicts the log, for a known reason", (release, name, reason) => {
    const recorded = recordedCase(release, name);
    const log = readLines(recorded.lines());
    const { contradictions } = reconcile(log, readRunResults(recorded.runResults()!), {
      invocationId: log.invocationId,
    });
    expect(contradictions.length).toBeGreaterThan(0);
    for (const one of contradictions) expect(one.knownReason).toContain(reason);
  });
});
