import { z } from "zod";
import type { Manifest, ManifestNode } from "#core/dbt/manifest.ts";
import { MEANING_LIMITS, type Owner } from "#core/dbt/node-meaning.ts";
import { nodesOf } from "#core/dbt/tested-nodes.ts";
import type { Plan } from "#core/run/planning/plan.ts";

/** Who answers for a vertex, with dbt's group where it has one. */
export const ownerSchema = z.object({
  name: z.string().nullable(),
  email: z.string().nullable(),
  group: z.string().nullable(),
});
export type FactOwner = z.infer<typeof ownerSchema>;

/** A column as the project documents it. */
export const columnSchema = z.object({ name: z.string(), type: z.string().nullable() });

/** What people want to know of a vertex and nothing is decided by. */
export const vertexFactsSchema = z.object({
  owner: ownerSchema.optional(),
  tags: z.array(z.string()).optional(),
  meta: z.record(z.string(), z.unknown()).optional(),
  /** As dbt writes it, quoted or not. */
  relation: z.string().optional(),
  columns: z.array(columnSchema).optional(),
  /** Relations that it reads, those of sources and of what the run does not build among them. */
  inputs: z.array(z.string()).optional(),
});
export type VertexFacts = z.infer<typeof vertexFactsSchema>;

/**
 * `tasks/<n>/facts.json`, beside the plan and written with it: what events say of a vertex. Apart from the plan, which
 * every turn of every function reads and which must not grow by it.
 */
export const nodeFactsSchema = z.object({ contract: z.literal(1), vertices: z.record(z.string(), vertexFactsSchema) });
export type NodeFacts = z.infer<typeof nodeFactsSchema>;

/** What is read of such an object, at most: a kilobyte for each of the nodes that a plan may have, twice. */
export const MOST_FACTS_BYTES = 64 * 1024 * 1024;

/** Inputs of one node that are told, at most. */
const MOST_INPUTS = 100;

/** Key of the facts that were written beside this plan. */
export const factsKeyOf = (planKey: string): string => planKey.replace(/[^/]*$/, "facts.json");

/** The facts of a plan's vertices, as far as its manifest has any. Pure. */
export function factsOf(plan: Plan, manifest: Manifest): NodeFacts {
  const vertices: Record<string, VertexFacts> = {};
  for (const { uniqueId } of plan.vertices) {
    const node = manifest.nodes.get(uniqueId);
    const facts = node === undefined ? {} : factsOfNode(node, manifest);
    if (Object.keys(facts).length > 0) vertices[uniqueId] = facts;
  }
  return { contract: 1, vertices };
}

function factsOfNode(node: ManifestNode, manifest: Manifest): VertexFacts {
  const { tags, meta, columns } = node.meaning;
  const owner = ownerOf(node, manifest) ?? testedOwner(node, manifest);
  const isTest = node.resourceType === "test" || node.resourceType === "unit_test";
  const inputs = isTest ? [] : [...inputsOf(node, manifest)].slice(0, MOST_INPUTS);
  return {
    ...(owner !== null && { owner }),
    ...(tags.length > 0 && { tags: tags.slice(0, MEANING_LIMITS.tags).map((tag) => tag.slice(0, 100)) }),
    ...(meta !== null && { meta }),
    ...(node.relationName !== null && !isTest && { relation: node.relationName }),
    ...(columns.length > 0 && { columns: [...columns] }),
    ...(inputs.length > 0 && { inputs }),
  };
}

/** Its own word before that of its group. */
function ownerOf({ meaning }: ManifestNode, { groups }: Manifest): FactOwner | null {
  const ofGroup: Owner | undefined = groups.get(meaning.group ?? "");
  const owner = meaning.owner ?? ofGroup ?? (meaning.group === null ? null : { name: meaning.group, email: null });
  return owner === null ? null : { ...owner, group: meaning.group };
}

/** Of a test nobody is named for: whoever answers for the first of its nodes that somebody answers for. */
function testedOwner(node: ManifestNode, manifest: Manifest): FactOwner | null {
  if (node.resourceType !== "test" && node.resourceType !== "unit_test") return null;
  for (const id of nodesOf(manifest, node.uniqueId)) {
    const tested = manifest.nodes.get(id);
    const owner = tested === undefined ? null : ownerOf(tested, manifest);
    if (owner !== null) return owner;
  }
  return null;
}

/** What a node reads: an ephemeral model stands for what it reads itself. */
function inputsOf(node: ManifestNode, manifest: Manifest, seen = new Set<string>()): Set<string> {
  const inputs = new Set<string>();
  for (const id of node.dependsOn) {
    const parent = manifest.nodes.get(id);
    if (parent === undefined || seen.has(id)) continue;
    seen.add(id);
    if (parent.relationName !== null && parent.materialized !== "ephemeral") inputs.add(parent.relationName);
    else for (const input of inputsOf(parent, manifest, seen)) inputs.add(input);
  }
  return inputs;
}
