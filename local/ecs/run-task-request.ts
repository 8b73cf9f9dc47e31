import { invalidParameter } from "./ecs-errors.ts";
import { fieldsOf, listOf, type TaskDefinition } from "./task-definition.ts";
import type { Tag } from "./task-record.ts";

/** With all of its JSON, as ECS counts. */
const MAX_OVERRIDES_CHARACTERS = 8192;
const MAX_STARTED_BY_CHARACTERS = 128;
const MAX_CLIENT_TOKEN_CHARACTERS = 64;
const MAX_TASKS_PER_CALL = 10;
const MAX_TAGS = 50;

export interface RunTaskRequest {
  readonly taskDefinition?: string;
  readonly cluster?: string;
  readonly count?: number;
  readonly overrides?: Record<string, unknown>;
  readonly startedBy?: string;
  readonly group?: string;
  readonly launchType?: string;
  readonly capacityProviderStrategy?: readonly { readonly capacityProvider: string; readonly weight?: number }[];
  readonly clientToken?: string;
  readonly networkConfiguration?: object;
  readonly tags?: readonly Tag[];
  readonly propagateTags?: string;
}

/** What can be refused without looking at anything else. @throws {EcsApiError} InvalidParameterException */
export function checkRunTaskRequest(request: RunTaskRequest): void {
  const { taskDefinition, count = 1, startedBy = "", clientToken = "", tags = [] } = request;
  if (taskDefinition === undefined) throw invalidParameter("TaskDefinition can not be blank.");
  if (!Number.isInteger(count) || count < 1 || count > MAX_TASKS_PER_CALL) {
    throw invalidParameter(`count must be between 1 and ${MAX_TASKS_PER_CALL}.`);
  }
  if (JSON.stringify(request.overrides ?? {}).length > MAX_OVERRIDES_CHARACTERS) {
    throw invalidParameter(`Container Overrides length must be at most ${MAX_OVERRIDES_CHARACTERS}`);
  }
  if (startedBy.length > MAX_STARTED_BY_CHARACTERS) {
    throw invalidParameter(`startedBy must be at most ${MAX_STARTED_BY_CHARACTERS} characters long.`);
  }
  if (clientToken.length > MAX_CLIENT_TOKEN_CHARACTERS) {
    throw invalidParameter(`clientToken must be at most ${MAX_CLIENT_TOKEN_CHARACTERS} characters long.`);
  }
  if (request.capacityProviderStrategy !== undefined && request.launchType !== undefined) {
    throw invalidParameter("Specifying both a launch type and capacity provider strategy is not supported.");
  }
  if (tags.length > MAX_TAGS) throw invalidParameter(`A task can have at most ${MAX_TAGS} tags.`);
}

/** What can be refused with the task definition at hand. @throws {EcsApiError} InvalidParameterException */
export function checkAgainstDefinition(request: RunTaskRequest, definition: TaskDefinition): void {
  const names = new Set(definition.containers.map(({ name }) => name));
  for (const override of listOf(request.overrides?.containerOverrides).map(fieldsOf)) {
    if (!names.has(String(override.name))) {
      throw invalidParameter(
        `Override for container named ${String(override.name)} is not a container in the TaskDefinition.`,
      );
    }
  }
  if (definition.networkMode === "awsvpc" && request.networkConfiguration === undefined) {
    throw invalidParameter("Network Configuration must be provided when networkMode 'awsvpc' is specified.");
  }
}
