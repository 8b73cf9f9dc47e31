import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { copyFieldCase, type FieldCase } from "../support/field-cases.ts";
import { realRun } from "../support/real-runs.ts";
import { dbtBin } from "../support/warehouse.ts";

let bin: string;
let folder: string;

beforeAll(async () => {
  bin = await dbtBin();
  folder = mkdtempSync(join(tmpdir(), "stepwatch-field-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const kindsOf = (summary: RunSummary) => summary.tasks.map((task) => task.kind);

/** A field case on DuckDB, by the real check-run, supervisor and dbt. */
async function runOf(name: FieldCase): Promise<RunSummary> {
  const { projectDir, environment } = copyFieldCase(folder, name);
  return await realRun({ projectDir, environment, dbt: join(bin, "dbt") }).end;
}

test("C15: of unit tests of a dead model one failed, the others are doomed with it: one build, one cause", async () => {
  const summary = await runOf("unit_tests_of_a_dead_model");
  expect(summary.state).toBe("red");
  expect(kindsOf(summary)).toEqual(["producer"]);
  expect(summary.causes).toHaveLength(1);
  const [failed, ...others] = [...summary.tests].sort(
    (a, b) => Number(b.class === "failed") - Number(a.class === "failed"),
  );
  expect(failed).toMatchObject({ class: "failed", tries: 1 });
  for (const other of others) expect(["good", "doomed"]).toContain(other.class);
  expect(summary.nodes.find((one) => one.uniqueId.endsWith(".judged"))).toMatchObject({ class: "doomed", tries: 0 });
});

test("D18: a test whose id is longer than any key may be is run, known by its whole id, and green", async () => {
  const summary = await runOf("long_ids");
  expect(summary.state, JSON.stringify(summary.causes)).toBe("green");
  const [long] = summary.tests;
  expect(long?.uniqueId.length).toBeGreaterThan(1_024);
  expect(long).toMatchObject({ class: "good", status: "pass" });
});
