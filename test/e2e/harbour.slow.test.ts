import { describe, expect, test } from "vitest";
import type { VertexReport } from "#core/run/reporting/report.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runCli, runProject } from "../support/cli.ts";
import { endedConsumers, eventClients } from "../support/consumers.ts";
import { receiveEvents } from "../support/events.ts";
import { ownStack } from "../support/own-stack.ts";

const deployed = ownStack();
const WINDOW = ["--event-time-start", "2024-03-01", "--event-time-end", "2024-03-05"];
const M = "model.harbour";
const UNIT_TEST = "unit_test.harbour.dues.dues_are_three_times_draught_v2";
const PAINTED = "test.harbour.name_is_painted_fct_visits_vessel_name.0be54c8f6f";

type Expected = Readonly<Record<string, { class: string; status?: string; rootCause?: string; tries?: number }>>;

const vertices = (summary: RunSummary): VertexReport[] => [...summary.nodes, ...summary.tests, ...summary.others];
const nodeOf = (summary: RunSummary, id: string) => summary.nodes.find((node) => node.uniqueId === id)!;

/** These vertices as told, and every other one good: the expectations are the whole truth of a run. */
function expectVertices(summary: RunSummary, expected: Expected): void {
  const notGood = vertices(summary).filter((one) => one.class !== "good" && !(one.uniqueId in expected));
  expect(notGood.map((one) => `${one.uniqueId} ${one.class}: ${one.message ?? one.reason}`)).toEqual([]);
  const byId = new Map(vertices(summary).map((one) => [one.uniqueId, one]));
  for (const [id, wanted] of Object.entries(expected)) expect(byId.get(id), id).toMatchObject(wanted);
}

/** Each node that dbt reached has one consumer, which ended as the node did; ephemeral and hollow models have none. */
async function expectConsumers(summary: RunSummary): Promise<void> {
  const states = await endedConsumers(deployed, summary);
  const reached = summary.nodes.filter((node) => node.tries > 0);
  expect([...states.keys()].sort()).toEqual(reached.map((node) => node.uniqueId).sort());
  for (const node of reached) {
    const isGood = node.class === "good" && node.tests.every((one) => !["failed", "interrupted"].includes(one.class));
    expect(`${node.uniqueId} ${states.get(node.uniqueId)}`).toBe(`${node.uniqueId} ${isGood ? "SUCCEEDED" : "FAILED"}`);
  }
}

const doomedBy = (rootCause: string, ...ids: string[]): Expected =>
  Object.fromEntries(ids.map((id) => [id, { class: "doomed", rootCause, tries: 0 }]));
const failed = (status: string, ...ids: string[]): Expected =>
  Object.fromEntries(ids.map((id) => [id, { class: "failed", status }]));

const link = (n: number) => `${M}.link_${n}`;
const LINK_TESTS = [
  "test.harbour.not_null_link_2_berth_id.71d602c79f",
  "test.harbour.not_null_link_3_berth_id.7595bbb2f7",
  "test.harbour.unique_link_3_berth_id.593f0e657e",
];
const VISITS_TESTS = [
  PAINTED,
  "test.harbour.not_null_fct_visits_call_id.2868dfe744",
  "test.harbour.unique_fct_visits_call_id.6f8349181d",
];
const CLEARANCE = [
  `${M}.clearance`,
  "test.harbour.no_vessel_aground",
  "test.harbour.not_null_clearance_clearance_cm.b323343c64",
];
const TIDE_BELOW = [`${M}.tide_peak`, "test.harbour.not_null_tide_days_read_at.c4393d224e"];
const FACETS_BELOW = ["facet_left", "facet_right", "facet_bottom"].map((name) => `${M}.${name}`);

