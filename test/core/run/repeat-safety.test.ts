import { describe, expect, it, test } from "vitest";
import { readManifest } from "#core/dbt/manifest.ts";
import { repeatSafety } from "#core/run/planning/repeat-safety.ts";
import {
  dataTest,
  decide,
  finalsOf,
  killed,
  launchesOf,
  over,
  planOf,
  row,
  verdictAfter,
  vertex,
} from "../../support/run-builders.ts";

const APPEND = { materialized: "incremental", incremental_strategy: "append" };
const afterCommit = { sql: "select 1", transaction: false };

function safety(config: object, adapterType: string | null = "postgres", fullRefresh = false, type = "model") {
  const id = `${type}.shop.m`;
  const node = { unique_id: id, resource_type: type, name: "m", config: { enabled: true, ...config } };
  const manifest = readManifest(JSON.stringify({ nodes: { [id]: node } }));
  return repeatSafety(manifest.nodes.get(id)!, { adapterType, fullRefresh });
}

describe("what a failed build has left", () => {
  test.each([
    [{ materialized: "table", "post-hook": [afterCommit] }, "snowflake", "repeat"],
    [{ materialized: "view", grants: { select: ["x"] } }, "bigquery", "repeat"],
    [{ materialized: "materialized_view" }, "postgres", "repeat"],
    [{ materialized: "incremental", unique_key: "id", "post-hook": [afterCommit] }, "postgres", "repeat"],
    [{ materialized: "incremental", unique_key: "id", incremental_strategy: "delete+insert" }, "redshift", "repeat"],
    [{ materialized: "incremental", unique_key: ["a", "b"], incremental_strategy: "merge" }, "databricks", "repeat"],
    [{ materialized: "incremental", incremental_strategy: "insert_overwrite" }, "bigquery", "repeat"],
    [{ materialized: "incremental", incremental_strategy: "microbatch" }, "postgres", "repeat"],
    [{ materialized: "incremental", incremental_strategy: "microbatch" }, "an_adapter_of_ours", "unknown"],
    [APPEND, "postgres", "rolled_back"],
    [
      { ...APPEND, "post-hook": [{ sql: "grant x", transaction: true }], grants: { select: ["x"] } },
      "postgres",
      "rolled_back",
    ],
    [{ ...APPEND, "post-hook": [afterCommit] }, "postgres", "unknown"],
    [{ ...APPEND, "post-hook": [{ sql: "{{ after_commit('vacuum') }}", transaction: true }] }, "postgres", "unknown"],
    [{ ...APPEND, "post-hook": ["commit; vacuum {{ this }}"] }, "duckdb", "unknown"],
    [{ ...APPEND, "post-hook": [17] }, "postgres", "unknown"],
    [APPEND, "snowflake", "rolled_back"],
    [{ ...APPEND, grants: { select: ["x"] } }, "snowflake", "unknown"],
    [{ ...APPEND, persist_docs: { relation: true } }, "bigquery", "unknown"],
    [{ ...APPEND, persist_docs: { relation: false } }, "bigquery", "rolled_back"],
    [{ ...APPEND, "post-hook": [{ sql: "grant x", transaction: true }] }, "snowflake", "unknown"],
    [APPEND, "athena", "unknown"],
    [APPEND, null, "unknown"],
    [{ materialized: "incremental", incremental_strategy: "merge" }, "postgres", "rolled_back"],
    [{ materialized: "incremental", unique_key: "id" }, "databricks", "repeat"],
    [{ materialized: "incremental", unique_key: "id" }, "trino", "unknown"],
    [{ materialized: "incremental", unique_key: "id" }, "spark", "unknown"],
    [{ materialized: "own_materialization" }, "postgres", "unknown"],
  ])("G28: %j on %s: %s", (config, adapterType, expected) => {
    expect(safety(config, adapterType).afterFailure).toBe(expected);
  });

  test("G28: a full refresh replaces the table, unless the model's own configuration says that it never is one", () => {
    expect(safety({ ...APPEND, "post-hook": [afterCommit] }, "athena", true)).toMatchObject({
      safeToRepeat: true,
      afterFailure: "repeat",
    });
    expect(safety({ ...APPEND, full_refresh: false }, "athena", true).afterFailure).toBe("unknown");
    expect(safety({ ...APPEND, full_refresh: true }, "athena", false).afterFailure).toBe("repeat");
  });

  test("G28: meta.stepwatch.safeToRepeat wins, on the node or in its configuration, both ways", () => {
    const meta = (safeToRepeat: boolean) => ({ meta: { stepwatch: { safeToRepeat, retries: 2 } } });
    expect(safety({ ...APPEND, "post-hook": [afterCommit], ...meta(true) }, "athena")).toEqual({
      safeToRepeat: true,
      afterFailure: "repeat",
      orphan: "harmless",
    });
    expect(safety({ materialized: "table", ...meta(false) })).toMatchObject({
      safeToRepeat: false,
      afterFailure: "unknown",
    });
  });

  test.each(["seed", "snapshot", "test", "unit_test"])("G28: a %s is built again after a failure", (type) => {
    expect(safety({ full_refresh: false, hard_deletes: "new_record" }, "athena", false, type).afterFailure).toBe(
      "repeat",
    );
  });
});

