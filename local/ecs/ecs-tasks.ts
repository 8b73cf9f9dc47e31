import { randomBytes } from "node:crypto";
import type { AwsJson } from "../emulator/aws-json.ts";
import type { LaunchContext } from "./container-launch.ts";
import { type EcsFaults, noFaults } from "./control.ts";
import { EcsApiError, invalidParameter } from "./ecs-errors.ts";
import { checkAgainstDefinition, checkRunTaskRequest, type RunTaskRequest } from "./run-task-request.ts";
import { describeTaskDefinition, type TaskDefinition } from "./task-definition.ts";
import { describeTask, newTask, type Tag, type TaskRecord } from "./task-record.ts";
import { TaskRun } from "./task-run.ts";

/** ECS describes a stopped task for about this long, and keeps its client token as long. */
const KEEP_STOPPED_SECONDS = 3600;
const MAX_DESCRIBED = 100;
/** LocalStack's CloudFormation gives a cluster this name. */
const UNNAMED_CLUSTER = "unknown";

export interface EcsTasksOptions extends Omit<LaunchContext, "metadataUriOf"> {
  /** Where clusters and task definitions are kept. */
  readonly registry: AwsJson;
  readonly region: string;
  readonly accountId: string;
  /** Where the metadata of containers is served, without a slash at the end. */
  readonly metadataBaseUrl: () => string;
}

interface TokenUse {
  readonly parameters: string;
  readonly taskArns: readonly string[];
}

/** The tasks of this machine, and the ECS calls that start, show and stop them. */
export class EcsTasks {
  faults: EcsFaults = noFaults();
  readonly #options: EcsTasksOptions;
  readonly #context: LaunchContext;
  readonly #runs = new Map<string, TaskRun>();
  readonly #tokens = new Map<string, TokenUse>();
  readonly #metadata = new Map<string, { readonly task: TaskRecord; readonly container: string }>();

  constructor(options: EcsTasksOptions) {
    this.#options = options;
    this.#context = { ...options, metadataUriOf: (task, container) => this.#metadataUri(task, container) };
  }

