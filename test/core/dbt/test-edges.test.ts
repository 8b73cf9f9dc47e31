import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { dbtGraph } from "#core/dbt/dbt-graph.ts";
import { readManifest } from "#core/dbt/manifest.ts";
import { GATED_BY_TESTS } from "#core/dbt/resource-types.ts";
import { planOf, scaleProject } from "../../../bench/scale/project.ts";

interface Drawn {
  readonly id: string;
  readonly type: string;
  readonly parents: readonly string[];
}

/** Small graphs of models, functions (which no test gates), exposures, and tests of one to three of them. */
const drawn = fc
  .array(fc.tuple(fc.constantFrom("model", "model", "function", "exposure"), fc.array(fc.nat(), { maxLength: 3 })), {
    minLength: 2,
    maxLength: 12,
  })
  .chain((nodes) => {
    const ids = nodes.map(([type], at) => `${type}.shop.n_${at}`);
    const read = ids.filter((id) => !id.startsWith("exposure."));
    const above = (at: number, picks: readonly number[]) => {
      const earlier = ids.slice(0, at).filter((id) => read.includes(id));
      return [...new Set(earlier.length === 0 ? [] : picks.map((pick) => earlier[pick % earlier.length]!))];
    };
    const vertices: Drawn[] = nodes.map(([type, picks], at) => ({ id: ids[at]!, type, parents: above(at, picks) }));
    const tests = fc.array(fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), { maxLength: 6 });
    return tests.map((all) => [
      ...vertices,
      ...all.map((picks, at) => ({ id: `test.shop.t_${at}`, type: "test", parents: above(ids.length, picks) })),
    ]);
  });

function graphOf(vertices: readonly Drawn[]) {
  const entry = ({ id, type, parents }: Drawn) => ({
    unique_id: id,
    resource_type: type,
    name: id,
    depends_on: { nodes: parents },
    config: { materialized: "table" },
  });
  return dbtGraph(
    readManifest(JSON.stringify({ nodes: Object.fromEntries(vertices.map((one) => [one.id, entry(one)])) })),
  );
}

const ancestors = (edges: ReadonlyMap<string, readonly string[]>, id: string): string[] => {
  const found = new Set(edges.get(id));
  for (const next of found) for (const parent of edges.get(next) ?? []) found.add(parent);
  return [...found].sort();
};

describe("test edges", () => {
  it("gate what dbt's own rule gates: each node below everything that the test reads, and what waits for that", () => {
    fc.assert(
      fc.property(drawn, (vertices) => {
        const { gates, parents } = graphOf(vertices);
        const byRule = new Map(vertices.map(({ id, parents: of }) => [id, [...of]]));
        for (const test of vertices.filter(({ type }) => type === "test"))
          for (const { id, type } of vertices)
            if (GATED_BY_TESTS.has(type) && test.parents.length > 0)
              if (test.parents.every((parent) => ancestors(parents, id).includes(parent)))
                byRule.get(id)!.push(test.id);
        for (const { id } of vertices) expect(ancestors(gates, id), id).toEqual(ancestors(byRule, id));
      }),
    );
  });

  it("of one node are looked for once, so that a plan costs by its size: four times the project, about four times the looks", () => {
    const looksOf = (nodes: number) => {
      const project = scaleProject({ nodes, tests: nodes * 6, failing: "none", shared: 0.4 });
      const spies = [vi.spyOn(Map.prototype, "get"), vi.spyOn(Set.prototype, "has"), vi.spyOn(Set.prototype, "add")];
      try {
        planOf(project, { project: "shop", runId: "run" });
        return spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
      } finally {
        for (const spy of spies) spy.mockRestore();
      }
    };
    // A walk for each test looked sixteen times as often.
    expect(looksOf(400) / looksOf(100)).toBeLessThan(6);
  });
});
