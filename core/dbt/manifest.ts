import { FatalError } from "#core/errors.ts";
import { fileSchema, nodeSchema } from "./manifest-schema.ts";
import { addTestEdges, addUnitTests, testedBy } from "./test-edges.ts";

/** A vertex, or anything else in dbt's graph, as the manifest describes it. */
export interface ManifestNode {
  uniqueId: string;
  resourceType: string;
  name: string;
  packageName: string;
  originalFilePath: string;
  fqn: string[];
  /** Parents as dbt wrote them; for a unit test the model it tests is the first. */
  dependsOn: string[];
  /** Empty where the type has none (exposures, sources, unit tests). */
  materialized: string;
  /** Nothing to run: a file of white space alone. */
  hollow: boolean;
  checksum: string | null;
  relationName: string | null;
  /** Tests: `error` or `warn`, in lower case; null for anything else. */
  severity: string | null;
  /** The node a generic test hangs on; null for singular tests and nodes. */
  attachedNode: string | null;
  /** Version of a versioned model. */
  version: string | null;
  /** `config.on_error`, such as `continue`. */
  onError: string | null;
  incrementalStrategy: string | null;
  /** Of a microbatch model: hour, day, month, year. */
  batchSize: string | null;
  /** `config.unique_key` names at least one column. */
  hasUniqueKey: boolean;
  /** `config.meta.stepwatch` or `meta.stepwatch`, unread; undefined when there is none. */
  stepwatchMeta: unknown;
  tags: string[];
  compiledPath: string | null;
}

/** The parts of manifest.json that decisions need. */
export interface Manifest {
  dbtVersion: string | null;
  invocationId: string | null;
  projectName: string | null;
  adapterType: string | null;
  /** Nodes, unit tests, sources, exposures, metrics, semantic models, saved queries, functions; disabled ones never. */
  nodes: ReadonlyMap<string, ManifestNode>;
}

/** dbt's graph of the whole project: each vertex's parents, unit tests and test edges included. */
export interface DbtGraph {
  manifest: Manifest;
  /** Parents by reference alone (`depends_on`). */
  parents: ReadonlyMap<string, readonly string[]>;
  /** Parents as `dbt build` gates: `parents` plus test → children of what it tests, plus unit test → its model. */
  gates: ReadonlyMap<string, readonly string[]>;
}

/** The manifest could not be read: cut while it was written, or no manifest at all. */
export class ManifestUnreadable extends FatalError {
  override readonly name = "ManifestUnreadable";
}

/**
 * Reads the text of manifest.json, tolerant of everything it does not need. dbt writes the file in place and in
 * pieces, so that a reader can see half of it.
 * @throws {@link ManifestUnreadable}
 */
export function readManifest(text: string): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new ManifestUnreadable("manifest.json is not whole: dbt was still writing it, or was stopped.", { cause });
  }
  const file = fileSchema.safeParse(parsed);
  if (!file.success) {
    throw new ManifestUnreadable("manifest.json has no `nodes`: give the file that dbt wrote.", { cause: file.error });
  }
  const { metadata, ...sections } = file.data;
  const nodes = Object.values(sections).flatMap((entries) => Object.values(entries ?? {}).flatMap(nodeOf));
  return {
    dbtVersion: metadata?.dbt_version ?? null,
    invocationId: metadata?.invocation_id ?? null,
    projectName: metadata?.project_name ?? null,
    adapterType: metadata?.adapter_type ?? null,
    nodes: new Map(nodes.map((node) => [node.uniqueId, node])),
  };
}

