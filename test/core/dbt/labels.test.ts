import { describe, expect, it } from "vitest";
import { dbtGraph } from "#core/dbt/dbt-graph.ts";
import { readManifest } from "#core/dbt/manifest.ts";
import { gatesFixture } from "../../support/gates-project.ts";
import { planOfGraph } from "../../support/planned-vertices.ts";
import { readRecording } from "../../support/read-recording.ts";
import { recordedCase } from "../../support/recorded-cases.ts";

const M = "model.harbour";
const ALL_1 = ["1.8.10", "1.9.10", "1.10.23", "1.11.16", "1.12.6"];
const MICRO_1 = ALL_1.slice(1);
const RC = ["2.0.0rc196"];
const BETA = ["2.0.0-beta.2"];
const TWO = [...RC, ...BETA];
const ALL = [...ALL_1, ...TWO];
const TO_RC = [...ALL_1, ...RC];
const painted = "test.harbour.name_is_painted_fct_visits_vessel_name.0be54c8f6f";
const known = "test.harbour.vessel_is_known_stg_calls_vessel_id.f6abf7e9bf";

type Label = readonly [name: string, id: string, expected: string, versions: readonly string[]];

/** Labels by hand, from the recordings and dbt's own documentation: `class/status`, with a `+` where a try happened. */
const LABELS: readonly Label[] = [
  ["model_error", `${M}.facet_left`, "failed/error +", ALL],
  ["model_error", `${M}.facet_right`, "good/success +", ALL],
  ["model_error", `${M}.facet_bottom`, "not_built/skipped", ALL],
  ["model_error", known, "failed/error +", ALL_1],
  ["model_error", known, "failed/fail +", RC],
  ["model_error", known, "failed/error +", BETA],
  ["deep_skip", `${M}.link_6`, "not_built/skipped", ALL],
  ["test_fail", painted, "failed/fail +", ALL],
  ["test_fail", `${M}.fct_visits`, "good/success +", ALL],
  ["test_fail", `${M}.clearance`, "not_built/skipped", ALL],
  ["unit_fail", "unit_test.harbour.dues.dues_are_three_times_draught_v2", "failed/fail +", ALL_1],
  ["unit_fail", "unit_test.harbour.dues.dues_are_three_times_draught.v2", "failed/fail +", RC],
  ["unit_fail", `${M}.dues.v2`, "not_built/skipped", TO_RC],
  ["unit_fail", `${M}.dues.v1`, "good/success +", TO_RC],
  ["warn_test", "test.harbour.fee_is_on_the_board_tariff_fee.8552ad65ab", "good/warn +", ALL],
  ["warn_error", "test.harbour.fee_is_on_the_board_tariff_fee.8552ad65ab", "failed/fail +", ALL_1],
  ["eph_sql_error", `${M}.fct_visits`, "failed/error +", ALL],
  ["eph_compile_error", `${M}.eph_visits`, "failed/error +", TO_RC],
  ["eph_compile_error", `${M}.fct_visits`, "not_built/skipped", ["1.8.10", ...RC]],
  ["eph_compile_error", `${M}.fct_visits`, "not_built/not reported", ["1.9.10", "1.10.23", "1.11.16", "1.12.6"]],
  ["all_pass", `${M}.eph_visits`, "good/no-op +", TWO],
  ["micro_ok", `${M}.tide_days`, "good/success +", [...MICRO_1, ...TWO]],
  ["micro_partial", `${M}.tide_days`, "failed/partial success +", MICRO_1],
  ["micro_partial", `${M}.tide_days`, "failed/error +", TWO],
  ["micro_partial", `${M}.tide_peak`, "not_built/skipped", [...MICRO_1, ...TWO]],
  ["micro_all_failed", `${M}.tide_days`, "failed/error +", [...MICRO_1, ...TWO]],
  ["exposure_only", "exposure.harbour.harbour_board", "good/no-op +", ["1.10.23", "1.11.16", "1.12.6"]],
  ["unit_fail", "exposure.harbour.harbour_board", "not_built/skipped", ["1.10.23", "1.11.16", "1.12.6"]],
  ["fail_fast", `${M}.facet_top`, "failed/error +", ALL],
  ["fail_fast", `${M}.link_1`, "good/success +", ALL.filter((one) => one !== "1.9.10")],
  ["fail_fast", `${M}.link_1`, "not_built/not reported", ["1.9.10"]],
  ["fail_fast", `${M}.facet_bottom`, "not_built/not reported", ["1.9.10", "1.10.23", "1.12.6"]],
  ["fail_fast_test", painted, "failed/fail +", TO_RC],
  ["fail_fast_test", "seed.harbour.calls", "good/success +", TO_RC],
  ["on_error_continue", `${M}.facet_left`, "not_built/skipped", ["1.8.10", "1.9.10", "1.10.23", "1.11.16", ...RC]],
  ["on_error_continue", `${M}.facet_left`, "failed/error +", ["1.12.6", ...BETA]],
  ["jinja_crash", `${M}.facet_left`, "failed/error +", TO_RC],
  ["compile_error", `${M}.stg_calls`, "failed/error +", ALL],
  ["comment_model", `${M}.remark`, "failed/error +", ALL],
  ["sigkill", `${M}.link_2`, "interrupted/started +", ALL],
  ["sigterm", `${M}.facet_left`, "interrupted/started +", TO_RC],
  ["sigint", `${M}.facet_left`, "failed/error +", ALL_1],
  ["sigint", `${M}.facet_left`, "interrupted/cancelled +", TWO],
  ["sigint", `${M}.link_2`, "interrupted/cancelled +", TWO],
  ["sigint", known, "failed/error +", BETA],
  ["sigint_2", `${M}.link_2`, "interrupted/cancelled +", BETA],
  ["sigint_2", `${M}.link_1`, "good/success +", BETA],
  ["fail_fast", `${M}.link_2`, "interrupted/cancelled +", BETA],
  ["fail_fast", known, "failed/error +", BETA],
  ["fail_fast_continue", `${M}.facet_top`, "failed/error +", BETA],
  ["fail_fast_running", `${M}.facet_right`, "failed/error +", BETA],
  ["fail_fast_running", `${M}.facet_left`, "interrupted/cancelled +", [...RC, ...BETA]],
  ["fail_fast_running", `${M}.link_2`, "interrupted/cancelled +", BETA],
  ["fail_fast_whole", `${M}.stg_berths`, "failed/error +", BETA],
  ["fail_fast_whole", `${M}.tide_days`, "interrupted/cancelled +", BETA],
  ["fail_fast_whole", painted, "interrupted/cancelled +", BETA],
  ["fail_fast_whole", "test.harbour.not_null_dues_v1_vessel_id.505f04d548", "good/pass +", BETA],
  ["fail_fast_whole", `${M}.link_1`, "not_built/skipped", BETA],
  ["fail_fast_whole", `${M}.dues.v1`, "good/success +", BETA],
  ["test_sql_error", known, "failed/error +", BETA],
  ["missing_env", `${M}.env`, "failed/error +", BETA],
  ["missing_macro", `${M}.lost`, "failed/error +", BETA],
  ["post_hook_fail", `${M}.hooked`, "failed/error +", BETA],
  ["warn_model", `${M}.grumble`, "good/success +", BETA],
  ["end_hook_fail", `${M}.tariff`, "good/success +", BETA],
  ["sigint", `${M}.facet_top`, "good/success +", ALL],
  ["function_overloads", "function.ov.double_int", "good/success +", ["1.12.6"]],
  ["function_overload_fails", "function.ov.double_int", "failed/partial success +", ["1.12.6"]],
  ["function_overload_fails", "model.ov.uses", "not_built/skipped", ["1.12.6"]],
  ["server_stops", "model.pgp.s1", "failed/error +", ["1.11.16"]],
  ["server_stops", "model.pgp.z", "not_built/skipped", ["1.11.16"]],
  ["server_stops", "model.pgp.a", "good/success +", ["1.11.16"]],
  ["seed_fail", "seed.harbour.berths", "failed/error +", ALL],
  ["snapshot_fail", "snapshot.harbour.berth_history", "failed/error +", TO_RC],
  ["flaky_first", `${M}.after_flaky`, "not_built/skipped", ALL],
  ["odd_names", `${M}.with.dot`, "good/success +", ALL_1],
  ["odd_names", `${M}.brücke`, "good/success +", ALL_1],
  ["two_packages", "model.annex.tariff", "good/success +", ALL_1],
  ["start_hook_fail", "seed.harbour.berths", "good/success +", ["1.8.10", "1.9.10", "1.10.23", "1.11.16"]],
  ["start_hook_fail", "seed.harbour.berths", "not_built/not reported", TWO],
  ["no_database", `${M}.clearance`, "not_built/not reported", TWO],
];

