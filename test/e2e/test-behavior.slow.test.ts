import { expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runCli, runProject } from "../support/cli.ts";
import { endedConsumers } from "../support/consumers.ts";
import { ownStack } from "../support/own-stack.ts";

const deployed = ownStack();
const nodeOf = (summary: RunSummary, name: string) => summary.nodes.find((node) => node.uniqueId.endsWith(`.${name}`))!;
const kindsOf = (summary: RunSummary) => summary.tasks.map((task) => task.kind);
const broken = ["--vars", JSON.stringify({ break: "test" })];

test("C6: after_each: the data tests' own consumer is red alone, dbt test is their retry, and they gate as in dbt", async () => {
  const { code, summary } = await runProject(deployed, "after_each", broken);
  expect(code).toBe(1);
  expect(nodeOf(summary, "revenue_log")).toMatchObject({ outcome: "green", testsOutcome: "red", tries: 1 });
  expect(nodeOf(summary, "revenue_by_month").class).toBe("doomed");
  expect(nodeOf(summary, "orders")).toMatchObject({ outcome: "green", testsOutcome: "green" });
  expect(kindsOf(summary)).toEqual(["producer", "fallback"]);
  const { stdout } = await runCli(deployed, ["logs", summary.runId, "--task", "2", "--config", deployed.configPath]);
  expect(stdout).toMatch(/\btest\b.*--indirect-selection/);
  const consumers = await endedConsumers(deployed, summary);
  expect(consumers.get(nodeOf(summary, "revenue_log").uniqueId)).toBe("SUCCEEDED");
});

test("C7: after_all: the producer runs no tests, one dbt test follows, and a failed test gates nothing", async () => {
  const { code, summary } = await runProject(deployed, "after_all", broken);
  expect(code).toBe(1);
  expect(kindsOf(summary)).toEqual(["producer", "recovery", "fallback"]);
  expect(summary.nodes.every((node) => node.class === "good")).toBe(true);
  expect(summary.counts).toMatchObject({ failed: 1, doomed: 0 });
  expect(summary.tests.filter((one) => one.class === "failed")).toMatchObject([{ tries: 2 }]);
});

test("C7: after_all: tests whose parents are not good are not run, the others are", async () => {
  const { code, summary } = await runProject(deployed, "after_all", ["--vars", JSON.stringify({ break: "model" })]);
  expect(code).toBe(1);
  const customers = nodeOf(summary, "customers");
  expect(customers.tests.every((one) => one.class === "doomed")).toBe(true);
  expect(nodeOf(summary, "orders").tests.some((one) => one.status === "pass")).toBe(true);
  expect(kindsOf(summary)).toEqual(["producer", "fallback", "recovery"]);
});

test("C8: none: no test is planned or run", async () => {
  const { code, summary } = await runProject(deployed, "no_tests");
  expect(code).toBe(0);
  expect(summary.tests).toEqual([]);
  expect(kindsOf(summary)).toEqual(["producer"]);
});
