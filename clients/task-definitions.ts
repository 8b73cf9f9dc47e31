import {
  DescribeTaskDefinitionCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
  type TaskDefinition,
} from "@aws-sdk/client-ecs";
import { ServiceUnavailable } from "#core/errors.ts";
import { unavailable } from "./aws-errors.ts";
import { callSettings } from "./aws-settings.ts";

/** Registry of task definitions, as a person's command uses it. */
export interface TaskDefinitions {
  /** Image of a revision's container; null where it has no such container. */
  imageOf(taskDefinitionArn: string, containerName: string): Promise<string | null>;
  /** Registers a revision of the same family that differs in the image of this container alone. Answers its ARN. */
  withImage(taskDefinitionArn: string, containerName: string, image: string): Promise<string>;
}

/** Task definitions of ECS. */
export function ecsTaskDefinitions(options: { client?: ECSClient } = {}): TaskDefinitions {
  const client = options.client ?? new ECSClient(callSettings);
  const describe = async (taskDefinition: string) =>
    client
      .send(new DescribeTaskDefinitionCommand({ taskDefinition, include: ["TAGS"] }))
      .catch(unavailable(ServiceUnavailable, `ECS DescribeTaskDefinition ${taskDefinition}`));
  return {
    async imageOf(taskDefinitionArn, containerName) {
      const { taskDefinition } = await describe(taskDefinitionArn);
      return taskDefinition?.containerDefinitions?.find(({ name }) => name === containerName)?.image ?? null;
    },

    async withImage(taskDefinitionArn, containerName, image) {
      const { taskDefinition = {}, tags = [] } = await describe(taskDefinitionArn);
      const containerDefinitions = (taskDefinition.containerDefinitions ?? []).map((container) =>
        container.name === containerName ? { ...container, image } : container,
      );
      const { family } = taskDefinition;
      const labels = tags.length > 0 ? { tags } : {};
      const command = new RegisterTaskDefinitionCommand({
        ...asAsked(taskDefinition),
        family,
        containerDefinitions,
        ...labels,
      });
      const registered = await client
        .send(command)
        .catch(unavailable(ServiceUnavailable, `ECS RegisterTaskDefinition ${family}`));
      const arn = registered.taskDefinition?.taskDefinitionArn;
      if (arn === undefined) throw new ServiceUnavailable(`ECS RegisterTaskDefinition ${family} answered no ARN.`);
      return arn;
    },
  };
}

/** What ECS adds to a revision: the call refuses it. */
const ADDED_BY_ECS = new Set([
  "taskDefinitionArn",
  "revision",
  "status",
  "requiresAttributes",
  "compatibilities",
  "registeredAt",
  "deregisteredAt",
  "registeredBy",
]);

const asAsked = (definition: TaskDefinition) =>
  Object.fromEntries(Object.entries(definition).filter(([name]) => !ADDED_BY_ECS.has(name))) as Pick<
    TaskDefinition,
    "cpu" | "memory" | "taskRoleArn" | "executionRoleArn" | "volumes"
  >;