describe("A12: labels by hand", () => {
  const rows = LABELS.flatMap(([name, id, expected, releases]) =>
    releases.map((release) => [release, name, id, expected] as const),
  );

  it.each(rows)("%s %s: %s is %s", (release, name, id, expected) => {
    const { outcomes } = readRecording(recordedCase(release, name), { withFile: true });
    const found = outcomes.find((one) => one.uniqueId === id);
    expect(found === undefined ? "absent" : `${found.class}/${found.status}${found.evidence ? " +" : ""}`).toBe(
      expected,
    );
  });

  it.each([
    ["model_error", `${M}.facet_left`, "planned_failure_in_facet_left"],
    ["compile_error", `${M}.stg_calls`, "planned compile failure"],
    ["seed_fail", "seed.harbour.berths", "not a day"],
    ["micro_partial", `${M}.tide_days`, "planned batch failure"],
  ])("A9: in every version %s carries dbt's message for %s", (name, id, text) => {
    for (const release of name.startsWith("micro") ? [...MICRO_1, ...TWO] : ALL) {
      const { outcomes } = readRecording(recordedCase(release, name), { withFile: true });
      expect(outcomes.find((one) => one.uniqueId === id)?.message, release).toContain(text);
    }
  });

  it("A2: a failed model of dbt 1 points to its compiled SQL, where the version prints it", () => {
    for (const release of ["1.11.16", "1.12.6"]) {
      const { outcomes } = readRecording(recordedCase(release, "model_error"));
      const failed = outcomes.find((one) => one.uniqueId === `${M}.facet_left`);
      expect(failed?.compiledPath, release).toBe("target/compiled/harbour/models/diamond/facet_left.sql");
    }
  });
});

