import { join } from "node:path";
import { expect, test } from "vitest";
import type { VertexReport } from "#core/run/reporting/report.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runProject } from "../support/cli.ts";
import { endedConsumers } from "../support/consumers.ts";
import { ownStack } from "../support/own-stack.ts";
import { askDuckdb } from "../support/warehouse.ts";

/** The real dbt 1.12 through the same stack as dbt 1.11, its words held against the warehouse. */
const deployed = ownStack();
const WINDOW = ["--event-time-start", "2024-03-01", "--event-time-end", "2024-03-05"];
const M = "model.harbour";
const all = (summary: RunSummary): VertexReport[] => [...summary.nodes, ...summary.tests, ...summary.others];
const notGood = (summary: RunSummary) =>
  Object.fromEntries(all(summary).flatMap((one) => (one.class === "good" ? [] : [[one.uniqueId, one.class]])));

/** No model is good without its table: this is what a green word is worth. */
async function expectTables(summary: RunSummary, project: string): Promise<void> {
  const file = join(deployed.folder, `${project}.duckdb`);
  const built = (await askDuckdb(file, "select table_name from information_schema.tables")).flat();
  const good = summary.nodes.filter(({ class: word, status }) => word === "good" && status === "success");
  const models = good.filter(({ uniqueId }) => uniqueId.startsWith("model."));
  expect(models.length).toBeGreaterThan(0);
  const tableOf = (id: string) => id.split(".").slice(2).join("_");
  expect(models.map(({ uniqueId }) => tableOf(uniqueId)).filter((name) => !built.includes(name))).toEqual([]);
}

test("C5 H6: dbt 1.12: the shop is built, and each node has its table and a green consumer", async () => {
  const { code, summary, stderr } = await runProject(deployed, "shop112");
  expect(code, stderr).toBe(0);
  expect(notGood(summary)).toEqual({});
  expect(summary.tasks).toMatchObject([{ kind: "producer", exitCode: 0, dbtVersion: "1.12.6" }]);
  await expectTables(summary, "shop112");
  expect(new Set((await endedConsumers(deployed, summary)).values())).toEqual(new Set(["SUCCEEDED"]));
});

test("B1 B4 B5 G15: dbt 1.12: a broken chain, ephemeral, unit test and batch", async () => {
  const { code, summary } = await runProject(deployed, "nodes112", WINDOW);
  expect(code).toBe(1);
  const words = notGood(summary);
  expect(words).toMatchObject({
    [`${M}.link_1`]: "failed",
    [`${M}.link_6`]: "doomed",
    [`${M}.fct_visits`]: "failed",
    [`${M}.tide_days`]: "failed",
    [`${M}.tide_peak`]: "doomed",
    "unit_test.harbour.dues.dues_are_three_times_draught_v2": "failed",
  });
  await expectTables(summary, "nodes112");
});

test("D7 G6 G1: dbt 1.12: a model that fails once is built by its fallback, its descendants by one recovery build; a .env neither narrows that nor silences dbt", async () => {
  const { code, summary, stderr } = await runProject(deployed, "dot_env112", WINDOW);
  expect(code, stderr).toBe(0);
  expect(notGood(summary)).toEqual({});
  expect(summary.tasks.map((task) => task.kind)).toEqual(["producer", "fallback", "recovery"]);
  expect(summary.nodes.find(({ uniqueId }) => uniqueId === `${M}.link_1`)).toMatchObject({ tries: 2, class: "good" });
  await expectTables(summary, "dot_env112");
});

test("B8: dbt 1.12: fail-fast: what is good has its table", async () => {
  const options = [...WINDOW, "--fail-fast", "--threads", "8"];
  const { code, summary } = await runProject(deployed, "hurried112", options);
  expect(code).toBe(1);
  expect(summary.nodes.find((node) => node.uniqueId === `${M}.link_1`)).toMatchObject({ class: "failed" });
  await expectTables(summary, "hurried112");
});
