import { FatalError } from "#core/errors.ts";
import { fileSchema, nodeSchema } from "./manifest-schema.ts";
import { HOLLOW_TYPES } from "./resource-types.ts";

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
  /** Version of a versioned model. */
  version: string | null;
  /** `config.on_error`, such as `continue`. */
  onError: string | null;
  incrementalStrategy: string | null;
  /** Of a microbatch model: hour, day, month, year. */
  batchSize: string | null;
  /** `config.unique_key` names at least one column. */
  hasUniqueKey: boolean;
  /** Of a microbatch model: where its first build begins. ISO 8601. */
  begin: string | null;
  /** The model's own `full_refresh`, which wins over the run's option. */
  fullRefresh: boolean | null;
  postHooks: { sql: string; transaction: boolean }[];
  hasGrants: boolean;
  persistsDocs: boolean;
  /** `config.meta.stepwatch` or `meta.stepwatch`, unread; undefined when there is none. */
  stepwatchMeta: unknown;
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
      version: data.version === null || data.version === undefined ? null : String(data.version),
      onError: data.config?.on_error ?? null,
      incrementalStrategy: data.config?.incremental_strategy ?? null,
      batchSize: data.config?.batch_size ?? null,
      hasUniqueKey: (data.config?.unique_key?.length ?? 0) > 0,
      begin: data.config?.begin ?? null,
      fullRefresh: data.config?.full_refresh ?? null,
      postHooks: data.config?.["post-hook"] ?? data.config?.post_hook ?? [],
      hasGrants: Object.keys(data.config?.grants ?? {}).length > 0,
      persistsDocs: Object.values(data.config?.persist_docs ?? {}).includes(true),
      stepwatchMeta: meta,
      compiledPath: data.compiled_path || null,
    },
  ];
}

/** SHA-256 of nothing: what dbt writes for a file of white space, also where it leaves `raw_code` away. */
const CHECKSUM_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** dbt lists such a node and never runs it; a seed is never empty, and a comment alone is run (and fails). */
function isHollow(resourceType: string, rawCode: string | null, checksum: string | null): boolean {
  if (!HOLLOW_TYPES.has(resourceType)) return false;
  return checksum === CHECKSUM_OF_NOTHING || (rawCode !== null && rawCode.trim() === "");
}
