import { readFileSync, writeFileSync } from "node:fs";
import type { PlanVertex } from "#core/run/planning/plan.ts";
import { SimulatedBuild, type SimulatedVertex, SimulatedWarehouse } from "./simulated-dbt.ts";
import { randomProject } from "./simulated-project.ts";
import { Random } from "./simulated-random.ts";

/**
 * Random small graphs with failing vertices, drawn as the simulation draws them, written down as one real dbt project and
 * built once by the real dbt, so that the scripted dbt can be held against it. Names carry their graph's number; graphs
 * share nothing.
 */
export interface DrawnGraph {
  readonly seed: number;
  readonly vertices: readonly SimulatedVertex[];
  /** What the run selects: the vertices of its plan, with the nodes that a test is of. */
  readonly planned: readonly PlannedVertex[];
  /** dbt's last word on each planned vertex that it named, by the simulation's ids. */
  readonly words: Readonly<Record<string, string>>;
  /** Those of them that `dbt retry` takes in hand after that build. */
  readonly retried: readonly string[];
}

type PlannedVertex = Pick<PlanVertex, "uniqueId" | "nodes" | "gateParents">;

const RECORDED = new URL("../fixtures/drawn-graphs.json", import.meta.url);

/** The dbt project's own name. */
const PROJECT = "drawn_graphs";

export const recordedGraphs = (): DrawnGraph[] => JSON.parse(readFileSync(RECORDED, "utf8")) as DrawnGraph[];

export const writeRecordedGraphs = (graphs: readonly DrawnGraph[]): void =>
  writeFileSync(RECORDED, `[\n${graphs.map((graph) => JSON.stringify(graph)).join(",\n")}\n]\n`);

/** Graphs that nobody has built yet. */
export function drawGraphs(count: number): DrawnGraph[] {
  return Array.from({ length: count }, (_, n) => {
    const seed = n + 1;
    const options = { mostNodes: 7, killers: false, unreported: false, failFast: false };
    const { vertices, plan } = randomProject(new Random(seed), options);
    return {
      seed,
      // One build: how often a vertex would fail after the first time, and with which words, JSON need not know.
      vertices: [...vertices.values()].map(({ message: _, ...one }) => ({
        ...one,
        failures: Math.min(one.failures, 1),
      })),
      planned: plan.vertices.map(({ uniqueId, nodes, gateParents }) => ({ uniqueId, nodes, gateParents })),
      words: {},
      retried: [],
    };
  });
}

/** The last words of the scripted dbt. */
export function scriptedWords({ seed, vertices: all, planned }: DrawnGraph): Record<string, string> {
  const vertices = new Map(all.map((one) => [one.uniqueId, one]));
  const selection = planned.map((one) => one.uniqueId);
  const common = { name: "producer", warehouse: new SimulatedWarehouse(), random: new Random(seed), threads: 2 };
  const build = new SimulatedBuild({ ...common, vertices, selection, silentSkips: 0 });
  const words: Record<string, string> = {};
  while (!build.over) {
    const event = build.turn();
    if (event?.kind === "status" && vertices.get(event.uniqueId)!.builds) words[event.uniqueId] = event.status;
  }
  return words;
}

/** The real ids of a graph's planned vertices, by the simulation's. */
export const realIds = ({ seed, planned }: DrawnGraph): Map<string, string> =>
  new Map(planned.map(({ uniqueId, nodes }) => [uniqueId, realId(seed, uniqueId, nodes)]));

function realId(seed: number, id: string, nodes: readonly string[]): string {
  const name = nameOf(seed, id);
  if (id.startsWith("unit_test.")) return `unit_test.${PROJECT}.${nameOf(seed, testedBy(id, nodes))}.${name}`;
  return `${id.startsWith("test.") ? "test" : "model"}.${PROJECT}.${name}`;
}

/** The model that a unit test is of, also where the selection leaves that model out. */
const testedBy = (id: string, nodes: readonly string[]): string => nodes[0] ?? id.replace("unit_test.", "model_");

const nameOf = (seed: number, id: string): string => `g${seed}_${id.replace(".", "_")}`;

