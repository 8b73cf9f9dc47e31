import { join } from "node:path";
import { expect, test } from "vitest";
import type { VertexReport } from "#core/run/reporting/report.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runProject } from "../support/cli.ts";
import { endedConsumers } from "../support/consumers.ts";
import { ownStack } from "../support/own-stack.ts";
import { askDuckdb } from "../support/warehouse.ts";

/** The real dbt 2.0, its DuckDB driver beside it, through the same stack as dbt 1.11. */
const deployed = ownStack();
const WINDOW = ["--event-time-start", "2024-03-01", "--event-time-end", "2024-03-05"];
const M = "model.harbour";
const UNIT_TEST = "unit_test.harbour.dues.dues_are_three_times_draught.v2";

/** Every vertex that is not good, with its root cause where that is another one. */
function notGood(summary: RunSummary): Record<string, string> {
  const all: VertexReport[] = [...summary.nodes, ...summary.tests, ...summary.others];
  const words = ({ uniqueId, class: word, rootCause }: VertexReport) =>
    rootCause === null || rootCause === uniqueId ? word : `${word} by ${rootCause}`;
  return Object.fromEntries(all.filter((one) => one.class !== "good").map((one) => [one.uniqueId, words(one)]));
}

const each = (ids: readonly string[], word: string) => Object.fromEntries(ids.map((id) => [id, word]));
const links = (from: number) => [1, 2, 3, 4, 5, 6].filter((n) => n >= from).map((n) => `${M}.link_${n}`);
const LINK_TESTS = [
  "test.harbour.not_null_link_2_berth_id.71d602c79f",
  "test.harbour.not_null_link_3_berth_id.7595bbb2f7",
  "test.harbour.unique_link_3_berth_id.593f0e657e",
];

test("C5 H6: dbt 2.0: with nothing broken every vertex is good, and each node that dbt reached has a green consumer", async () => {
  const { code, summary, stderr } = await runProject(deployed, "calm2", WINDOW);
  expect(code, stderr).toBe(0);
  expect(notGood(summary)).toEqual({});
  expect(summary.tasks).toMatchObject([
    { kind: "producer", exitCode: 0, dbtVersion: expect.stringMatching(/^2\.0\.0/) },
  ]);
  expect(summary.drift.contradictions.filter(({ knownReason }) => knownReason === null)).toEqual([]);
  const reached = summary.nodes.filter((node) => node.status === "success").map((node) => node.uniqueId);
  const states = await endedConsumers(deployed, summary);
  expect([...states.keys()].sort()).toEqual(reached.sort());
  expect(reached.length).toBeGreaterThan(20);
  expect(new Set(states.values())).toEqual(new Set(["SUCCEEDED"]));
});

test("B1 B4 B5 B9 A5 G15: dbt 2.0: a broken chain, ephemeral, unit test and batch, and a warning", async () => {
  const { code, summary } = await runProject(deployed, "nodes2", WINDOW);
  expect(code).toBe(1);
  expect(summary.state).toBe("red");
  const visitsTests = ["name_is_painted_fct_visits_vessel_name.0be54c8f6f", "not_null_fct_visits_call_id.2868dfe744"];
  const below = [
    "unique_fct_visits_call_id.6f8349181d",
    "no_vessel_aground",
    "not_null_clearance_clearance_cm.b323343c64",
  ];
  expect(notGood(summary)).toEqual({
    ...each([`${M}.link_1`, `${M}.fct_visits`, `${M}.tide_days`, UNIT_TEST], "failed"),
    ...each([...links(2), ...LINK_TESTS], `doomed by ${M}.link_1`),
    ...each(
      [...[...visitsTests, ...below].map((name) => `test.harbour.${name}`), `${M}.clearance`],
      `doomed by ${M}.fct_visits`,
    ),
    ...each(
      [`${M}.dues.v2`, `${M}.dues_report`, "test.harbour.not_null_dues_v2_vessel_id.97ca4bfbd9"],
      `doomed by ${UNIT_TEST}`,
    ),
    ...each([`${M}.tide_peak`, "test.harbour.not_null_tide_days_read_at.c4393d224e"], `doomed by ${M}.tide_days`),
    "exposure.harbour.harbour_board": expect.stringMatching(/^doomed by /),
  });
  expect(summary.warnings.join("\n")).toContain("test.harbour.fee_is_on_the_board_tariff_fee.8552ad65ab");
  expect(summary.nodes.find((node) => node.uniqueId === `${M}.link_1`)!.message).toContain("planned_failure_in_link_1");
});

test("G6 G1: dbt 2.0: a model that fails once is built by its fallback, its descendants by one recovery build, once each", async () => {
  const { code, summary, stderr } = await runProject(deployed, "flaky2", WINDOW);
  expect(code, stderr).toBe(0);
  expect(notGood(summary)).toEqual({});
  expect(summary.tasks.map((task) => [task.kind, task.vertices])).toEqual([
    ["producer", null],
    ["fallback", 1],
    ["recovery", links(2).length + LINK_TESTS.length],
  ]);
  const retried = summary.nodes.filter((node) => node.tries > 1).map((node) => [node.uniqueId, node.tries]);
  expect(retried).toEqual([[`${M}.link_1`, 2]]);
});

test("B8: dbt 2.0: fail-fast: what is good has its table, whatever dbt prints of what it cancelled", async () => {
  const options = [...WINDOW, "--fail-fast", "--threads", "8"];
  const { code, summary } = await runProject(deployed, "hurried2", options);
  expect(code).toBe(1);
  const link = summary.nodes.find((node) => node.uniqueId === `${M}.link_1`);
  expect(link).toMatchObject({ class: "failed", outcome: "red" });
  const file = join(deployed.folder, "hurried2.duckdb");
  const built = (await askDuckdb(file, "select table_name from information_schema.tables")).flat();
  const good = summary.nodes.filter((node) => node.class === "good" && node.status === "success");
  expect(good.filter(({ uniqueId }) => !built.includes(uniqueId.split(".").slice(2).join("_")))).toEqual([]);
  expect(good.length).toBeGreaterThan(0);
});
