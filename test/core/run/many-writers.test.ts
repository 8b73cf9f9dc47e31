import { expect, it } from "vitest";
import { earlyHeldBack } from "#core/run/deciding/early-refusal.ts";
import { roomFor } from "#core/run/deciding/step.ts";
import { takesOneWriter } from "#core/run/planning/plan.ts";
import { live, planOf, policyOf, vertex } from "../../support/run-builders.ts";

const duckdb = planOf([vertex("a")], { adapterType: "duckdb" });
const motherDuck = { ...duckdb, manyWriters: true };

it("G3: a DuckDB file has one writer, MotherDuck as many as the queue has places", () => {
  expect([takesOneWriter(duckdb), takesOneWriter(motherDuck)]).toEqual([true, false]);
  expect([roomFor(duckdb, 4, [live(1)]), roomFor(motherDuck, 4, [live(1)])]).toEqual([0, 4]);
});

it("G19: recovery: early is for many writers, whatever the adapter is called", () => {
  const policy = policyOf({ recovery: "early" });
  expect(earlyHeldBack(duckdb, policy)).toContain("duckdb takes one writing process at a time");
  expect(earlyHeldBack(motherDuck, policy)).toBeNull();
});
