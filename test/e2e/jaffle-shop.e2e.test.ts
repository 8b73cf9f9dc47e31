import { execFile } from "node:child_process";
import { cpSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { NOTHING_TO_BUILD } from "#core/run/reporting/report.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runCli, runProject } from "../support/cli.ts";
import { consumerStatuses, endedConsumers } from "../support/consumers.ts";
import { ownStack } from "../support/own-stack.ts";
import { askDuckdb, dbtBin } from "../support/warehouse.ts";

const deployed = ownStack();
const shop = join(import.meta.dirname, "../../examples/jaffle-shop");

/** Terminal words by dbt's own lines, read apart from core: the last Log…Result or SkippingDetails of each vertex. */
async function plainBuild(vars: string): Promise<Map<string, string>> {
  const folder = mkdtempSync(join(deployed.folder, "plain-"));
  cpSync(shop, folder, { recursive: true, filter: (path) => !/target|\.duckdb|logs/.test(path.slice(shop.length)) });
  const args = ["build", "--log-format", "json", "--profiles-dir", folder, "--project-dir", folder, "--vars", vars];
  const env = { ...process.env, JAFFLE_DUCKDB: join(folder, "plain.duckdb"), STEPWATCH_RUN_ID: "plain" };
  const dbt = join(await dbtBin(), "dbt");
  const lines = await new Promise<string>((resolve) => {
    execFile(dbt, args, { env, cwd: folder, maxBuffer: 1 << 28 }, (_error, stdout) => resolve(stdout));
  });
  const words = new Map<string, string>();
  for (const line of lines.split("\n").filter(Boolean)) {
    const event = JSON.parse(line);
    const node = event.data?.node_info;
    if (!node?.unique_id || !/^(Log(Model|Seed|Snapshot|Test)Result|SkippingDetails)$/.test(event.info.name)) continue;
    words.set(node.unique_id, node.node_status === "None" ? event.data.status : node.node_status);
  }
  return words;
}

const wordsOf = (summary: RunSummary): Map<string, string | null> =>
  new Map(
    [...summary.nodes, ...summary.tests]
      .filter((vertex) => vertex.status !== null && vertex.status !== NOTHING_TO_BUILD)
      .map((vertex) => [vertex.uniqueId, vertex.status]),
  );

const nodeOf = (summary: RunSummary, name: string) => summary.nodes.find((node) => node.uniqueId.endsWith(`.${name}`))!;
const kindsOf = (summary: RunSummary) => summary.tasks.map((task) => task.kind);

/** One consumer execution per node that dbt reached, ended as its node; none for a node that was never reached. */
async function expectConsumersAsNodes(summary: RunSummary): Promise<void> {
  const statuses = await endedConsumers(deployed, summary);
  const expected = new Map(
    summary.nodes
      .filter((node) => node.tries > 0)
      .map((node) => [node.uniqueId, node.outcome === "green" ? "SUCCEEDED" : "FAILED"]),
  );
  expect(statuses).toEqual(expected);
}

let plain: Map<string, string>;
beforeAll(async () => {
  plain = await plainBuild("{}");
});

test("F1 F9 H6: jaffle-shop on DuckDB ends as plain dbt build ends, vertex by vertex, with one consumer per node", async () => {
  const { code, summary } = await runProject(deployed, "jaffle");
  expect(code).toBe(0);
  expect(summary).toMatchObject({ state: "green", unplanned: [], drift: { filled: [], contradictions: [] } });
  expect(wordsOf(summary)).toEqual(plain);
  expect(kindsOf(summary)).toEqual(["producer"]);
  await expectConsumersAsNodes(summary);
  expect([...(await consumerStatuses(deployed, summary)).values()].every((status) => status === "SUCCEEDED")).toBe(
    true,
  );
});

test("F4 F6 F8 G6: a model that fails once is built by its fallback, its descendants by one recovery build, once each", async () => {
  const { code, summary } = await runProject(deployed, "jaffle", [
    "--vars",
    JSON.stringify({ break: "flaky", audit: true }),
  ]);
  expect(code).toBe(0);
  expect(summary.state).toBe("green");
  expect(kindsOf(summary)).toEqual(["producer", "fallback", "recovery"]);
  expect(nodeOf(summary, "orders").tries).toBe(2);
  const others = summary.nodes.filter((node) => node.uniqueId !== nodeOf(summary, "orders").uniqueId);
  expect(others.every((node) => node.tries <= 1)).toBe(true);
  expect(wordsOf(summary)).toEqual(plain);
  const built = await askDuckdb(
    join(deployed.folder, "jaffle.duckdb"),
    `select name, count(*) from dbt_jaffle.build_audit where run_id = '${summary.runId}' group by 1`,
  );
  expect(new Set(built.map(([, times]) => times))).toEqual(new Set([1]));
  expect(built.length).toBe(summary.nodes.filter((node) => node.tries > 0).length);
  await expectConsumersAsNodes(summary);
});

test("F5 F7 G7: a model that always fails is red with dbt's message, its siblings green, its descendants doomed by it", async () => {
  const { code, summary } = await runProject(deployed, "jaffle", ["--vars", JSON.stringify({ break: "model" })]);
  expect(code).toBe(1);
  expect(summary.state).toBe("red");
  const broken = nodeOf(summary, "customers");
  expect(broken).toMatchObject({
    class: "failed",
    outcome: "red",
    tries: 2,
    message: expect.stringContaining("Conversion Error"),
  });
  for (const name of ["customer_segments", "city_overview"]) {
    expect(nodeOf(summary, name)).toMatchObject({
      class: "doomed",
      rootCause: broken.uniqueId,
      outcome: null,
      tries: 0,
    });
  }
  const downstream = new Set(
    ["customers", "customer_segments", "city_overview"].map((name) => nodeOf(summary, name).uniqueId),
  );
  const siblings = summary.nodes.filter((node) => !downstream.has(node.uniqueId));
  expect(siblings.every((node) => node.class === "good")).toBe(true);
  expect(kindsOf(summary)).toEqual(["producer", "fallback"]);
  expect(summary.causes).toHaveLength(1);
  await expectConsumersAsNodes(summary);
});

test("C14 C12 B6 C1: a data test that found rows costs no task, its incremental node keeps its rows, what it gates is not built", async () => {
  const { code, summary } = await runProject(deployed, "jaffle", ["--vars", JSON.stringify({ break: "test" })]);
  expect(code).toBe(1);
  const failed = summary.tests.find((one) => one.uniqueId.endsWith(".no_day_below_the_least_revenue"))!;
  expect(failed).toMatchObject({ class: "failed", status: "fail", tries: 1 });
  expect(summary.tasks.map((task) => task.kind)).toEqual(["producer"]);
  expect(nodeOf(summary, "revenue_log")).toMatchObject({ class: "good", tries: 1, outcome: "red" });
  for (const name of ["revenue_by_month", "revenue_growth"])
    expect(nodeOf(summary, name)).toMatchObject({ class: "doomed", rootCause: failed.uniqueId });
  const [[rows]] = (await askDuckdb(
    join(deployed.folder, "jaffle.duckdb"),
    `select count(*) from dbt_jaffle.revenue_log where run_id = '${summary.runId}'`,
  )) as [[number]];
  const [[once]] = (await askDuckdb(
    join(deployed.folder, "jaffle.duckdb"),
    "select min(n) from (select count(*) n from dbt_jaffle.revenue_log group by run_id)",
  )) as [[number]];
  expect(rows).toBe(once);
  await expectConsumersAsNodes(summary);
});

test("C11: why shows what a failed test has stored, and its command runs that test and no other", async () => {
  const options = ["--vars", JSON.stringify({ break: "test" }), "--store-failures"];
  const { summary } = await runProject(deployed, "jaffle", options);
  const end = await runCli(deployed, ["why", summary.runId, "--config", deployed.configPath, "--json"]);
  expect(end.code, end.stderr).toBe(1);
  const { roots, tables } = JSON.parse(end.stdout);
  expect(roots).toHaveLength(1);
  const [root] = roots;
  expect(root).toMatchObject({ uniqueId: "test.jaffle_shop.no_day_below_the_least_revenue", notBuilt: { count: 5 } });
  expect(root.tried).toMatchObject([{ task: 1, kind: "producer", status: "fail" }]);
  expect(tables).toMatchObject({ stale: { count: 2 } });
  const [[stored]] = (await askDuckdb(
    join(deployed.folder, "jaffle.duckdb"),
    `select count(*) from ${root.relation}`,
  )) as [[number]];
  expect(root.failures).toBe(stored);
  expect(root.rows.columns.length).toBeGreaterThan(0);
  expect(root.rows.rows).toHaveLength(5);
  const again = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
    const env = { ...process.env, JAFFLE_DUCKDB: join(deployed.folder, "jaffle.duckdb"), STEPWATCH_RUN_ID: "by-hand" };
    execFile("sh", ["-c", root.reproduce], { env }, (error, stdout) => resolve({ code: error?.code ?? 0, stdout }));
  });
  expect(again.code).toBe(1);
  expect(again.stdout).toMatch(new RegExp(`1 of 1 FAIL ${root.failures} no_day_below_the_least_revenue`));
});

test("C10 F15: a selection that finds nothing is red with a clear message", async () => {
  const { code, summary } = await runProject(deployed, "jaffle", ["--select", "no_such_model"]);
  expect(code).toBe(1);
  expect(summary.verdict).toMatch(/nothing/i);
  const allowed = await runProject(deployed, "jaffle", ["--select", "no_such_model", "--allow-empty"]);
  expect(allowed.code).toBe(0);
});

test("C4 H6: with a selection the plan is what dbt selects, and tests that --exclude removed are not waited for", async () => {
  const { code, summary } = await runProject(deployed, "jaffle", [
    "--select",
    "+stg_orders",
    "--exclude",
    "test_type:data",
  ]);
  expect(code).toBe(0);
  expect(summary.nodes.map((node) => node.uniqueId).sort()).toEqual([
    "model.jaffle_shop.stg_orders",
    "seed.jaffle_shop.raw_orders",
  ]);
  expect(summary.tests).toEqual([]);
  await expectConsumersAsNodes(summary);
});
