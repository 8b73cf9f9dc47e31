import { describe, expect, it } from "vitest";
import type { RoundRequest } from "#core/contracts/rounds.ts";
import { nextRound } from "#core/run/deciding/next-round.ts";
import type { Plan, PlanVertex } from "#core/run/planning/plan.ts";
import { dataTest, ephemeral, over, planOf, policyOf, row, runOf, vertex } from "../../support/run-builders.ts";

const view = (id: string, parents: readonly string[]) => vertex(id, parents, { materialized: "view" });
const wish: RoundRequest = { round: 1, by: "person", atMs: 5, downstream: false, force: false, fullRefresh: false };

/** Views that a retry of `a` alone would drop, of a run in which all is good but what is named. */
function droppedBy(
  vertices: readonly PlanVertex[],
  changes: Partial<Plan> = {},
  request: Partial<RoundRequest> = {},
  bad: readonly string[] = [],
  run = runOf(),
): string[] {
  const plan = planOf(vertices, changes);
  const rows = plan.vertices
    .filter(({ builds }) => builds)
    .map(({ uniqueId }) => row(uniqueId, bad.includes(uniqueId) ? "error" : "success"));
  const ended = { run, plan, rows, tasks: [over(1)], policy: policyOf() };
  return nextRound(ended, { ...wish, nodes: ["a"], ...request }).dropped.map((one) => one.plan.uniqueId);
}

describe("G25: views that go with the table that is replaced alone", () => {
  const shop = [vertex("a"), view("v", ["a"]), view("on_v", ["v"]), vertex("t", ["a"]), view("on_t", ["t"])];

  it.each(["postgres", "redshift"])(
    "on %s: those on it, and views on these; a table keeps what it has",
    (adapterType) => {
      expect(droppedBy(shop, { adapterType })).toEqual(["v", "on_v"]);
    },
  );

  it.each(["snowflake", "duckdb", null])("on %s none", (adapterType) => {
    expect(droppedBy(shop, { adapterType })).toEqual([]);
  });

  it("none that the round builds, or that are not good", () => {
    expect(droppedBy(shop, {}, { downstream: true })).toEqual([]);
    expect(droppedBy(shop, {}, { nodes: ["a", "v"] })).toEqual(["on_v"]);
    expect(droppedBy(shop, {}, {}, ["v", "on_v"])).toEqual([]);
  });

  it("also through an ephemeral model, and where nobody knows what a reader is", () => {
    expect(droppedBy([vertex("a"), ephemeral("e", ["a"]), view("v", ["e"])])).toEqual(["v"]);
    expect(droppedBy([vertex("a"), vertex("odd", ["a"], { materialized: null })])).toEqual(["odd"]);
    expect(droppedBy([vertex("a"), vertex("m", ["a"], { materialized: "materialized_view" })])).toEqual(["m"]);
  });

  it("none of what is changed in place, unless a full refresh replaces it", () => {
    const rows = [vertex("a", [], { materialized: "incremental" }), view("v", ["a"])];
    expect(droppedBy(rows)).toEqual([]);
    expect(droppedBy(rows, {}, { fullRefresh: true })).toEqual(["v"]);
    const weekly = runOf({ input: { project: "shop", fullRefresh: true } });
    expect(droppedBy(rows, {}, {}, [], weekly)).toEqual(["v"]);
  });

  it("none for a data test of what is changed in place, which gates the reader", () => {
    const rows = [
      vertex("a", [], { materialized: "incremental" }),
      dataTest("test.a", ["a"]),
      view("v", ["a", "test.a"]),
    ];
    expect(droppedBy(rows)).toEqual([]);
  });
});