/** The files of the dbt project that holds all graphs, by path. */
export function projectFiles(graphs: readonly DrawnGraph[]): Map<string, string> {
  const files = new Map<string, string>();
  const project = {
    name: PROJECT,
    version: "1.0",
    "config-version": 2,
    profile: PROJECT,
    flags: { send_anonymous_usage_stats: false },
  };
  const tables = graphs.map(({ seed }) => `create table if not exists ${sourceOf(seed)} as select 1 as n`);
  files.set("dbt_project.yml", JSON.stringify({ ...project, "on-run-start": tables }));
  files.set(
    "profiles.yml",
    JSON.stringify({
      [PROJECT]: { target: "t", outputs: { t: { type: "duckdb", path: "drawn.duckdb", threads: 2 } } },
    }),
  );
  files.set(
    "macros/told_to_fail.sql",
    "{% macro told_to_fail() %}select {% if var('told') %}error('it is told to'){% else %}1{% endif %}{% endmacro %}\n",
  );
  for (const graph of graphs) addGraph(graph, files);
  return files;
}

const sourceOf = (seed: number): string => `g${seed}_source`;

function addGraph({ seed, vertices }: DrawnGraph, files: Map<string, string>): void {
  const sources = [{ name: sourceOf(seed), schema: "main", tables: [{ name: sourceOf(seed) }] }];
  const unitTests: unknown[] = [];
  for (const vertex of vertices) {
    const { uniqueId: id, failures } = vertex;
    const name = nameOf(seed, id);
    if (id.startsWith("unit_test.")) unitTests.push(unitTest(seed, vertex, vertices));
    else if (id.startsWith("test."))
      files.set(`tests/${name}.sql`, `select * from (${union(inputs(seed, vertex))}) where ${failures > 0}\n`);
    else files.set(`models/${name}.sql`, model(seed, vertex));
  }
  files.set(`models/g${seed}.yml`, JSON.stringify({ version: 2, sources, unit_tests: unitTests }));
}

/** With the variable `told` as false all of it is good, so that tables stand which a selection leaves out. A failing table fails by its hook, which a unit test of it does not run; a failing ephemeral can not be compiled. */
function model(seed: number, vertex: SimulatedVertex): string {
  const from = union(inputs(seed, vertex));
  const fails = vertex.failures > 0;
  if (!vertex.builds) {
    const broken = "{% if execute and var('told') %}{{ exceptions.raise_compiler_error('it is told to') }}{% endif %}";
    return `{{ config(materialized='ephemeral') }}\n${fails ? broken : ""}select * from (${from})\n`;
  }
  const hook = fails ? `, pre_hook="{{ told_to_fail() }}"` : "";
  return `{{ config(materialized='table'${hook}) }}\nselect count(*) as n from (${from})\n`;
}

/** What a vertex reads: its parents that are tables or ephemerals, the source where the test on it gates the vertex. */
function inputs(seed: number, { uniqueId, parents }: SimulatedVertex): string[] {
  const read = parents.filter((id) => /^(model|ephemeral)_/.test(id)).map((id) => `ref('${nameOf(seed, id)}')`);
  const isOnSource = uniqueId === "test.source" || parents.includes("test.source");
  return isOnSource ? [...read, `source('${sourceOf(seed)}', '${sourceOf(seed)}')`] : read;
}

const union = (read: readonly string[]): string =>
  read.length === 0 ? "select 1 as n" : read.map((one) => `select n from {{ ${one} }}`).join(" union all ");

function unitTest(
  seed: number,
  { uniqueId: id, failures }: SimulatedVertex,
  vertices: DrawnGraph["vertices"],
): unknown {
  const tested = vertices.find((one) => one.uniqueId === testedBy(id, []))!;
  const read = inputs(seed, tested);
  const right = Math.max(1, read.length);
  return {
    name: nameOf(seed, id),
    model: nameOf(seed, tested.uniqueId),
    given: read.map((input) => ({ input, rows: [{ n: 1 }] })),
    expect: { rows: [{ n: failures > 0 ? right + 1 : right }] },
  };
}