function nodeOf(entry: unknown): ManifestNode[] {
  const { data } = nodeSchema.safeParse(entry);
  if (data === undefined || data.config?.enabled === false) return [];
  const checksum = (typeof data.checksum === "string" ? data.checksum : data.checksum?.checksum) || null;
  const meta = data.config?.meta?.stepwatch ?? data.meta?.stepwatch;
  return [
    {
      uniqueId: data.unique_id,
      resourceType: data.resource_type,
      name: data.name,
      packageName: data.package_name,
      originalFilePath: data.original_file_path,
      fqn: data.fqn,
      dependsOn: data.depends_on?.nodes ?? [],
      materialized: data.config?.materialized ?? "",
      hollow: isHollow(data.resource_type, data.raw_code ?? null, checksum),
      checksum,
      relationName: data.relation_name || null,
      severity: data.config?.severity?.toLowerCase() ?? null,
      attachedNode: data.attached_node || null,
      version: data.version === null || data.version === undefined ? null : String(data.version),
      onError: data.config?.on_error ?? null,
      incrementalStrategy: data.config?.incremental_strategy ?? null,
      batchSize: data.config?.batch_size ?? null,
      hasUniqueKey: (data.config?.unique_key?.length ?? 0) > 0,
      stepwatchMeta: meta,
      tags: data.tags,
      compiledPath: data.compiled_path || null,
    },
  ];
}

/** SHA-256 of nothing: what dbt writes for a file of white space, also where it leaves `raw_code` away. */
const CHECKSUM_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** dbt lists such a node and never runs it; a seed is never empty, and a comment alone is run (and fails). */
function isHollow(resourceType: string, rawCode: string | null, checksum: string | null): boolean {
  if (!["model", "snapshot", "test"].includes(resourceType)) return false;
  return checksum === CHECKSUM_OF_NOTHING || (rawCode !== null && rawCode.trim() === "");
}

/**
 * dbt's graph from the manifest. Test edges follow dbt-core's `Linker.add_test_edges_1` (its default): a test gates a
 * node if everything the test depends on is an ancestor of the node. Where dbt adds an edge to every such node, only
 * the nearest ones get one here, which gates the same. Unit tests run just before their model, gated as it is.
 */
export function dbtGraph(manifest: Manifest): DbtGraph {
  const parents = new Map<string, string[]>();
  for (const node of manifest.nodes.values()) {
    parents.set(
      node.uniqueId,
      [...new Set(node.dependsOn)].filter((id) => manifest.nodes.has(id)),
    );
  }
  const gates = new Map([...parents].map(([id, list]) => [id, new Set(list)]));
  const nodes = [...manifest.nodes.values()];
  addTestEdges(
    nodes.filter((node) => node.resourceType === "test"),
    nodes,
    parents,
    gates,
  );
  addUnitTests(
    nodes.filter((node) => node.resourceType === "unit_test"),
    gates,
  );
  return { manifest, parents, gates: new Map([...gates].map(([id, set]) => [id, [...set]])) };
}

/** Whether a resource type is a test of either kind. */
export function isTestType(resourceType: string): boolean {
  return resourceType === "test" || resourceType === "unit_test";
}

/** Data and unit tests that hang on a node, in id order. A test over two nodes is one vertex, listed for both (C2). */
export function testsOf(manifest: Manifest, uniqueId: string): string[] {
  return [...manifest.nodes.values()]
    .filter((node) => isTestType(node.resourceType) && testedBy(node).includes(uniqueId))
    .map((node) => node.uniqueId)
    .sort();
}

/** Nodes (never sources) that a test is about. Empty for a test of sources alone, and for what is no test. */
export function nodesOf(manifest: Manifest, testId: string): string[] {
  const test = manifest.nodes.get(testId);
  if (test === undefined || !isTestType(test.resourceType)) return [];
  return testedBy(test).filter((id) =>
    ["model", "seed", "snapshot"].includes(manifest.nodes.get(id)?.resourceType ?? ""),
  );
}

/** The one node that answers for a test: the one it is attached to, else its first. Null for a test of sources alone. */
export function ownerOf(manifest: Manifest, testId: string): string | null {
  const nodes = nodesOf(manifest, testId);
  const attached = manifest.nodes.get(testId)?.attachedNode ?? null;
  return attached !== null && nodes.includes(attached) ? attached : (nodes[0] ?? null);
}
