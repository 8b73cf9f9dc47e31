import { describe, expect, it } from "vitest";
import { ManifestUnreadable, nodesOf, ownerOf, readManifest, testsOf } from "#core/dbt/manifest.ts";
import { gatesFixture } from "../../support/gates-project.ts";

const harbour = readManifest(gatesFixture("manifest-harbour.json"));
const [known] = [...harbour.nodes.keys()].filter((id) => id.includes("vessel_is_known"));

describe("manifest.json", () => {
  it("is read: versions, unit tests, sources, exposures, severity, checksum", () => {
    expect(harbour).toMatchObject({ dbtVersion: "1.11.16", projectName: "harbour", adapterType: "duckdb" });
    expect(harbour.nodes.get("model.harbour.dues.v1")).toMatchObject({
      version: "1",
      materialized: "table",
      hollow: false,
    });
    expect(harbour.nodes.get("model.harbour.hollow")?.hollow).toBe(true);
    expect(harbour.nodes.get("model.harbour.eph_visits")?.materialized).toBe("ephemeral");
    expect(harbour.nodes.get("exposure.harbour.harbour_board")?.dependsOn).toContain("model.harbour.clearance");
    expect(harbour.nodes.get("test.harbour.fee_is_on_the_board_tariff_fee.8552ad65ab")?.severity).toBe("warn");
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

describe("tests of a node", () => {
  it("C1: a node's data and unit tests are found", () => {
    expect(testsOf(harbour, "model.harbour.tariff")).toEqual([
      "test.harbour.fee_is_on_the_board_tariff_fee.8552ad65ab",
      "unit_test.harbour.tariff.fee_is_a_tenth",
    ]);
  });

  it("C2: a test over two models is one vertex, counted for both, with one owner", () => {
    expect(nodesOf(harbour, known!)).toEqual(["model.harbour.stg_calls", "model.harbour.stg_vessels"]);
    for (const id of nodesOf(harbour, known!)) expect(testsOf(harbour, id)).toContain(known);
    expect(ownerOf(harbour, known!)).toBe("model.harbour.stg_calls");
  });

  it("C9: a test on a source alone has no owner and no node", () => {
    const gates = readManifest(gatesFixture("manifest-gates.json"));
    const [onSource] = [...gates.nodes.keys()].filter((id) => id.includes("source_accepted_values"));
    expect(nodesOf(gates, onSource!)).toEqual([]);
    expect(ownerOf(gates, onSource!)).toBeNull();
  });

  it("what is no test has no nodes", () => expect(nodesOf(harbour, "model.harbour.tariff")).toEqual([]));
});
