import { counted } from "#core/counted.ts";
import { dbtGraph } from "#core/dbt/dbt-graph.ts";
import type { Manifest, ManifestNode } from "#core/dbt/manifest.ts";
import { isBuilt, PLANNED_TYPES, TEST_TYPES } from "#core/dbt/resource-types.ts";
import { nodesOf } from "#core/dbt/tested-nodes.ts";
import { InputError } from "#core/errors.ts";
import { gateGraph } from "#core/run/planning/gate-graph.ts";
import { readNodeSettings } from "#core/run/planning/node-settings.ts";
import { type Plan, type PlanVertex, planVertexSchema } from "#core/run/planning/plan.ts";
import { mayFailAfterReplacing, type RepeatContext, repeatSafety } from "#core/run/planning/repeat-safety.ts";

export interface PlanSource {
  readonly project: string;
  readonly runId: string;
  readonly manifest: Manifest;
  /** What dbt selects, in any order; sources, metrics and analyses among it are no vertices and are left out. */
  readonly selectedIds: readonly string[];
  readonly source: Plan["source"];
  /** Tests run after all nodes, hence gate none of them (behaviour C7). */
  readonly testsAfterAll?: boolean;
  /** The run's own options give every build the same event-time window. */
  readonly windowIsGiven?: boolean;
  /** The run builds incremental models anew, microbatch models from their begin, unless their own configuration forbids it. */
  readonly fullRefresh?: boolean;
  /** Nothing is built yet: a bad `meta.stepwatch` value is refused instead of ignored. */
  readonly beforeBuild?: boolean;
  /** On-run hooks are run once in the run, not in each of its processes (behaviour G30). */
  readonly hooksOnce?: boolean;
  /** The adapter's database is on a server that takes many writers. */
  readonly manyWriters?: boolean;
  /** What our own policy leaves out, each with the reason (behaviour B2). */
  readonly leftOut?: ReadonlyMap<string, string>;
  /** What a person should know of how that was decided. */
  readonly notices?: readonly string[];
  /** Something selects: the plan is not the whole project. */
  readonly narrowed?: boolean;
  /** dbt's version where the manifest does not name it. */
  readonly dbtVersion: string;
}

/**
 * The plan of a run: dbt's selection, with dbt's own gates reduced to it. Deterministic: sorted by id.
 * @throws {InputError} before the build, for bad `meta.stepwatch` values
 */
export function makePlan(input: PlanSource): Plan {
  const { manifest } = input;
  const warnings: string[] = [...(input.notices ?? [])];
  const selected = [...new Set(input.selectedIds)].sort();
  const unknown = selected.filter((id) => !manifest.nodes.has(id));
  if (unknown.length > 0)
    warnings.push(`dbt selects ${unknown.length} ids that its manifest does not have: ${sample(unknown)}.`);
  const ids = selected.filter((id) => PLANNED_TYPES.has(manifest.nodes.get(id)?.resourceType ?? ""));
  const isDeferred = (id: string) =>
    input.testsAfterAll === true && TEST_TYPES.has(manifest.nodes.get(id)?.resourceType ?? "");
  const gating = ids.filter((id) => !isDeferred(id));
  const context = { adapterType: manifest.adapterType, fullRefresh: input.fullRefresh === true };
  const gates = gateGraph(dbtGraph(manifest), gating);
  const chosen = new Set(ids);
  const wrong = new Map<string, string[]>();
  const vertices = ids.map((id) => {
    const node = manifest.nodes.get(id)!;
    const nodes = nodesOf(manifest, id).filter((tested) => chosen.has(tested));
    const deferred = isDeferred(id);
    const gateParents = deferred ? nodes : (gates.get(id) ?? []).filter((parent) => chosen.has(parent));
    const fromBegin = node.fullRefresh ?? context.fullRefresh;
    const batchSize = input.windowIsGiven === true || fromBegin ? {} : batchSizeOf(node);
    return {
      ...planVertex(node, context),
      ...batchSize,
      ...(node.incrementalStrategy === "microbatch" && node.fullRefresh === false && { keepsRows: true }),
      gateParents,
      nodes,
      deferred,
      overrides: overridesOf(node, wrong),
      ...(input.leftOut?.has(id) && { leftOut: input.leftOut.get(id)! }),
    };
  });
  const problems = [...wrong].map(([problem, of]) => `meta of ${sample(of)}: ${problem}`);
  if (problems.length > 0 && input.beforeBuild === true)
    throw new InputError("Settings in the dbt project refused", problems);
  warnings.push(...problems.map((problem) => `Ignored: ${problem}`));
  const hooks = [...manifest.nodes.values()].filter((node) => node.resourceType === "operation");
  const endHooks = hooks.filter((hook) => hook.name.includes("on-run-end"));
  if (input.hooksOnce !== true) warnings.push(...hookWarnings(hooks));
  return {
    contract: 1,
    project: input.project,
    runId: input.runId,
    dbtVersion: manifest.dbtVersion ?? input.dbtVersion,
    adapterType: manifest.adapterType,
    ...(input.manyWriters === true && { manyWriters: true }),
    dbtProject: manifest.projectName ?? "",
    source: input.source,
    ...(input.narrowed !== undefined && { narrowed: input.narrowed }),
    vertices,
    endHooks: endHooks.length > 0,
    endHookCount: endHooks.length,
    hookCount: hooks.length,
    warnings,
  };
}

