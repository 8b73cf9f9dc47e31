import { describe, expect, it } from "vitest";
import { policyOfRun } from "#core/contracts/run-policy.ts";
import { policySchema } from "#core/contracts/settings.ts";
import { readManifest } from "#core/dbt/manifest.ts";
import { InputError } from "#core/errors.ts";
import { staleSources } from "#core/run/planning/freshness-gate.ts";
import { leftOutBy } from "#core/run/planning/left-out.ts";
import { verdict } from "#core/run/reporting/verdict.ts";
import { manifestOf } from "../../containers/dbt-lines.ts";
import { dataTest, over, planOf, policyOf, row, vertex } from "../../support/run-builders.ts";

const WHEAT = "source.shop.raw.wheat";
const RYE = "source.shop.raw.rye";
const model = (name: string) => `model.shop.${name}`;
const [FLOUR, MEAL, BREAD, CAKE] = ["flour", "meal", "bread", "cake"].map(model) as [string, string, string, string];

const nodes = [
  { id: WHEAT },
  { id: RYE },
  { id: "seed.shop.prices" },
  { id: FLOUR, parents: [WHEAT] },
  { id: MEAL, parents: [RYE] },
  { id: CAKE, parents: [FLOUR] },
  { id: BREAD, parents: [FLOUR, MEAL] },
  { id: model("inline"), parents: [WHEAT], config: { materialized: "ephemeral" } },
  { id: model("on_inline"), parents: [model("inline")] },
  { id: model("priced"), parents: [FLOUR, "seed.shop.prices"] },
  { id: model("dates") },
  { id: "test.shop.on_wheat", parents: [WHEAT] },
  { id: "test.shop.on_cake", parents: [CAKE] },
  { id: "test.shop.cake_and_meal", parents: [CAKE, MEAL] },
  { id: "unit_test.shop.cake.adds", parents: [CAKE] },
  { id: "exposure.shop.menu", parents: [CAKE] },
];
const read = (more: typeof nodes = []) => readManifest(JSON.stringify(manifestOf([...nodes, ...more])));
const buildable = nodes.map(({ id }) => id).filter((id) => !id.startsWith("source."));
const stale = (...ids: string[]) => new Map(ids.map((id) => [id, "dbt says error"]));
const leftOut = (sources: ReadonlyMap<string, string>, selected = buildable, manifest = read()) =>
  [...leftOutBy(manifest, selected, sources).keys()].sort();

describe("H1: what is left out when sources are stale", () => {
  it("H1: nodes all of whose parents are stale or left out, and their tests; a clean parent keeps a node", () => {
    expect(leftOut(stale(WHEAT))).toEqual(
      [
        ...[FLOUR, CAKE, model("inline"), model("on_inline")],
        ...["test.shop.on_wheat", "test.shop.on_cake", "unit_test.shop.cake.adds", "exposure.shop.menu"],
      ].sort(),
    );
    expect(leftOut(stale(WHEAT, RYE))).toEqual(expect.arrayContaining([BREAD, MEAL, "test.shop.cake_and_meal"]));
    for (const kept of ["seed.shop.prices", model("priced"), model("dates")])
      expect(leftOut(stale(WHEAT, RYE)), kept).not.toContain(kept);
    expect(leftOut(stale())).toEqual([]);
  });

  it("H1: a test on a stale source stays while something that is built reads that source", () => {
    const manifest = read([{ id: model("both"), parents: [WHEAT, RYE] }]);
    const selected = [...buildable, model("both")];
    expect(leftOut(stale(WHEAT), selected, manifest)).not.toContain("test.shop.on_wheat");
    expect(leftOut(stale(WHEAT), selected, manifest)).toContain(FLOUR);
  });

  it("H1: a parent that is not selected keeps its children: this run knows nothing of it", () => {
    expect(leftOut(stale(WHEAT), [CAKE, "test.shop.on_cake"])).toEqual([]);
    expect(leftOut(stale(WHEAT), [model("on_inline")]), "what is inlined is read").toEqual([model("on_inline")]);
  });

  it("H1: the reason names the sources", () => {
    expect(leftOutBy(read(), [CAKE], stale()).size).toBe(0);
    expect(leftOutBy(read(), [FLOUR, CAKE], stale(WHEAT)).get(CAKE)).toBe(
      `freshness gate: ${WHEAT} is stale (dbt says error).`,
    );
  });
});

