import { describe, expect, it } from "vitest";
import { oracle } from "../../support/dbt-oracle.ts";
import { readRecording } from "../../support/read-recording.ts";
import { type RecordedCase, recordedCases, versions } from "../../support/recorded-cases.ts";

const all = recordedCases();
const byVersion = versions().map((version) => [version, all.filter((one) => one.version === version)] as const);

const classes = (recorded: RecordedCase, withFile: boolean) => {
  const { outcomes, log } = readRecording(recorded, { withFile });
  return outcomes.filter((outcome) => log.vertices.has(outcome.uniqueId) && outcome.status !== "not reported");
};

describe.each(byVersion)("A12: recorded truth of dbt %s", (_version, cases) => {
  it.each(cases.map((one) => [`${one.name} at ${one.level}`, one] as const))("%s", (_title, recorded) => {
    const expected = oracle(recorded.lines().filter((line) => line !== ""));
    const actual = new Map(classes(recorded, false).map((outcome) => [outcome.uniqueId, outcome.class]));
    expect(actual).toEqual(expected);
    const joined = new Map(classes(recorded, true).map((outcome) => [outcome.uniqueId, outcome.class]));
    expect(joined).toEqual(expected);
  });
});

describe("A19: run_results.json contradicts the log", () => {
  it.each(byVersion)("dbt %s: every difference has a known reason", (_version, cases) => {
    const unknown = cases.flatMap((recorded) =>
      readRecording(recorded, { withFile: true })
        .reconciliation.contradictions.filter((one) => one.knownReason === null)
        .map((one) => ({ case: recorded.name, level: recorded.level, ...one })),
    );
    expect(unknown).toEqual([]);
  });

  it("the file is joined wherever it is of the same invocation, and ends nothing that a normal build left open", () => {
    for (const recorded of all.filter((one) => one.level === "info" && one.runResults() !== null)) {
      const { reconciliation } = readRecording(recorded, { withFile: true });
      expect(reconciliation.used, `${recorded.version} ${recorded.name}`).toBe(true);
      expect(reconciliation.filled, `${recorded.version} ${recorded.name}`).toEqual([]);
    }
  });
});

/** Why each case ended, by hand; the rest are failed nodes. `null`: differs by version, told below. */
const CAUSES: Record<string, string | null> = {
  all_pass: "none",
  micro_ok: "none",
  warn_test: "none",
  selector: "none",
  incremental_again: "none",
  full_refresh: "none",
  snapshot_build: "none",
  snapshot_cmd: "none",
  select_bare: "none",
  select_exact: "none",
  select_version: "none",
  flaky_second: "none",
  freshness_ok: "none",
  odd_names: null,
  two_packages: "none",
  micro_retry: null,
  space_name: null,
  seed_cmd: "none",
  fail_fast_many: null,
  fail_fast_running: null,
  retry_fail_fast: null,
  store_failures: "test",
  test_kinds: "test",
  unit_error: "test",
  test_cmd: "test",
  unit_only: "test",
  fail_fast_unit: "test",
  source_test_fail: "test",
  end_hook_fail: "hook",
  start_hook_second: "hook",
  start_hook_part: "hook",
  database_garbage: "connection",
  empty_as_error: "empty_selection",
  sigint_threads: "killed",
  sigkill_threads: "killed",
  test_fail: "test",
  singular_fail: "test",
  unit_fail: "test",
  fail_fast_test: "test",
  retry_cmd: "test",
  warn_error: null,
  exposure_only: null,
  empty_selection: "empty_selection",
  hollow_only: "empty_selection",
  start_hook_fail: "hook",
  bad_jinja: "parse",
  bad_yaml: "parse",
  missing_ref: "parse",
  no_database: "connection",
  locked_database: "connection",
  no_profile: "profile",
  bad_flag: "flags",
  server_stops: "connection",
  function_overloads: "none",
  sigkill: "killed",
  sigterm: "killed",
  sigint: "killed",
  sigint_2: "killed",
  bad_value: "flags",
  bare_ids: "none",
  duplicate_model: "parse",
  fail_fast_continue: "node",
  test_command: "none",
  test_sql_error: "test",
  unused_config: "parse",
  warn_model: "none",
};

describe("A12: the cause of each recorded build's end", () => {
  it.each(byVersion)("dbt %s", (_version, cases) => {
    for (const recorded of cases) {
      const expected = recorded.name in CAUSES ? CAUSES[recorded.name] : "node";
      const { end, outcomes } = readRecording(recorded, { withFile: true });
      const nothingBegan = !outcomes.some((one) => one.evidence);
      if (expected !== null) expect(`${recorded.name}: ${end.cause.kind}`).toBe(`${recorded.name}: ${expected}`);
      expect(end.retryableLaunch, recorded.name).toBe(end.cause.kind === "connection" && nothingBegan);
      if (end.cause.kind !== "none") expect(end.cause.nextStep.length).toBeGreaterThan(10);
    }
  });

  it.each(byVersion)("dbt %s: no recorded build is called in order that was cut short", (_version, cases) => {
    for (const recorded of cases) {
      const { end } = readRecording(recorded);
      const cutShort =
        recorded.end.signal !== null ||
        recorded.end.exitCode === 2 ||
        /^(bad_|no_|missing_ref|locked_|sigint)/.test(recorded.name);
      if (cutShort) expect(end.inOrder, recorded.name).toBe(false);
      if (recorded.end.exitCode === 0) expect(end.inOrder, recorded.name).toBe(true);
    }
  });
});
