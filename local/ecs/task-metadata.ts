import type { TaskRecord } from "./task-record.ts";

/** `${ECS_CONTAINER_METADATA_URI_V4}/task`: the fields of it that do not describe a network or a disk. */
export function describeTaskMetadata(task: TaskRecord): object {
  return {
    Cluster: task.clusterArn,
    TaskARN: task.taskArn,
    Family: task.definition.family,
    Revision: String(task.definition.revision),
    DesiredStatus: task.desiredStatus,
    KnownStatus: task.lastStatus,
    LaunchType: task.launchType,
    Limits: limitsOf(task),
    Containers: task.containers.map((container) => describeContainerMetadata(task, container.name)),
  };
}

/** `ECS_CONTAINER_METADATA_URI_V4` itself. */
export function describeContainerMetadata(task: TaskRecord, name: string): object {
  const container = task.containers.find((candidate) => candidate.name === name);
  return {
    DockerId: `${task.id}-${container?.runtimeId ?? "0"}`,
    Name: name,
    DockerName: name,
    Image: container?.image,
    ContainerARN: container?.containerArn,
    DesiredStatus: task.desiredStatus,
    KnownStatus: container?.lastStatus,
    Type: "NORMAL",
    Labels: {
      "com.amazonaws.ecs.cluster": task.clusterArn,
      "com.amazonaws.ecs.container-name": name,
      "com.amazonaws.ecs.task-arn": task.taskArn,
      "com.amazonaws.ecs.task-definition-family": task.definition.family,
      "com.amazonaws.ecs.task-definition-version": String(task.definition.revision),
    },
  };
}

/** ECS counts CPU in 1/1024 of a processor in the API and in processors here; memory is in MB in both. */
function limitsOf(task: TaskRecord): object {
  return {
    ...(task.cpu === undefined ? {} : { CPU: Number(task.cpu) / 1024 }),
    ...(task.memory === undefined ? {} : { Memory: Number(task.memory) }),
  };
}