describe("H1, H2: which sources are stale", () => {
  const result = (unique_id: string, status: string, more: object = {}) => ({ unique_id, status, ...more });
  const file = { results: [result(WHEAT, "error"), result(RYE, "warn", { max_loaded_at: "2026-01-30T00:00:00Z" })] };
  const judged = (
    freshness: object,
    decision: { stale: string[]; fresh: string[] } | null = null,
    sources: unknown = file,
  ) => {
    const { stale: found, warnings } = staleSources(
      policySchema.parse({ freshness }).freshness,
      { file: sources, decision },
      [WHEAT, RYE],
    );
    return { stale: [...found.keys()], reasons: [...found.values()], warnings };
  };

  it("H1: a file of dbt's that can not be read is not taken for one without stale sources", () => {
    for (const odd of [{}, { results: [{ node: WHEAT, status: "error" }] }, "sources"])
      expect(() => judged({ gate: "error" }, null, odd)).toThrow("sources.json");
  });

  it("H1: gate: error takes dbt's error, gate: warn its warning too", () => {
    expect(judged({ gate: "error" }).stale).toEqual([WHEAT]);
    expect(judged({ gate: "warn" }).stale).toEqual([WHEAT, RYE]);
    expect(judged({ gate: "warn" }).reasons[1]).toBe("dbt says warn, newest row 2026-01-30T00:00:00Z");
  });

  it("H1: a source whose freshness could not be taken is not stale, and the run warns of it", () => {
    const { stale: found, warnings } = judged({ gate: "warn" }, null, {
      results: [result(WHEAT, "runtime error", { error: "no table\nmore" })],
    });
    expect(found).toEqual([]);
    expect(warnings).toEqual([
      `The freshness of ${WHEAT} could not be taken, so that what reads it is built: no table`,
    ]);
  });

  it("H2: the project's program goes before dbt's word, and what is named before both", () => {
    expect(judged({ gate: "error" }, { stale: ["raw.rye"], fresh: [WHEAT] }).stale).toEqual([RYE]);
    expect(
      judged({ gate: "error", stale: [WHEAT], fresh: ["raw.rye"] }, { stale: ["raw.rye"], fresh: [WHEAT] }).stale,
    ).toEqual([WHEAT]);
    expect(judged({ gate: "given", stale: ["raw.rye"] }, null, null)).toMatchObject({
      stale: [RYE],
      reasons: ["policy.freshness says so"],
    });
  });

  it("H2: a source that there is not is refused: what reads the one that was meant would be built", () => {
    expect(() => judged({ gate: "given", stale: ["raw.weat"] })).toThrow(InputError);
    expect(() => judged({ gate: "error" }, { stale: [], fresh: ["wheat"] })).toThrow(
      /freshness.command: the dbt project has no source wheat/,
    );
  });

  it("H2: one run says which sources are stale beside what its project has set", () => {
    const project = policySchema.parse({ freshness: { gate: "error", command: ["./decide"] } });
    const { freshness } = policyOfRun(project, { freshness: { stale: ["raw.rye"] } }, 240);
    expect(freshness).toEqual({ gate: "error", command: ["./decide"], stale: ["raw.rye"], fresh: [] });
  });
});

describe("H1: the verdict of a run with a gate", () => {
  const out = { leftOut: "freshness gate: source.shop.raw.wheat is stale (dbt says error)." };
  const ended = (vertices: Parameters<typeof planOf>[0], rows: Parameters<typeof row>[0][], changes: object = {}) =>
    verdict({
      plan: planOf(vertices, changes),
      rows: rows.map((id) => row(id, "success")),
      tasks: [over(1)],
      policy: policyOf(),
      stopReason: null,
      selectsByState: false,
    });

  it("H1: green of what was built, and says what was left out and why", () => {
    const said = ended([vertex("a", [], out), vertex("b"), dataTest("test.t", ["b"])], ["b", "test.t"]);
    expect(said).toMatchObject({ state: "green", causes: [] });
    expect(said.sentence).toBe(`Every one of 2 vertices is good. 1 vertex was left out: ${out.leftOut}`);
  });

  it("H1: everything left out is green and says that nothing was built, hooks at its end or not", () => {
    const said = ended([vertex("a", [], out), vertex("b", ["a"], out)], [], { endHooks: true });
    expect(said).toMatchObject({ state: "green" });
    expect(said.sentence).toBe(`Nothing was built. 2 vertices were left out: ${out.leftOut}`);
  });
});
