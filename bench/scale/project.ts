import { readManifest } from "#core/dbt/manifest.ts";
import { makePlan } from "#core/run/planning/make-plan.ts";
import type { Plan } from "#core/run/planning/plan.ts";

/** What fails in a generated project: nothing; a tenth of nodes and tests, below which nothing hangs; its first model. */
export const FAILING = ["none", "tenth", "root"] as const;
export type Failing = (typeof FAILING)[number];

export interface ScaleShape {
  readonly nodes: number;
  readonly tests: number;
  readonly failing: Failing;
  /** Share of the models with a test that is shared with another model: a relationships test on their first parent. */
  readonly shared?: number;
  /** Mean seconds that a node takes, and a test. */
  readonly nodeSeconds?: number;
  readonly testSeconds?: number;
}

/** One vertex of a generated project. */
export interface ScaleVertex {
  readonly uniqueId: string;
  readonly name: string;
  readonly type: "model" | "test";
  /** Other vertices that it reads. */
  readonly parents: readonly string[];
  readonly seconds: number;
  /** It fails in each build, with these words. */
  readonly failure: string | null;
}

export interface ScaleProject {
  readonly shape: ScaleShape;
  /** Parents before children. */
  readonly vertices: readonly ScaleVertex[];
}

export const SCALE_PROJECT = "scale";
const LAYERS = 10;

/** The first layer is small, so that what its first model gates is nearly everything; the last holds what may fail alone. */
const FIRST_SHARE = 0.04;
const LAST_SHARE = 0.2;

/** Share of a further layer's models that read the first model, directly or by one above them. */
const ROOT_SHARE = 0.95;

/** A layered project of any size; the same shape gives the same project. */
export function scaleProject(shape: ScaleShape): ScaleProject {
  const layers = layersOf(shape.nodes);
  const models = layers.flatMap((layer, depth) =>
    layer.map((at, nth) => modelOf(shape, at, parentsOf(layers, depth, nth), isLastOf(layers, depth, nth))),
  );
  return { shape, vertices: [...models, ...testsOf(shape, models, layers.at(-1)!)] };
}

function layersOf(nodes: number): number[][] {
  const first = Math.max(1, Math.round(nodes * FIRST_SHARE));
  const last = Math.round(nodes * LAST_SHARE);
  const each = Math.ceil((nodes - first - last) / (LAYERS - 2));
  const sizes = [
    first,
    ...Array.from({ length: LAYERS - 2 }, (_, n) => Math.min(each, nodes - first - last - n * each)),
  ];
  let at = 0;
  return [...sizes, last].map((size) => Array.from({ length: Math.max(0, size) }, () => at++));
}

const isLastOf = (layers: readonly (readonly number[])[], depth: number, nth: number): boolean =>
  depth === layers.length - 1 && nth < layers[depth]!.length / 2;

function parentsOf(layers: readonly (readonly number[])[], depth: number, nth: number): number[] {
  if (depth === 0) return [];
  const above = layers[depth - 1]!;
  const count = 1 + (hash(depth, nth) % 3);
  const chosen = Array.from({ length: count }, (_, n) => above[hash(depth, nth, n) % above.length]!);
  const readsRoot = depth === 1 && (nth % 100) / 100 < ROOT_SHARE;
  return [...new Set(readsRoot ? [0, ...chosen] : chosen)];
}

const modelId = (at: number): string => `model.${SCALE_PROJECT}.${modelName(at)}`;
const modelName = (at: number): string => `m_${String(at + 1).padStart(5, "0")}`;

function modelOf(
  { failing, nodeSeconds = 1 }: ScaleShape,
  at: number,
  parents: readonly number[],
  isLast: boolean,
): ScaleVertex {
  const fails = (failing === "root" && at === 0) || (failing === "tenth" && isLast);
  // Half of what fails comes to the same each time and gets no further try.
  const words =
    at % 2 === 0 ? `column "c_${at}" does not exist` : `value of ${at} is out of range, says nobody's table`;
  return {
    uniqueId: modelId(at),
    name: modelName(at),
    type: "model",
    parents: parents.map(modelId),
    seconds: spread(nodeSeconds, at),
    failure: fails ? `Database Error in model ${modelName(at)} (models/${modelName(at)}.sql)\n  ${words}` : null,
  };
}

