import { FatalError } from "#core/errors.ts";
import { JsonMembers } from "./json-members.ts";
import { groupSchema, type Metadata, metadataSchema, nodeSchema } from "./manifest-schema.ts";
import { columnsOf, metaOf, type NodeMeaning, type Owner, ownerIn } from "./node-meaning.ts";
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
  /** What it is to people: owner, tags, columns. Nothing is decided by it. */
  meaning: NodeMeaning;
}

/** The parts of manifest.json that decisions need. */
export interface Manifest {
  dbtVersion: string | null;
  invocationId: string | null;
  projectName: string | null;
  adapterType: string | null;
  /** Nodes, unit tests, sources, exposures, metrics, semantic models, saved queries, functions; disabled ones never. */
  nodes: ReadonlyMap<string, ManifestNode>;
  /** Owners of dbt's groups, by the group's name. */
  groups: ReadonlyMap<string, Owner>;
}

/** The manifest could not be read: cut while it was written, or no manifest at all. */
export class ManifestUnreadable extends FatalError {
  override readonly name = "ManifestUnreadable";
}

/** Members of manifest.json that hold dbt's graph. */
const GRAPH = new Set([
  ...["nodes", "sources", "exposures", "metrics", "semantic_models", "saved_queries", "functions", "unit_tests"],
]);
const GROUPS = "groups";

/**
 * Reads manifest.json from the pieces in which it comes, tolerant of everything that is not needed of it, and holding
 * none of that. dbt writes the file in place and in pieces, so that a reader can see half of it.
 */
export class ManifestReader {
  readonly #nodes = new Map<string, ManifestNode>();
  readonly #groups = new Map<string, Owner>();
  readonly #members = new JsonMembers({
    whole: new Set(["metadata"]),
    each: new Set([...GRAPH, GROUPS]),
    onObject: (member, value) => this.#take(member, value),
  });
  #metadata: Metadata = {};

  /** @throws {@link ManifestUnreadable} */
  push(bytes: Uint8Array): void {
    try {
      this.#members.push(bytes);
    } catch (cause) {
      throw notWhole(cause);
    }
  }

  /**
   * The file has come to its end.
   * @throws {@link ManifestUnreadable}
   */
  end(): Manifest {
    if (!this.#members.isWhole) throw notWhole();
    if (!this.#members.objects.has("nodes"))
      throw new ManifestUnreadable("manifest.json has no `nodes`: give the file that dbt wrote.");
    return {
      dbtVersion: this.#metadata.dbt_version ?? null,
      invocationId: this.#metadata.invocation_id ?? null,
      projectName: this.#metadata.project_name ?? null,
      adapterType: this.#metadata.adapter_type ?? null,
      nodes: this.#nodes,
      groups: this.#groups,
    };
  }

  #take(member: string, value: unknown): void {
    if (member === "metadata") this.#metadata = metadataSchema.parse(value);
    else if (member === GROUPS) this.#takeGroup(value);
    else if (this.#members.objects.has(member)) for (const node of nodeOf(value)) this.#nodes.set(node.uniqueId, node);
  }

  #takeGroup(value: unknown): void {
    const { data } = groupSchema.safeParse(value);
    const owner = ownerIn(data?.owner);
    if (data !== undefined && owner !== null) this.#groups.set(data.name, owner);
  }
}

const notWhole = (cause?: unknown) =>
  new ManifestUnreadable("manifest.json is not whole: dbt was still writing it, or was stopped.", { cause });

/**
 * Reads the text of manifest.json.
 * @throws {@link ManifestUnreadable}
 */
export function readManifest(text: string): Manifest {
  const reader = new ManifestReader();
  reader.push(new TextEncoder().encode(text));
  return reader.end();
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
      meaning: {
        owner: ownerIn(data.owner) ?? ownerIn(data.config?.meta?.owner ?? data.meta?.owner),
        group: data.config?.group ?? data.group ?? null,
        tags: data.tags ?? data.config?.tags ?? [],
        meta: metaOf(data.config?.meta ?? data.meta),
        columns: columnsOf(data.columns),
      },
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
