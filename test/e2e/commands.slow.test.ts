import { expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runCli, runProject } from "../support/cli.ts";
import { kindsOf, orchardBuilds } from "../support/orchard.ts";
import { ownStack } from "../support/own-stack.ts";
import { repaired } from "../support/run-status.ts";

const deployed = ownStack();
const config = ["--config", deployed.configPath];
const dbt = (...words: string[]) => runCli(deployed, ["dbt", "orchard", ...config, "--", ...words]);
const lines = (text: string) => text.trim().split("\n");

test("H7: ls and show answer on standard output as dbt prints it, and nothing of ours is among it", async () => {
  const listed = await dbt("ls", "--select", "apple+", "--resource-type", "model", "--output", "name");
  expect(listed.code, listed.stderr).toBe(0);
  expect(lines(listed.stdout).toSorted()).toEqual(["apple", "apple_cider", "apple_juice", "mixed_jam"]);
  const shown = await dbt("show", "--inline", "select 7 as seven", "--output", "json");
  expect(shown.code, shown.stderr).toBe(0);
  expect(JSON.parse(shown.stdout)).toMatchObject({ show: [{ seven: 7 }] });
});

test.each([
  [["parse"], ""],
  [["compile", "--select", "apple"], "select"],
  [["debug"], "All checks passed"],
  [["source", "freshness"], ""],
  [["seed"], ""],
  [["snapshot"], ""],
])("H7: dbt %j ends well", async (words, said) => {
  const { code, stdout, stderr } = await dbt(...words);
  expect(code, stderr).toBe(0);
  expect(stdout).toContain(said);
});

test("H7: run-operation does what it says, and fails with dbt's own words and exit code 1", async () => {
  const good = await dbt("run-operation", "note_step", "--args", "{name: by; hand}");
  expect(good.code, good.stderr).toBe(0);
  expect(good.stdout).toContain("noted by; hand");
  const bad = await dbt("run-operation", "no_such_macro");
  expect(bad.code).toBe(1);
  expect(bad.stdout + bad.stderr).toContain("no_such_macro");
  expect(bad.stderr).toContain("npx stepwatch why");
  expect(await dbt("build")).toMatchObject({ code: 2, stdout: "" });
});

const steps = (summary: RunSummary) =>
  summary.tasks.filter(({ kind }) => kind === "command").map(({ reason }) => reason);

test("H13: steps run before and after the build, and a retry runs the failed one alone", async () => {
  const { code, summary } = await runProject(deployed, "orchard", ["--job", "around"]);
  expect(code).toBe(1);
  expect(kindsOf(summary)).toEqual(["command", "producer", "command"]);
  expect(summary.verdict).toContain("dbt run-operation needs_opened, a step after the build, failed");
  expect(summary.counts.failed).toBe(0);
  const built = await orchardBuilds(deployed, summary.runId);
  expect(await dbt("test")).toMatchObject({ code: 0 });
  expect(await dbt("run-operation", "make_opened")).toMatchObject({ code: 0 });
  const retry = await runCli(deployed, ["retry", summary.runId, ...config]);
  expect(retry.code, retry.stderr).toBe(0);
  const green = await repaired(deployed, summary.runId);
  expect(kindsOf(green)).toEqual(["command", "producer", "command", "command", "command"]);
  expect(steps(green).at(-1)).toBe("dbt docs generate, after the build");
  expect(await orchardBuilds(deployed, summary.runId)).toEqual(built);
}, 240_000);

test("H7: docs generate puts its site where docs shows it", async () => {
  const made = await dbt("docs", "generate");
  expect(made.code, made.stderr).toBe(0);
  const { code, stdout, stderr } = await runCli(deployed, ["docs", "orchard", ...config, "--json", "--no-serve"]);
  expect(code, stderr).toBe(0);
  const { folder, files } = JSON.parse(stdout) as { folder: string; files: string[] };
  expect(files).toEqual(["manifest.json", "catalog.json", "index.html"]);
  expect(folder).toContain("orchard");
});