describe("A11: at the default level, without NodeFinished", () => {
  const graph = dbtGraph(readManifest(gatesFixture("manifest-harbour.json")));
  const plan = planOfGraph(graph, [...graph.gates.keys()]);

  it.each(["1.11.16", "1.12.6", "1.10.23"])(
    "%s: with the plan, every vertex of the whole project has its status",
    (release) => {
      const recorded = recordedCase(release, "all_pass", "info");
      expect(recorded.lines().some((text) => text.includes('"NodeFinished"'))).toBe(false);
      const { outcomes } = readRecording(recorded, { plan });
      expect(outcomes.length).toBe(plan.vertices.length);
      expect(outcomes.filter((one) => one.class !== "good")).toEqual([]);
    },
  );

  it("B10: 1.12's crash at the hook leaves every planned vertex unbuilt, reported or not", () => {
    const { outcomes } = readRecording(recordedCase("1.12.6", "start_hook_fail"), { plan });
    expect(new Set(outcomes.map((one) => one.class))).toEqual(new Set(["not_built"]));
    expect(outcomes.length).toBe(plan.vertices.length);
  });

  it("D3: a build that never got to its first vertex leaves all of them unbuilt", () => {
    for (const release of ALL) {
      for (const name of ["bad_jinja", "no_profile", "no_database", "bad_flag"]) {
        const { outcomes } = readRecording(recordedCase(release, name), { plan, withFile: true });
        expect(new Set(outcomes.map((one) => one.class)), `${release} ${name}`).toEqual(new Set(["not_built"]));
      }
    }
  });
});