describe("a failed vertex that may have written", () => {
  const app = vertex("app", [], { materialized: "incremental", safeToRepeat: false, afterFailure: "unknown" });
  const failed = (message: string) => row("app", "error", { message });
  const hook = "Database Error in model app (models/app.sql)\n  division by zero";

  it("G28: is not tried again, is red, and says that it may have written", () => {
    const situation = { plan: planOf([app, vertex("child", ["app"])]), rows: [failed(hook), row("child", "skipped")] };
    for (const retryOn of ["transient", "all"]) {
      const decision = decide({ ...situation, policy: { retryOn } });
      expect(launchesOf(decision)).toEqual([]);
      expect(finalsOf(decision)).toEqual({ app: "dead", child: "doomed by app" });
      expect(decision.finals[0]!.finalReason).toContain("may have written: not tried again");
      expect(verdictAfter(situation, decision).state).toBe("red");
    }
  });

  it.each([
    'Database Error\n  connection to server at "10.0.0.5", port 5432 failed: Connection refused',
    "Database Error\n  could not translate host name",
  ])("G28: is tried again where the message proves that nothing was written: %s", (message) => {
    expect(launchesOf(decide({ plan: planOf([app]), rows: [failed(message)] }))).toEqual([
      { kind: "fallback", set: ["app"] },
    ]);
  });

  it("G28: what the warehouse rolled back is tried again, unless its connection was lost while it may have committed", () => {
    const whole = planOf([{ ...app, afterFailure: "rolled_back" as const }]);
    expect(decide({ plan: whole, rows: [failed(hook)] }).launches).toHaveLength(1);
    expect(decide({ plan: whole, rows: [failed("server closed the connection unexpectedly")] }).launches).toEqual([]);
    const timeout = failed("canceling statement due to statement timeout");
    const all = { retryOn: "all" };
    expect(decide({ plan: whole, rows: [timeout], policy: all }).launches).toMatchObject([{ uniqueIds: ["app"] }]);
  });

  it.each([
    "('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
    "('communication error', OSError(9, 'Bad file descriptor'))",
    "503 POST https://bigquery.googleapis.com/bigquery/v2/projects/p/jobs: Visibility check was unavailable",
    "500 POST https://bigquery.googleapis.com/bigquery/v2/projects/p/jobs: Internal error encountered.",
    "503 Service is currently unavailable",
    "error with status PGRES_TUPLES_OK and no message from the libpq",
    'lost synchronization with server: got message type "T", length 0',
  ])("G28: a driver that lost its answer says nothing of the commit: %s", (message) => {
    const whole = planOf([{ ...app, afterFailure: "rolled_back" as const }]);
    expect(launchesOf(decide({ plan: whole, rows: [failed(message)] }))).toEqual([]);
  });

  it("G28, C12: onTestFailure: node does not build a good node again whose rows would double; its test is tried alone", () => {
    const tested = planOf([app, dataTest("test.app", ["app"])]);
    const rows = [row("app", "success"), row("test.app", "error")];
    expect(launchesOf(decide({ plan: tested, rows, policy: { onTestFailure: "node" } }))).toEqual([
      { kind: "fallback", set: ["test.app"] },
    ]);
  });
});

describe("a query that a killed build left running", () => {
  const MERGE = { materialized: "incremental", incremental_strategy: "merge", unique_key: "id" };

  test.each([
    ["snapshot", {}, "bigquery", "unknowable"],
    ["snapshot", {}, "postgres", "must_be_gone"],
    ["snapshot", {}, "duckdb", "harmless"],
    ["model", MERGE, "databricks", "unknowable"],
    ["model", MERGE, "redshift", "unknowable"],
    ["model", MERGE, "postgres", "harmless"],
    ["model", MERGE, "snowflake", "harmless"],
    ["model", { ...MERGE, incremental_strategy: "microbatch" }, "bigquery", "harmless"],
    ["model", { ...MERGE, full_refresh: true }, "databricks", "harmless"],
    ["model", { materialized: "table" }, "bigquery", "harmless"],
    ["seed", {}, "bigquery", "harmless"],
  ])("G31: of a %s with %j on %s is %s", (type, config, adapterType, expected) => {
    expect(safety(config, adapterType, false, type).orphan).toBe(expected);
  });

  it("G31: where nobody can tell whether it is gone, the vertex is not repeated: outcome unknown", () => {
    const situation = {
      plan: planOf([vertex("snapshot.h", [], { materialized: "snapshot", orphan: "unknowable" })]),
      rows: [row("snapshot.h", "started")],
      tasks: [killed(1)],
    };
    const decision = decide(situation);
    expect(decision.launches).toEqual([]);
    expect(decision.finals[0]!.finalReason).toContain("Outcome unknown");
    expect(verdictAfter(situation, decision).state).toBe("red");
  });

  it("G31: a snapshot that failed in a build that came to its end is tried again", () => {
    const plan = planOf([vertex("snapshot.h", [], { materialized: "snapshot", orphan: "unknowable" })]);
    expect(decide({ plan, rows: [row("snapshot.h", "error")], tasks: [over(1)] }).launches).toHaveLength(1);
  });
});
