import { type AwsJson, EmulatorCallError } from "../emulator/aws-json.ts";
import { EcsApiError } from "./ecs-errors.ts";
import type { Tag } from "./task-record.ts";

export interface ContainerDefinition {
  readonly name: string;
  readonly image: string;
  readonly essential: boolean;
  readonly entryPoint: readonly string[] | undefined;
  readonly command: readonly string[] | undefined;
  readonly workingDirectory: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  /** Variable's name to the reference (name or ARN) of its value. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly stopTimeoutSeconds: number;
  readonly log: { readonly group: string; readonly streamPrefix: string; readonly createGroup: boolean } | undefined;
}

export interface TaskDefinition {
  readonly arn: string;
  readonly family: string;
  readonly revision: number;
  readonly networkMode: string | undefined;
  readonly cpu: string | undefined;
  readonly memory: string | undefined;
  readonly containers: readonly ContainerDefinition[];
  readonly tags: readonly Tag[];
}

const DEFAULT_STOP_TIMEOUT_SECONDS = 30;

/**
 * Reads a task definition from the registry.
 *
 * @throws {EcsApiError} ClientException when there is none of this name
 */
export async function describeTaskDefinition(registry: AwsJson, reference: string): Promise<TaskDefinition> {
  try {
    const answer = await registry.call<{ taskDefinition: unknown; tags?: unknown }>("ecs", "DescribeTaskDefinition", {
      taskDefinition: reference,
      include: ["TAGS"],
    });
    return parseTaskDefinition(answer.taskDefinition, answer.tags);
  } catch (error) {
    if (error instanceof EmulatorCallError) throw new EcsApiError("ClientException", "TaskDefinition not found.");
    throw error;
  }
}

/**
 * The registry's JSON. What CloudFormation has registered keeps its spelling in nested fields (`ValueFrom`), what an SDK
 * has registered is in camel case: names of fields are compared without their first letter's case.
 */
export function parseTaskDefinition(raw: unknown, tags: unknown = []): TaskDefinition {
  const source = fieldsOf(raw);
  return {
    arn: String(source.taskDefinitionArn),
    family: String(source.family),
    revision: Number(source.revision),
    networkMode: optionalText(source.networkMode),
    cpu: optionalText(source.cpu),
    memory: optionalText(source.memory),
    containers: listOf(source.containerDefinitions).map(parseContainer),
    tags: listOf(tags)
      .map(fieldsOf)
      .map(({ key, value }) => ({ key: String(key), value: String(value ?? "") })),
  };
}

function parseContainer(raw: unknown): ContainerDefinition {
  const source = fieldsOf(raw);
  return {
    name: String(source.name),
    image: String(source.image),
    essential: String(source.essential ?? true) === "true",
    entryPoint: optionalTexts(source.entryPoint),
    command: optionalTexts(source.command),
    workingDirectory: optionalText(source.workingDirectory),
    environment: pairs(source.environment, "value"),
    secrets: pairs(source.secrets, "valueFrom"),
    stopTimeoutSeconds: Number(source.stopTimeout ?? DEFAULT_STOP_TIMEOUT_SECONDS),
    log: parseLog(source.logConfiguration),
  };
}

function parseLog(raw: unknown): ContainerDefinition["log"] {
  const configuration = fieldsOf(raw);
  // The driver's own options are free keys with hyphens, never renamed.
  const options = (configuration.options ?? {}) as Record<string, string>;
  const group = options["awslogs-group"];
  if (configuration.logDriver !== "awslogs" || group === undefined) return undefined;
  return {
    group,
    streamPrefix: options["awslogs-stream-prefix"] ?? "ecs",
    createGroup: options["awslogs-create-group"] === "true",
  };
}

function pairs(raw: unknown, valueField: string): Record<string, string> {
  const entries = listOf(raw).map((entry) => {
    const fields = fieldsOf(entry);
    return [String(fields.name), String(fields[valueField])] as const;
  });
  return Object.fromEntries(entries);
}

export function fieldsOf(raw: unknown): Record<string, unknown> {
  if (typeof raw !== "object" || raw === null) return {};
  return Object.fromEntries(
    Object.entries(raw).map(([name, value]) => [name.charAt(0).toLowerCase() + name.slice(1), value]),
  );
}

export function listOf(raw: unknown): readonly unknown[] {
  return Array.isArray(raw) ? raw : [];
}

function optionalText(raw: unknown): string | undefined {
  return raw === undefined || raw === null || raw === "" ? undefined : String(raw);
}

function optionalTexts(raw: unknown): readonly string[] | undefined {
  return Array.isArray(raw) && raw.length > 0 ? raw.map(String) : undefined;
}
