import { describe, expect, it } from "vitest";
import { type DbtGraph, dbtGraph } from "#core/dbt/dbt-graph.ts";
import { readManifest } from "#core/dbt/manifest.ts";
import { gateGraph } from "#core/run/planning/gate-graph.ts";
import { gatesFixture, gatesLines } from "../../support/gates-project.ts";
import { planOfGraph } from "../../support/planned-vertices.ts";
import { readLines } from "../../support/read-recording.ts";

interface Expected {
  parents: Record<string, string[]>;
  selections: { selected: string[]; ancestors: Record<string, string[]> }[];
}

const graphOf = (name: "gates" | "harbour"): DbtGraph => dbtGraph(readManifest(gatesFixture(`manifest-${name}.json`)));

/** Everything above a vertex, by its gate parents. */
function ancestors(gates: ReadonlyMap<string, readonly string[]>, id: string): string[] {
  const found = new Set(gates.get(id));
  for (const next of found) for (const parent of gates.get(next) ?? []) found.add(parent);
  return [...found].sort();
}

describe.each(["gates", "harbour"] as const)(
  "the gate graph of the project %s, against dbt's own graph_summary.json",
  (name) => {
    const graph = graphOf(name);
    const expected = JSON.parse(gatesFixture(`graph-${name}.json`)) as Expected;

    it("with test edges, reaches exactly what dbt's graph reaches (unit tests apart, which dbt runs by hand)", () => {
      const own = new Map(Object.entries(expected.parents));
      for (const id of own.keys()) {
        if (id.startsWith("unit_test.")) continue;
        const withoutUnitTests = ancestors(graph.gates, id).filter((one) => !one.startsWith("unit_test."));
        expect(withoutUnitTests, id).toEqual(ancestors(own, id).filter((one) => !one.startsWith("unit_test.")));
      }
    });

    it.each(expected.selections.map((one, at) => [at, one] as const))(
      "selection %i, reduced as dbt reduces it",
      (_at, one) => {
        const gates = gateGraph(graph, one.selected);
        for (const id of one.selected) expect(ancestors(gates, id), id).toEqual(one.ancestors[id]);
      },
    );

    it("gates by selected vertices alone", () => {
      for (const { selected } of expected.selections) {
        for (const parents of gateGraph(graph, selected).values()) {
          expect(parents.every((parent) => selected.includes(parent))).toBe(true);
        }
      }
    });
  },
);

const RECORDED = [
  "broken_a",
  "broken_b",
  "failing_test_of_a_and_b",
  "failing_source_test",
  "failing_unit_test",
  "broken_ephemeral",
];

describe("what dbt really skipped", () => {
  const graph = graphOf("gates");

  it.each(RECORDED)("%s: a vertex was skipped exactly if one of its gate parents is not good", (name) => {
    const log = readLines(gatesLines(name));
    const gates = new Map(
      planOfGraph(graph, [...graph.manifest.nodes.keys()]).vertices.map((one) => [one.uniqueId, one.gateParents]),
    );
    const isBad = (id: string): boolean => {
      const vertex = log.vertices.get(id);
      return vertex === undefined ? (gates.get(id) ?? []).some(isBad) : vertex.class !== "good";
    };
    for (const [id, vertex] of log.vertices) {
      expect((gates.get(id) ?? []).some(isBad), id).toBe(vertex.class === "not_built");
    }
  });

  it("the gap in --select a c3 gates: c3 was skipped though c1 and c2 are not selected", () => {
    const log = readLines(gatesLines("gapped_selection"));
    expect(log.vertices.get("model.gates.a")?.class).toBe("failed");
    expect(log.vertices.get("model.gates.c3")?.class).toBe("not_built");
    expect(gateGraph(graph, ["model.gates.a", "model.gates.c3"]).get("model.gates.c3")).toEqual(["model.gates.a"]);
  });

  it("B6: a test of a and b gates a child of both and not a child of a alone", () => {
    const gates = gateGraph(graph, [...graph.gates.keys()]);
    expect(gates.get("model.gates.ab")).toContain("test.gates.a_and_b");
    expect(gates.get("model.gates.c1")).not.toContain("test.gates.a_and_b");
  });

  it("C9: a test on a source gates the source's children", () => {
    const gates = gateGraph(graph, [...graph.gates.keys()]);
    const onSource = [...graph.gates.keys()].filter((id) => id.includes("source_accepted_values"));
    expect(onSource).toHaveLength(1);
    expect(gates.get("model.gates.from_source")).toEqual(expect.arrayContaining(onSource));
  });

  it("B5: a unit test gates its model and is gated as the model is", () => {
    const gates = gateGraph(
      graph,
      [...graph.gates.keys()].filter((id) => !id.startsWith("source.")),
    );
    expect(gates.get("model.gates.tested")).toContain("unit_test.gates.tested.one_row");
    expect(gates.get("unit_test.gates.tested.one_row")).toEqual(["model.gates.b"]);
  });

  it("C4: a test that is not selected gates nothing", () => {
    const nodes = [...graph.gates.keys()].filter((id) => id.startsWith("model."));
    for (const parents of gateGraph(graph, nodes).values()) expect(parents.join()).not.toContain("test.");
  });

  it("B4: an ephemeral model gates its child together with what is above it", () => {
    const gates = gateGraph(graph, ["model.gates.a", "model.gates.eph", "model.gates.over_eph"]);
    expect(gates.get("model.gates.over_eph")).toEqual(["model.gates.a", "model.gates.eph"]);
    expect(gateGraph(graph, ["model.gates.a", "model.gates.over_eph"]).get("model.gates.over_eph")).toEqual([
      "model.gates.a",
    ]);
  });

  it("an id that the manifest does not know is kept without parents", () => {
    expect(gateGraph(graph, ["model.gates.gone"])).toEqual(new Map([["model.gates.gone", []]]));
  });
});