  async runTask(request: RunTaskRequest): Promise<object> {
    checkRunTaskRequest(request);
    this.#forgetOldTasks();
    const cluster = shortName(request.cluster ?? "default");
    const repeated = this.#tasksOfToken(cluster, request);
    if (repeated !== undefined) return answerOf(repeated);
    const capacityProviderName = request.capacityProviderStrategy?.[0]?.capacityProvider;
    await requireCluster(this.#options.registry, cluster, capacityProviderName);
    const definition = await describeTaskDefinition(this.#options.registry, request.taskDefinition ?? "");
    checkAgainstDefinition(request, definition);
    // Looked at again: another call with this token may have come by during the reads.
    const meanwhile = this.#tasksOfToken(cluster, request);
    if (meanwhile !== undefined) return answerOf(meanwhile);
    const failure = this.faults.failNextRunTasks.shift();
    if (failure !== undefined) return { tasks: [], failures: [failure] };
    const { overrides = {}, startedBy, group, launchType = "FARGATE", count = 1 } = request;
    const tags = tagsOf(request, definition);
    const tasks = Array.from({ length: count }, () =>
      newTask(
        { cluster, definition, overrides, startedBy, group, launchType, capacityProviderName, tags },
        this.#options.region,
        this.#options.accountId,
      ),
    );
    this.#rememberToken(cluster, request, tasks);
    const answer = answerOf(tasks);
    for (const task of tasks) this.#runs.set(task.taskArn, new TaskRun(task, this.#context, this.faults.startDelayMs));
    return answer;
  }

  describeTasks(request: { cluster?: string; tasks?: readonly string[]; include?: readonly string[] }): object {
    const references = request.tasks ?? [];
    if (references.length === 0) throw invalidParameter("Tasks cannot be empty.");
    if (references.length > MAX_DESCRIBED) throw invalidParameter(`At most ${MAX_DESCRIBED} tasks can be described.`);
    const hidden = this.faults.missingDescribes > 0;
    if (hidden) this.faults.missingDescribes -= 1;
    const found = references.map((reference) => (hidden ? undefined : this.#find(request.cluster, reference)));
    const withTags = request.include?.includes("TAGS") ?? false;
    return {
      tasks: found.filter((run) => run !== undefined).map((run) => describeTask(run.task, withTags)),
      failures: references
        .filter((_, index) => found[index] === undefined)
        .map((reference) => ({ arn: this.#arnOf(request.cluster, reference), reason: "MISSING" })),
    };
  }

  stopTask(request: { cluster?: string; task?: string; reason?: string }): object {
    const run = this.#find(request.cluster, request.task ?? "");
    if (run === undefined) throw invalidParameter("The referenced task was not found.");
    run.stop(request.reason ?? "Task stopped by user");
    return { task: describeTask(run.task, false) };
  }

  listTasks(request: Record<string, string | number | undefined>): object {
    const { desiredStatus = "RUNNING", family, startedBy, launchType, maxResults = 100, nextToken = "0" } = request;
    const cluster = shortName(String(request.cluster ?? "default"));
    const matching = [...this.#runs.values()]
      .map(({ task }) => task)
      .filter((task) => shortName(task.clusterArn) === cluster)
      .filter((task) => task.desiredStatus === desiredStatus)
      .filter((task) => family === undefined || task.definition.family === family)
      .filter((task) => startedBy === undefined || task.startedBy === startedBy)
      .filter((task) => launchType === undefined || task.launchType === launchType);
    const from = Number(nextToken);
    const to = from + Math.min(Number(maxResults), MAX_DESCRIBED);
    const taskArns = matching.slice(from, to).map((task) => task.taskArn);
    return to < matching.length ? { taskArns, nextToken: String(to) } : { taskArns };
  }

  /** @throws {EcsApiError} when there is no such task */
  taskByArn(arn: string): TaskRecord {
    return this.#runByArn(arn).task;
  }

  setTags(arn: string, change: (tags: readonly Tag[]) => readonly Tag[]): void {
    const { task } = this.#runByArn(arn);
    task.tags = change(task.tags);
  }

  /** What happens to a task on Spot when AWS wants its place back, without the two minutes' warning. */
  takeSpotAway(arn: string): void {
    this.#runByArn(arn).takeAway();
  }

  killOutOfMemory(arn: string): void {
    this.#runByArn(arn).killOutOfMemory();
  }

  /** The task and the container's name behind a metadata token. */
  byMetadataToken(token: string): { readonly task: TaskRecord; readonly container: string } | undefined {
    return this.#metadata.get(token);
  }

  /** Ends all tasks and waits for it; containers get at most `graceSeconds` between SIGTERM and SIGKILL. */
  async stopAll(reason: string, graceSeconds: number): Promise<void> {
    const runs = [...this.#runs.values()];
    for (const run of runs) run.stop(reason, graceSeconds);
    await Promise.all(runs.map((run) => run.ended));
  }

  forgetAll(): void {
    this.#runs.clear();
    this.#tokens.clear();
    this.#metadata.clear();
    this.faults = noFaults();
  }

  runningCount(): number {
    return [...this.#runs.values()].filter(({ task }) => task.lastStatus !== "STOPPED").length;
  }

  #metadataUri(task: TaskRecord, container: string): string {
    const token = randomBytes(16).toString("hex");
    this.#metadata.set(token, { task, container });
    return `${this.#options.metadataBaseUrl()}/v4/${token}`;
  }

  #runByArn(arn: string): TaskRun {
    const run = this.#runs.get(arn);
    if (run === undefined) throw invalidParameter("The referenced task was not found.");
    return run;
  }

  #arnOf(cluster: string | undefined, reference: string): string {
    if (reference.startsWith("arn:")) return reference;
    const { region, accountId } = this.#options;
    return `arn:aws:ecs:${region}:${accountId}:task/${shortName(cluster ?? "default")}/${reference}`;
  }

  #find(cluster: string | undefined, reference: string): TaskRun | undefined {
    const run = this.#runs.get(this.#arnOf(cluster, reference));
    return run !== undefined && shortName(run.task.clusterArn) === shortName(cluster ?? "default") ? run : undefined;
  }

  /** The same token and parameters: the same tasks. @throws {EcsApiError} ConflictException for other parameters */
  #tasksOfToken(cluster: string, request: RunTaskRequest): readonly TaskRecord[] | undefined {
    const use = this.#tokens.get(`${cluster}\n${request.clientToken}`);
    if (request.clientToken === undefined || use === undefined) return undefined;
    if (use.parameters === canonical(request)) return use.taskArns.map((arn) => this.taskByArn(arn));
    throw new EcsApiError("ConflictException", "The client token was used with other parameters.", {
      resourceIds: use.taskArns,
    });
  }

  #rememberToken(cluster: string, request: RunTaskRequest, tasks: readonly TaskRecord[]): void {
    if (request.clientToken === undefined) return;
    const taskArns = tasks.map(({ taskArn }) => taskArn);
    this.#tokens.set(`${cluster}\n${request.clientToken}`, { parameters: canonical(request), taskArns });
  }

  #forgetOldTasks(): void {
    const oldest = Date.now() / 1000 - KEEP_STOPPED_SECONDS;
    const old = [...this.#runs.values()].filter(({ task }) => (task.stoppedAt ?? Number.POSITIVE_INFINITY) < oldest);
    for (const { task } of old) this.#runs.delete(task.taskArn);
    for (const [token, use] of this.#tokens) {
      if (!use.taskArns.every((arn) => this.#runs.has(arn))) this.#tokens.delete(token);
    }
    for (const [token, { task }] of this.#metadata) if (!this.#runs.has(task.taskArn)) this.#metadata.delete(token);
  }
}

/** What the call names goes before what the definition has. */
function tagsOf({ tags = [], propagateTags }: RunTaskRequest, definition: TaskDefinition): Tag[] {
  const inherited = propagateTags === "TASK_DEFINITION" ? definition.tags : [];
  return [...inherited.filter(({ key }) => !tags.some((tag) => tag.key === key)), ...tags];
}

function answerOf(tasks: readonly TaskRecord[]): object {
  return { tasks: tasks.map((task) => describeTask(task, true)), failures: [] };
}

interface ClusterDescription {
  readonly status?: string;
  readonly capacityProviders?: readonly string[];
}

/** @throws {EcsApiError} ClusterNotFoundException; InvalidParameterException where the cluster lacks the provider */
async function requireCluster(registry: AwsJson, cluster: string, provider: string | undefined): Promise<void> {
  if (cluster === "default" || cluster === UNNAMED_CLUSTER) return;
  const { clusters = [] } = await registry.call<{ clusters?: ClusterDescription[] }>("ecs", "DescribeClusters", {
    clusters: [cluster],
  });
  const active = clusters.find(({ status }) => status === "ACTIVE");
  if (active === undefined) throw new EcsApiError("ClusterNotFoundException", "Cluster not found.");
  if (provider !== undefined && !active.capacityProviders?.includes(provider)) {
    throw invalidParameter(
      "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster.",
    );
  }
}

/** The last part of a cluster's ARN, or the name itself. */
function shortName(clusterReference: string): string {
  return clusterReference.split("/").at(-1) ?? clusterReference;
}

function canonical(request: object): string {
  return JSON.stringify(sorted(request));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([name, inner]) => [name, sorted(inner)]),
  );
}
