import { z } from "zod";
import { counted } from "#core/counted.ts";
import { dbtGraph } from "#core/dbt/dbt-graph.ts";
import type { Manifest, ManifestNode } from "#core/dbt/manifest.ts";
import { isBuilt, PLANNED_TYPES, TEST_TYPES } from "#core/dbt/resource-types.ts";
import { nodesOf } from "#core/dbt/tested-nodes.ts";
import { inOurWords } from "#core/zod-sentences.ts";
import { gateGraph } from "./gate-graph.ts";
import { type Plan, type PlanVertex, planVertexSchema } from "./plan.ts";
import { type RepeatContext, repeatSafety } from "./repeat-safety.ts";

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
  /** dbt's version where the manifest does not name it. */
  readonly dbtVersion: string;
}

/** The plan of a run: dbt's selection, with dbt's own gates reduced to it. Deterministic: sorted by id. */
export function makePlan(input: PlanSource): Plan {
  const { manifest } = input;
  const warnings: string[] = [];
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
      gateParents,
      nodes,
      deferred,
      overrides: overridesOf(node, warnings),
    };
  });
  const hooks = [...manifest.nodes.values()].filter((node) => node.resourceType === "operation");
  const endHooks = hooks.filter((hook) => hook.name.includes("on-run-end"));
  warnings.push(...hookWarnings(hooks));
  return {
    contract: 1,
    project: input.project,
    runId: input.runId,
    dbtVersion: manifest.dbtVersion ?? input.dbtVersion,
    adapterType: manifest.adapterType,
    dbtProject: manifest.projectName ?? "",
    source: input.source,
    vertices,
    endHooks: endHooks.length > 0,
    endHookCount: endHooks.length,
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

const overridesSchema = z.strictObject({
  retries: z.int().min(0).max(20).optional(),
  /** A person's word that building it twice doubles nothing, or does; read by `repeatSafety`. */
  safeToRepeat: z.boolean().optional(),
});

/** `meta.stepwatch`; dbt may be building by now, so that a bad value is ignored with a warning (behaviour H5). */
function overridesOf(node: ManifestNode, warnings: string[]): PlanVertex["overrides"] {
  if (node.stepwatchMeta === undefined || node.stepwatchMeta === null) return {};
  const parsed = overridesSchema.safeParse(node.stepwatchMeta, { error: inOurWords });
  if (parsed.success) return parsed.data.retries === undefined ? {} : { retries: parsed.data.retries };
  const why = parsed.error.issues.map((issue) => `${issue.path.join(".") || "value"}: ${issue.message}`).join("; ");
  warnings.push(`meta.stepwatch of ${node.uniqueId} is ignored (${why}).`);
  return {};
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