function planVertex(
  node: ManifestNode,
  context: RepeatContext,
): Omit<PlanVertex, "gateParents" | "nodes" | "overrides" | "deferred"> {
  return {
    uniqueId: node.uniqueId,
    name: node.version === null ? node.name : `${node.name}.v${node.version}`,
    resourceType: node.resourceType as PlanVertex["resourceType"],
    materialized: node.materialized || null,
    builds: isBuilt(node),
    fqn: [...node.fqn],
    packageName: node.packageName,
    originalFilePath: node.originalFilePath,
    ...repeatSafety(node, context),
    mayFailAfterReplacing: mayFailAfterReplacing(node, context.adapterType),
    onErrorContinue: node.onError === "continue",
  };
}

/** dbt knows no other sizes; one that it learns some day is planned as a day, whose window is too wide, never too narrow. */
function batchSizeOf(node: ManifestNode): Pick<PlanVertex, "batchSize" | "begin"> {
  if (node.incrementalStrategy !== "microbatch") return {};
  const known = planVertexSchema.shape.batchSize.safeParse(node.batchSize?.toLowerCase());
  const begin = node.begin === null ? {} : { begin: node.begin };
  return { batchSize: (known.success ? known.data : undefined) ?? "day", ...begin };
}

/**
 * `meta.stepwatch`, as far as it is valid (behaviour H5).
 * @param wrong gets what is not, with the vertices that say it: a folder's `+meta` says it to all of them
 */
function overridesOf(node: ManifestNode, wrong: Map<string, string[]>): PlanVertex["overrides"] {
  const { settings, problems } = readNodeSettings(node.stepwatchMeta, node.resourceType);
  for (const problem of problems) {
    const known = wrong.get(problem);
    if (known) known.push(node.uniqueId);
    else wrong.set(problem, [node.uniqueId]);
  }
  return settings;
}

/** on-run hooks run in every dbt process of a run, hence again in each fallback and recovery build (behaviour G18). */
function hookWarnings(hooks: readonly ManifestNode[]): string[] {
  if (hooks.length === 0) return [];
  return [
    `The project has ${counted(hooks.length, "on-run hook")}, which ${hooks.length === 1 ? "runs" : "run"} again in each fallback and recovery build; STEPWATCH_BUILD_KIND tells them (${sample(hooks.map((hook) => hook.name))}).`,
  ];
}

/** What `dbt build` runs of the whole project when nothing selects. */
export function buildableIds(manifest: Manifest): string[] {
  return [...manifest.nodes.values()]
    .filter((node) => PLANNED_TYPES.has(node.resourceType))
    .map((node) => node.uniqueId);
}

/**
 * Whether a whole-project plan agrees with the number of vertices that dbt set out to run. dbt counts what it runs,
 * which leaves out ephemerals and files without SQL; by version and line, unit tests and exposures are in or out.
 */
export function agreesWithCount(plan: Plan, nodeCount: number): boolean {
  const count = (type: string) => plan.vertices.filter((vertex) => vertex.resourceType === type).length;
  const built = plan.vertices.filter((vertex) => vertex.builds).length;
  const silent = count("exposure") + count("saved_query");
  const unitTests = count("unit_test");
  return [built, built - unitTests, built + silent, built + silent - unitTests].includes(nodeCount);
}

const sample = (ids: readonly string[]) => (ids.length <= 3 ? ids.join(", ") : `${ids.slice(0, 3).join(", ")}, …`);
