import { appendFileSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { AwsJson } from "../emulator/aws-json.ts";
import type { LogShipper } from "../emulator/log-shipper.ts";
import { ContainerProcess } from "./container-process.ts";
import { TaskStartError } from "./ecs-errors.ts";
import { environmentOf, type LocalImage, readLocalImage } from "./local-image.ts";
import { resolveSecrets } from "./secrets.ts";
import { type ContainerDefinition, fieldsOf, listOf } from "./task-definition.ts";
import type { TaskRecord } from "./task-record.ts";

export interface LaunchContext {
  readonly stateDir: string;
  readonly aws: AwsJson;
  readonly logs: LogShipper;
  /** Endpoints and credentials that every container sees, as a task role would give them. */
  readonly baseEnvironment: Readonly<Record<string, string>>;
  readonly metadataUriOf: (task: TaskRecord, containerName: string) => string;
}

/** A container whose image and secrets are at hand. */
export interface PreparedContainer {
  readonly definition: ContainerDefinition;
  readonly image: LocalImage;
  readonly secrets: Readonly<Record<string, string>>;
}

export function traceFolderOf(stateDir: string): string {
  return join(stateDir, "ecs", "containers");
}

/** The file with everything that the containers of a task have printed. */
export function taskLogPath(stateDir: string, taskId: string): string {
  return join(stateDir, "logs", "tasks", `${taskId}.log`);
}

export function logStreamOf(log: NonNullable<ContainerDefinition["log"]>, name: string, taskId: string): string {
  return `${log.streamPrefix}/${name}/${taskId}`;
}

/** @throws {TaskStartError} when image, secrets or log group are missing */
export async function prepareContainer(
  definition: ContainerDefinition,
  context: LaunchContext,
): Promise<PreparedContainer> {
  const image = readLocalImage(context.stateDir, definition.image);
  const secrets = await resolveSecrets(context.aws, definition.secrets);
  if (definition.log !== undefined && !definition.log.createGroup)
    await requireLogGroup(context.aws, definition.log.group);
  return { definition, image, secrets };
}

async function requireLogGroup(aws: AwsJson, group: string): Promise<void> {
  const { logGroups = [] } = await aws.call<{ logGroups?: { logGroupName: string }[] }>("logs", "DescribeLogGroups", {
    logGroupNamePrefix: group,
  });
  if (logGroups.some(({ logGroupName }) => logGroupName === group)) return;
  throw new TaskStartError(
    `ResourceInitializationError: failed to validate logger args: The specified log group "${group}" does not exist.`,
  );
}

/** @throws {TaskStartError} when the program can not be started */
export function startContainer(
  prepared: PreparedContainer,
  task: TaskRecord,
  context: LaunchContext,
): Promise<ContainerProcess> {
  const { definition, image } = prepared;
  const metadataUri = context.metadataUriOf(task, definition.name);
  const override = overrideFor(task, definition.name);
  return ContainerProcess.start({
    name: definition.name,
    argv: argvOf(definition, image, override.command),
    env: {
      ...hostEnvironment(),
      ...context.baseEnvironment,
      ...environmentOf(image),
      ...definition.environment,
      ...prepared.secrets,
      ...override.environment,
      ECS_CONTAINER_METADATA_URI_V4: metadataUri,
    },
    workingDirectory: definition.workingDirectory ?? image.WorkingDir ?? scratchFolder(context.stateDir),
    stopTimeoutSeconds: definition.stopTimeoutSeconds,
    traceFile: join(traceFolderOf(context.stateDir), `${task.id}-${definition.name}.json`),
    metadataUri,
    onLine: lineWriter(definition, task, context),
  });
}

/** As Docker: an entry point of the task definition drops the image's command. */
export function argvOf(
  definition: ContainerDefinition,
  image: LocalImage,
  commandOverride: readonly string[] | undefined,
): readonly string[] {
  const entryPoint = definition.entryPoint ?? image.Entrypoint ?? [];
  const ownCommand = definition.command ?? (definition.entryPoint === undefined ? image.Cmd : undefined) ?? [];
  return [...entryPoint, ...(commandOverride ?? ownCommand)];
}

interface ContainerOverride {
  readonly command: readonly string[] | undefined;
  readonly environment: Readonly<Record<string, string>>;
}

function overrideFor(task: TaskRecord, containerName: string): ContainerOverride {
  const found = listOf(task.overrides.containerOverrides)
    .map(fieldsOf)
    .find((override) => override.name === containerName);
  const environment = listOf(found?.environment).map(fieldsOf);
  return {
    command: Array.isArray(found?.command) ? found.command.map(String) : undefined,
    environment: Object.fromEntries(environment.map(({ name, value }) => [String(name), String(value)])),
  };
}

/** A container inherits nothing from its host; a program of this machine can not do without these. */
function hostEnvironment(): Record<string, string> {
  const { PATH = "/usr/local/bin:/usr/bin:/bin", TMPDIR } = process.env;
  return { PATH, HOME: homedir(), LANG: "C.UTF-8", ...(TMPDIR === undefined ? {} : { TMPDIR }) };
}

function scratchFolder(stateDir: string): string {
  const folder = join(stateDir, "ecs", "scratch");
  mkdirSync(folder, { recursive: true });
  return folder;
}

function lineWriter(definition: ContainerDefinition, task: TaskRecord, context: LaunchContext): (line: string) => void {
  const file = taskLogPath(context.stateDir, task.id);
  mkdirSync(dirname(file), { recursive: true });
  const { log, name } = definition;
  return (line) => {
    appendFileSync(file, `${line}\n`);
    // CloudWatch Logs refuses an event without text.
    if (log !== undefined && line !== "") context.logs.write(log.group, logStreamOf(log, name, task.id), line);
  };
}