function testsOf(
  { tests, failing, shared = 0, testSeconds = 0.2 }: ScaleShape,
  models: readonly ScaleVertex[],
  last: readonly number[],
): ScaleVertex[] {
  // Those on models that fail are skipped with them: the others of the last layer carry what fails.
  const carriers = last.slice(Math.ceil(last.length / 2));
  const wrong = failing === "tenth" ? Math.round(tests / 10) : 0;
  const test = (name: string, on: readonly string[], at: number, failure: string | null): ScaleVertex => ({
    uniqueId: `test.${SCALE_PROJECT}.${name}.${hash(at).toString(16).padStart(10, "0")}`,
    name,
    type: "test",
    parents: on,
    seconds: spread(testSeconds, at),
    failure,
  });
  const plain = Array.from({ length: tests }, (_, at) => {
    const fails = at < wrong;
    const model = models[fails ? carriers[at % carriers.length]! : at % models.length]!;
    const words = fails ? `Got ${1 + (at % 9)} results, configured to fail if != 0` : null;
    return test(`not_null_${model.name}_${at}`, [model.uniqueId], at, words);
  });
  const both = models.filter(({ parents }, at) => parents.length > 0 && hash(at, 7) % 100 < shared * 100);
  const relations = both.map(({ uniqueId, name, parents }, at) =>
    test(`relationships_${name}`, [parents[0]!, uniqueId], tests + at, null),
  );
  return [...plain, ...relations];
}

/** From 0.4 to 1.6 of the mean. */
const spread = (mean: number, at: number): number => mean * (0.4 + (hash(at, 3) % 1201) / 1000);

/** A number of these that looks like chance and is always the same (FNV-1a). */
function hash(...numbers: readonly number[]): number {
  let sum = 2_166_136_261;
  for (const number of numbers)
    for (let byte = 0; byte < 4; byte += 1) sum = Math.imul(sum ^ ((number >>> (byte * 8)) & 255), 16_777_619);
  return (sum ^ (sum >>> 15)) >>> 0;
}

/** manifest.json as dbt 1.11 writes it, as far as anything here reads it. */
export function manifestOf({ vertices }: ScaleProject): object {
  const entry = ({ uniqueId, name, type, parents }: ScaleVertex) => ({
    unique_id: uniqueId,
    resource_type: type,
    name,
    package_name: SCALE_PROJECT,
    original_file_path: type === "model" ? `models/${name}.sql` : "models/schema.yml",
    fqn: [SCALE_PROJECT, name],
    depends_on: { nodes: parents },
    raw_code: "select 1",
    checksum: { checksum: "d955d9ce33ebd7891e7d8ebb00c71a25aecba1665bf94289f9399fbe5d72a4f8" },
    relation_name: type === "model" ? `"dw"."${SCALE_PROJECT}"."${name}"` : null,
    ...(type === "test" ? { attached_node: parents.at(-1) } : {}),
    config: { enabled: true, materialized: type === "model" ? "table" : "test" },
  });
  return {
    metadata: { dbt_version: "1.11.16", project_name: SCALE_PROJECT, adapter_type: "postgres" },
    nodes: Object.fromEntries(vertices.map((vertex) => [vertex.uniqueId, entry(vertex)])),
    sources: {},
    exposures: {},
    unit_tests: {},
  };
}

/** The plan that the runner makes of such a project when nothing selects. */
export function planOf(project: ScaleProject, run: { readonly project: string; readonly runId: string }): Plan {
  const manifest = readManifest(JSON.stringify(manifestOf(project)));
  const selectedIds = project.vertices.map(({ uniqueId }) => uniqueId);
  return makePlan({ ...run, manifest, selectedIds, source: "manifest", dbtVersion: "1.11.16" });
}
