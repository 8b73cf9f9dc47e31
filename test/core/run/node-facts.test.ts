import { describe, expect, it } from "vitest";
import { readManifest } from "#core/dbt/manifest.ts";
import { ownerIn } from "#core/dbt/node-meaning.ts";
import { factsKeyOf, factsOf, nodeFactsSchema } from "#core/run/planning/node-facts.ts";
import { dataTest, planOf, vertex } from "../../support/run-builders.ts";

const entry = (unique_id: string, more: Record<string, unknown> = {}) => ({
  unique_id,
  resource_type: unique_id.split(".")[0],
  name: unique_id.split(".")[2],
  ...more,
});

const manifest = readManifest(
  JSON.stringify({
    metadata: { adapter_type: "postgres" },
    groups: {
      "group.shop.finance": { name: "finance", owner: { name: "Finance", email: "finance@example.com" } },
      "group.shop.many": { name: "many", owner: { email: ["first@example.com", "second@example.com"] } },
      "group.shop.nobody": { name: "nobody" },
    },
    nodes: {
      a: entry("model.shop.orders", {
        relation_name: '"db"."main"."orders"',
        tags: ["nightly"],
        config: { group: "finance", meta: { tier: 1, owner: "ignored below", stepwatch: { retries: 2 } } },
        columns: { id: { name: "id", data_type: "integer", description: "long" }, day: { name: "day" } },
        depends_on: { nodes: ["source.shop.raw.orders", "model.shop.eph", "model.shop.missing"] },
      }),
      b: entry("model.shop.eph", {
        config: { materialized: "ephemeral" },
        depends_on: { nodes: ["source.shop.raw.days", "model.shop.eph"] },
      }),
      c: entry("test.shop.unique_orders", { depends_on: { nodes: ["model.shop.orders"] } }),
      d: entry("model.shop.plain", { group: "nobody", meta: { huge: "x".repeat(3_000) } }),
      e: entry("model.shop.many", { config: { group: "many" } }),
    },
    sources: {
      s: entry("source.shop.raw.orders", { relation_name: '"db"."raw"."orders"' }),
      t: entry("source.shop.raw.days", { relation_name: '"db"."raw"."days"' }),
    },
  }),
);
const plan = planOf([
  vertex("model.shop.orders"),
  vertex("model.shop.plain"),
  vertex("model.shop.many"),
  dataTest("test.shop.unique_orders", ["model.shop.orders"]),
]);
const facts = factsOf(plan, manifest);

describe("what events say of a node", () => {
  it("H3: relation, columns and what it reads, through ephemeral models", () => {
    expect(facts.vertices["model.shop.orders"]).toMatchObject({
      relation: '"db"."main"."orders"',
      columns: [
        { name: "id", type: "integer" },
        { name: "day", type: null },
      ],
      inputs: ['"db"."raw"."orders"', '"db"."raw"."days"'],
      tags: ["nightly"],
      meta: { tier: 1 },
    });
  });

  it("H4: owners: meta.owner before dbt's group; a group's first address; a test's are those of its node", () => {
    expect(facts.vertices["model.shop.orders"]?.owner).toEqual({
      name: "ignored below",
      email: null,
      group: "finance",
    });
    expect(facts.vertices["test.shop.unique_orders"]).toEqual({ owner: facts.vertices["model.shop.orders"]?.owner });
    expect(facts.vertices["model.shop.many"]?.owner).toEqual({ name: null, email: "first@example.com", group: "many" });
    expect(facts.vertices["model.shop.plain"]).toEqual({ owner: { name: "nobody", email: null, group: "nobody" } });
  });

  it.each([
    ["data@example.com", { name: null, email: "data@example.com" }],
    ["Data team", { name: "Data team", email: null }],
    [["Ann", "Bob"], { name: "Ann", email: null }],
    [
      { name: "Ann", email: "ann@example.com", slack: "#data" },
      { name: "Ann", email: "ann@example.com" },
    ],
    [{ team: "data" }, null],
    ["", null],
    [7, null],
    [null, null],
  ])("H4: an owner written as %j", (written, owner) => {
    expect(ownerIn(written)).toEqual(owner);
  });

  it("is its own object beside the plan, which does not grow by it", () => {
    expect(factsKeyOf("runs/shop/run-1/tasks/3/plan.json")).toBe("runs/shop/run-1/tasks/3/facts.json");
    expect(nodeFactsSchema.parse(JSON.parse(JSON.stringify(facts)))).toEqual(facts);
    expect(JSON.stringify(plan)).not.toContain("finance");
  });
});
