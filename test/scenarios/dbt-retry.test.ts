import { describe, expect, it } from "vitest";
import { nextRound } from "#core/run/deciding/next-round.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { type DrawnGraph, recordedGraphs } from "../support/drawn-graphs.ts";
import {
  decide,
  ephemeral,
  launchesOf,
  nodeFailed,
  over,
  planOf,
  policyOf,
  row,
  runOf,
  secondRound,
  vertex,
} from "../support/run-builders.ts";

function planOfGraph({ vertices, planned }: DrawnGraph): Plan {
  const builds = new Map(vertices.map((one) => [one.uniqueId, one.builds]));
  return planOf(
    planned.map(({ uniqueId, nodes, gateParents }) =>
      builds.get(uniqueId) ? vertex(uniqueId, gateParents, { on: nodes }) : ephemeral(uniqueId, gateParents),
    ),
  );
}

/** The ledger after the build that was recorded: a row of each vertex that dbt named, and the end of its task. */
function afterBuild(graph: DrawnGraph) {
  const plan = planOfGraph(graph);
  const rows = Object.entries(graph.words).map(([id, word]) => row(id, word));
  const unnamedSkips = plan.vertices.filter((one) => one.builds && graph.words[one.uniqueId] === undefined).length;
  return { plan, rows, tasks: [over(1, nodeFailed({ unnamedSkips }), { kind: "producer" })] };
}

const ASKED = { round: 1, by: "person", atMs: 0, downstream: false, force: false, fullRefresh: false } as const;

/**
 * `dbt retry` as a second oracle: what it took in hand after the recorded build of each graph. Known differences, which
 * is all that there are: it names no ephemeral, since it compiles them with whatever reads them, and it would also build
 * again what may double its rows (rows G28, D12: a person has to force that; no drawn vertex is of that kind).
 */
describe("a retry of the run, beside `dbt retry` of dbt 1.11 after the same build", () => {
  const graphs = recordedGraphs();

  it.each(graphs)("G7: takes of drawn graph $seed what dbt does, and nothing that is good", (graph) => {
    const left = afterBuild(graph);
    const { builds, refused } = nextRound({ ...left, run: runOf(), policy: policyOf() }, ASKED);
    const named = builds!.filter((view) => view.plan.builds).map((view) => view.plan.uniqueId);
    expect(named.sort()).toEqual([...graph.retried].sort());
    expect(refused).toEqual([]);
  });

  it.each(graphs.filter(({ retried }) => retried.length > 0))("G7: builds it of graph $seed by one build", (graph) => {
    const launches = launchesOf(decide({ ...afterBuild(graph), round: secondRound() }));
    const alone = launches.filter(({ kind }) => kind === "fallback").flatMap(({ set }) => set);
    const isFailedUnitTest = (id: string) => id.startsWith("unit_test.") && graph.words[id] === "fail";
    // dbt builds a unit test beside its model; a failed one is run alone first, and what it gates follows.
    expect(alone).toEqual(graph.retried.filter(isFailedUnitTest));
    if (alone.length > 0) return;
    expect(launches.map(({ kind }) => kind)).toEqual(["recovery"]);
    expect(launches[0]!.set.filter((id) => !id.startsWith("ephemeral_"))).toEqual([...graph.retried].sort());
  });

  it("the recording has something of each kind: failed models and tests, skips, skips that dbt did not name", () => {
    const again = graphs.flatMap(({ retried, words }) =>
      retried.map((id) => [id.split(/[._]/)[0], words[id]].join(" ")),
    );
    for (const kind of ["model error", "model skipped", "model ", "test fail", "test skipped", "unit fail"])
      expect(again, kind).toContain(kind);
  });
});
