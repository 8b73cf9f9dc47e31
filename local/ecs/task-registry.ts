import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type AwsJson, EmulatorCallError } from "../emulator/aws-json.ts";
import { EcsApiError, invalidParameter } from "./ecs-errors.ts";
import type { Tag } from "./task-record.ts";

type Fields = Readonly<Record<string, unknown>>;

interface Kept {
  /** By name. */
  clusters: Record<string, { arn: string; tags: readonly Tag[] }>;
  /** By family, in the order of their revisions; tags beside the definition, as the API has them. */
  families: Record<string, { definition: Fields; tags: unknown }[]>;
}

export interface TaskRegistryOptions {
  /** JSON file that outlives the program. */
  readonly file: string;
  readonly region: string;
  readonly accountId: string;
}

/**
 * Clusters and task definitions, for an engine that has no ECS at all. They outlive this process: the engine's
 * CloudFormation goes on to believe in what it has once made here.
 */
export class TaskRegistry implements AwsJson {
  readonly #options: TaskRegistryOptions;
  readonly #kept: Kept;
  readonly #actions: Readonly<Record<string, (input: Fields) => object>>;

  constructor(options: TaskRegistryOptions) {
    this.#options = options;
    this.#kept = read(options.file);
    this.#actions = {
      CreateCluster: (input) => this.#createCluster(input),
      DescribeClusters: ({ clusters }) => this.#describeClusters(clusters as string[] | undefined),
      DeleteCluster: ({ cluster }) => this.#deleteCluster(String(cluster)),
      ListClusters: () => ({ clusterArns: Object.values(this.#kept.clusters).map(({ arn }) => arn) }),
      RegisterTaskDefinition: (input) => this.#register(input),
      DescribeTaskDefinition: ({ taskDefinition }) => {
        const { definition, tags } = this.#find(String(taskDefinition));
        return { taskDefinition: definition, tags };
      },
      DeregisterTaskDefinition: ({ taskDefinition }) => this.#deregister(String(taskDefinition)),
      ListTaskDefinitions: ({ familyPrefix }) => this.#list(familyPrefix),
    };
  }

  /** @throws {EcsApiError} as ECS would, or because the call is about something that no task needs */
  answer(action: string, input: Fields): object {
    const answer = this.#actions[action];
    if (answer === undefined)
      throw new EcsApiError("UnsupportedFeatureException", `${action} is not supported by the local ECS registry.`);
    return answer(input);
  }

  /** The same for those who ask a registry elsewhere by the protocol. */
  async call<Answer>(_service: "ecs", action: string, input: object): Promise<Answer> {
    try {
      return this.answer(action, input as Fields) as Answer;
    } catch (error) {
      if (error instanceof EcsApiError) throw new EmulatorCallError(error.name, error.message);
      throw error;
    }
  }

  #createCluster({ clusterName = "default", tags = [] }: Fields): object {
    const name = String(clusterName);
    this.#kept.clusters[name] ??= { arn: this.#arn(`cluster/${name}`), tags: tags as Tag[] };
    this.#write();
    return { cluster: this.#cluster(name) };
  }

  #cluster(name: string): object | undefined {
    const found = this.#kept.clusters[name];
    return found && { clusterArn: found.arn, clusterName: name, status: "ACTIVE", tags: found.tags, settings: [] };
  }

  #describeClusters(references: readonly string[] = ["default"]): object {
    const found = references.map((reference) => this.#cluster(lastPart(reference)));
    return {
      clusters: found.filter((cluster) => cluster !== undefined),
      failures: references
        .filter((_, at) => found[at] === undefined)
        .map((reference) => ({ arn: this.#arn(`cluster/${lastPart(reference)}`), reason: "MISSING" })),
    };
  }

  #deleteCluster(reference: string): object {
    const name = lastPart(reference);
    const cluster = this.#cluster(name);
    if (cluster === undefined) throw new EcsApiError("ClusterNotFoundException", "Cluster not found.");
    delete this.#kept.clusters[name];
    this.#write();
    return { cluster: { ...cluster, status: "INACTIVE" } };
  }

  #register({ tags = [], ...input }: Fields): object {
    const { family, containerDefinitions } = input;
    if (typeof family !== "string" || family === "") throw invalidParameter("Family can not be blank.");
    if (!Array.isArray(containerDefinitions) || containerDefinitions.length === 0)
      throw new EcsApiError("ClientException", "Container list cannot be empty.");
    const earlier = this.#kept.families[family] ?? [];
    const revision = earlier.length + 1;
    const taskDefinitionArn = this.#arn(`task-definition/${family}:${revision}`);
    const taskDefinition = { ...input, taskDefinitionArn, revision, status: "ACTIVE" };
    this.#kept.families[family] = [...earlier, { definition: taskDefinition, tags }];
    this.#write();
    return { taskDefinition, tags };
  }

  /** By ARN, by `family:revision`, or the newest active one of a family. */
  #find(reference: string): Kept["families"][string][number] {
    const [family = "", revision] = lastPart(reference).split(":");
    const revisions = this.#kept.families[family] ?? [];
    const found =
      revision === undefined
        ? revisions.findLast(({ definition }) => definition.status === "ACTIVE")
        : revisions.find(({ definition }) => String(definition.revision) === revision);
    if (found === undefined) throw new EcsApiError("ClientException", "Unable to describe task definition.");
    return found;
  }

  /** Tasks of a revision that is no longer registered can still be started by its ARN: runs that began with it go on. */
  #deregister(reference: string): object {
    const found = this.#find(reference);
    const family = String(found.definition.family);
    const inactive = { ...found, definition: { ...found.definition, status: "INACTIVE" } };
    this.#kept.families[family] = this.#kept.families[family]!.map((one) => (one === found ? inactive : one));
    this.#write();
    return { taskDefinition: inactive.definition };
  }

  #list(familyPrefix: unknown): object {
    const all = Object.entries(this.#kept.families)
      .filter(([family]) => familyPrefix === undefined || family === familyPrefix)
      .flatMap(([, revisions]) => revisions.map(({ definition }) => definition))
      .filter(({ status }) => status === "ACTIVE");
    return { taskDefinitionArns: all.map(({ taskDefinitionArn }) => taskDefinitionArn) };
  }

  #arn(resource: string): string {
    const { region, accountId } = this.#options;
    return `arn:aws:ecs:${region}:${accountId}:${resource}`;
  }

  #write(): void {
    const { file } = this.#options;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${file}.${process.pid}`, JSON.stringify(this.#kept, null, 2));
    renameSync(`${file}.${process.pid}`, file);
  }
}

function read(file: string): Kept {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { clusters: {}, families: {} };
    throw error;
  }
}

const lastPart = (reference: string): string => reference.split("/").at(-1) ?? reference;