describe("dbt 1.11 and the case project", () => {
  test("C5 G14: nothing broken: versions, one name in two packages, four batches, an exposure, what builds nothing", async () => {
    const { code, summary, stderr } = await runProject(deployed, "calm", WINDOW);
    expect(code, stderr).toBe(0);
    expectVertices(summary, {
      [`${M}.dues.v1`]: { class: "good", status: "success", tries: 1 },
      [`${M}.dues.v2`]: { class: "good", status: "success", tries: 1 },
      [`${M}.tariff`]: { class: "good", status: "success", tries: 1 },
      "model.annex.tariff": { class: "good", status: "success", tries: 1 },
      [`${M}.eph_visits`]: { class: "good", status: "nothing to build", tries: 0 },
      [`${M}.hollow`]: { class: "good", status: "nothing to build", tries: 0 },
      "exposure.harbour.harbour_board": { class: "good", status: "no-op" },
      [UNIT_TEST]: { class: "good", status: "pass" },
    });
    expect(nodeOf(summary, `${M}.tide_days`).batches.map((batch) => batch.status)).toEqual(Array(4).fill("success"));
    expect(summary.nodes.map((node) => node.uniqueId)).not.toContain(`${M}.shelved`);
    expect(summary.tasks.map((task) => task.kind)).toEqual(["producer"]);
    await expectConsumers(summary);
    const { stdout } = await runCli(deployed, ["status", summary.runId, "--config", deployed.configPath]);
    expect(stdout).toMatch(/eph_visits .*nothing to do/);
    expect(stdout).toMatch(/1 exposure\b/);
  });

  test("B1 B4 B5 A5 G15: a deep chain, an ephemeral of bad SQL, a unit test, a warning, one batch of four", async () => {
    const received = await receiveEvents(await eventClients(deployed), "nodes-warn", {
      "detail-type": ["Warning"],
      detail: { project: ["nodes"] },
    });
    const { code, summary } = await runProject(deployed, "nodes", WINDOW);
    expect(code).toBe(1);
    expect(summary.state).toBe("red");
    expectVertices(summary, {
      ...failed("error", link(1), `${M}.fct_visits`),
      ...doomedBy(link(1), ...[2, 3, 4, 5, 6].map(link), ...LINK_TESTS),
      ...doomedBy(`${M}.fct_visits`, ...VISITS_TESTS, ...CLEARANCE),
      ...failed("fail", UNIT_TEST),
      ...doomedBy(UNIT_TEST, `${M}.dues.v2`, "test.harbour.not_null_dues_v2_vessel_id.97ca4bfbd9", `${M}.dues_report`),
      ...failed("partial success", `${M}.tide_days`),
      ...doomedBy(`${M}.tide_days`, ...TIDE_BELOW),
      "exposure.harbour.harbour_board": { class: "doomed" },
      [`${M}.dues.v1`]: { class: "good" },
    });
    expect(nodeOf(summary, `${M}.tide_days`).batches.map((batch) => batch.status)).toEqual([
      "success",
      "success",
      "error",
      "success",
    ]);
    expect(nodeOf(summary, link(1)).message).toContain("planned_failure_in_link_1");
    expect(summary.warnings.join("\n")).toContain("test.harbour.fee_is_on_the_board_tariff_fee.8552ad65ab");
    const events = await received(1);
    expect(events.map((event) => event.detail)).toEqual([
      expect.objectContaining({
        uniqueId: "test.harbour.fee_is_on_the_board_tariff_fee.8552ad65ab",
        nodes: [`${M}.tariff`],
        runId: summary.runId,
        state: "red",
      }),
    ]);
    expect(summary.tasks.map((task) => task.kind)).toEqual(["producer"]);
    await expectConsumers(summary);
  });

  test("B6 C11 G15: a data test gates, a snapshot and a compile error fail, every batch fails", async () => {
    const { code, summary } = await runProject(deployed, "tests", [...WINDOW, "--store-failures"]);
    expect(code).toBe(1);
    expectVertices(summary, {
      ...failed("fail", PAINTED),
      ...doomedBy(PAINTED, ...CLEARANCE),
      ...failed("error", "snapshot.harbour.berth_history", `${M}.facet_top`, `${M}.tide_days`),
      ...doomedBy(`${M}.facet_top`, ...FACETS_BELOW),
      ...doomedBy(`${M}.tide_days`, ...TIDE_BELOW),
      "exposure.harbour.harbour_board": { class: "doomed" },
      [`${M}.fct_visits`]: { class: "good", tries: 1 },
    });
    const painted = summary.tests.find((one) => one.uniqueId === PAINTED)!;
    expect(painted).toMatchObject({ failures: 1, message: expect.stringContaining("configured to fail") });
    expect(painted.relation).toContain("main_dbt_test__audit");
    expect(nodeOf(summary, `${M}.facet_top`).message).toContain("planned compile failure");
    await expectConsumers(summary);
    const { stdout } = await runCli(deployed, ["status", summary.runId, "--config", deployed.configPath]);
    expect(stdout).toMatch(/found .*name_is_painted.*1 failure, kept in /);
  });

  test("G15 G16 G17: a partial microbatch is tried again with its window; an ephemeral's compile error is not", async () => {
    const select = ["--select", "+fct_visits", "tide_readings+"];
    const { code, summary } = await runProject(deployed, "retries", [...WINDOW, ...select]);
    expect(code).toBe(1);
    const eph = `${M}.eph_visits`;
    expectVertices(summary, {
      [`${M}.tide_days`]: { class: "failed", status: "partial success", tries: 2 },
      ...doomedBy(`${M}.tide_days`, ...TIDE_BELOW),
      [eph]: { class: "failed", tries: 1 },
      ...doomedBy(eph, `${M}.fct_visits`, ...VISITS_TESTS),
    });
    expect(nodeOf(summary, `${M}.tide_days`).batches.map((batch) => batch.status)).toEqual([
      "success",
      "error",
      "success",
      "success",
    ]);
    expect(summary.tasks.map((task) => task.kind)).toEqual(["producer", "fallback"]);
  });

  test("B8: fail-fast: the failed node is red, the rest is not built, nothing is green that dbt did not build", async () => {
    const select = ["--fail-fast", "--select", "+facet_bottom", "+link_6"];
    const { code, summary } = await runProject(deployed, "tests", select);
    expect(code).toBe(1);
    expect(nodeOf(summary, `${M}.facet_top`)).toMatchObject({ class: "failed", status: "error" });
    for (const id of FACETS_BELOW) expect(nodeOf(summary, id).class).toMatch(/^(doomed|not_built)$/);
    for (const vertex of vertices(summary).filter((one) => one.class === "good")) {
      expect(["success", "pass", "nothing to build"], vertex.uniqueId).toContain(vertex.status);
    }
    await expectConsumers(summary);
  });

  test("B10: the on-run-start hook fails: 1.11 builds on, the run is red by the hook alone", async () => {
    const { code, summary } = await runProject(deployed, "hook", ["--select", "+link_2"]);
    expect(code).toBe(1);
    expectVertices(summary, {});
    expect(summary.causes.map((cause) => cause.kind)).toEqual(["run"]);
    expect(summary.causes[0]!.sentence).toMatch(/on-run-start.*planned_start_hook_failure/s);
  });

  test.each([
    ["parse error", "unparsable", [], /could not parse the project/],
    ["no connection", "nowhere", [], /could not reach or open the warehouse/],
    ["C10: an empty selection", "calm", ["--select", "nothing_here"], /selection found nothing/],
  ] as const)("D3: %s: one cause, nothing built, no consumer", async (_title, project, options, sentence) => {
    const { code, summary } = await runProject(deployed, project, options);
    expect(code).toBe(1);
    expect(summary.causes.map((cause) => cause.sentence).join("\n")).toMatch(sentence);
    expect(summary.causes).toHaveLength(1);
    expect(vertices(summary).filter((one) => one.class === "good")).toEqual([]);
    expect((await endedConsumers(deployed, summary)).size).toBe(0);
  });
});
