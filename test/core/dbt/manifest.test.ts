import { describe, expect, it } from "vitest";
import { ManifestUnreadable, readManifest } from "#core/dbt/manifest.ts";
import { nodesOf } from "#core/dbt/tested-nodes.ts";
import { gatesFixture } from "../../support/gates-project.ts";

const harbour = readManifest(gatesFixture("manifest-harbour.json"));
const [known] = [...harbour.nodes.keys()].filter((id) => id.includes("vessel_is_known"));

describe("manifest.json", () => {
  it("is read: versions, unit tests, sources, exposures", () => {
    expect(harbour).toMatchObject({ dbtVersion: "1.11.16", projectName: "harbour", adapterType: "duckdb" });
    expect(harbour.nodes.get("model.harbour.dues.v1")).toMatchObject({
      version: "1",
      materialized: "table",
      hollow: false,
    });
    expect(harbour.nodes.get("model.harbour.hollow")?.hollow).toBe(true);
    expect(harbour.nodes.get("model.harbour.eph_visits")?.materialized).toBe("ephemeral");
    expect(harbour.nodes.get("exposure.harbour.harbour_board")?.dependsOn).toContain("model.harbour.clearance");
    expect(harbour.nodes.has("model.harbour.shelved")).toBe(false);
  });

  it.each(["", "{", '{"nodes": {"a"', "[]", "{}", "null"])("%j is unreadable, and says so", (text) => {
    expect(() => readManifest(text)).toThrow(ManifestUnreadable);
  });

  it("a node with strange fields is read as far as it goes; one without an id is left out; a disabled one never counts", () => {
    const { nodes } = readManifest(
      JSON.stringify({
        nodes: {
          a: {
            unique_id: "model.p.a",
            resource_type: "model",
            config: 7,
            depends_on: null,
            fqn: "x",
            version: {},
            meta: { stepwatch: { retries: 3 } },
          },
          b: { resource_type: "model" },
          c: null,
          d: { unique_id: "model.p.d", resource_type: "model", config: { enabled: false } },
        },
      }),
    );
    expect([...nodes.keys()]).toEqual(["model.p.a"]);
    expect(nodes.get("model.p.a")).toMatchObject({
      dependsOn: [],
      fqn: [],
      version: null,
      stepwatchMeta: { retries: 3 },
    });
  });
});

describe("nodes of a test", () => {
  it("C1: a data test and a unit test are each of the model that they test", () => {
    for (const id of [
      "test.harbour.fee_is_on_the_board_tariff_fee.8552ad65ab",
      "unit_test.harbour.tariff.fee_is_a_tenth",
    ])
      expect(nodesOf(harbour, id)).toContain("model.harbour.tariff");
  });

  it("C2: a test over two models is one vertex, counted for both", () => {
    expect(nodesOf(harbour, known!)).toEqual(["model.harbour.stg_calls", "model.harbour.stg_vessels"]);
  });

  it("C9: a test on a source alone has no node", () => {
    const gates = readManifest(gatesFixture("manifest-gates.json"));
    const [onSource] = [...gates.nodes.keys()].filter((id) => id.includes("source_accepted_values"));
    expect(nodesOf(gates, onSource!)).toEqual([]);
  });

  it("what is no test has no nodes", () => expect(nodesOf(harbour, "model.harbour.tariff")).toEqual([]));
});
