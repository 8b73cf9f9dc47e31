import { randomBytes } from "node:crypto";
import type { TaskDefinition } from "./task-definition.ts";

export type TaskStatus = "PROVISIONING" | "PENDING" | "RUNNING" | "DEPROVISIONING" | "STOPPED";
export type StopCode = "TaskFailedToStart" | "EssentialContainerExited" | "UserInitiated" | "SpotInterruption";

export interface Tag {
  readonly key: string;
  readonly value?: string;
}

export interface ContainerRecord {
  readonly containerArn: string;
  readonly name: string;
  readonly image: string;
  lastStatus: "PENDING" | "RUNNING" | "STOPPED";
  /** Process id on this machine. */
  runtimeId?: string;
  exitCode?: number;
  reason?: string;
}

/** A task as DescribeTasks shows it. Times are in seconds since 1970, as on the wire. */
export interface TaskRecord {
  readonly id: string;
  readonly taskArn: string;
  readonly clusterArn: string;
  readonly definition: TaskDefinition;
  readonly containers: ContainerRecord[];
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly startedBy: string | undefined;
  readonly group: string;
  readonly launchType: string;
  readonly capacityProviderName: string | undefined;
  readonly cpu: string | undefined;
  readonly memory: string | undefined;
  tags: readonly Tag[];
  lastStatus: TaskStatus;
  desiredStatus: "RUNNING" | "STOPPED";
  version: number;
  stopCode?: StopCode;
  stoppedReason?: string;
  readonly createdAt: number;
  pullStartedAt?: number;
  pullStoppedAt?: number;
  startedAt?: number;
  stoppingAt?: number;
  executionStoppedAt?: number;
  stoppedAt?: number;
}

export interface RunTaskInput {
  readonly cluster: string;
  readonly definition: TaskDefinition;
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly startedBy: string | undefined;
  readonly group: string | undefined;
  readonly launchType: string;
  readonly capacityProviderName?: string | undefined;
  readonly tags: readonly Tag[];
}

export function newTask(input: RunTaskInput, region: string, accountId: string): TaskRecord {
  const id = randomBytes(16).toString("hex");
  const prefix = `arn:aws:ecs:${region}:${accountId}`;
  const { definition, overrides } = input;
  return {
    id,
    taskArn: `${prefix}:task/${input.cluster}/${id}`,
    clusterArn: `${prefix}:cluster/${input.cluster}`,
    definition,
    containers: definition.containers.map(({ name, image }) => ({
      containerArn: `${prefix}:container/${input.cluster}/${id}/${randomBytes(16).toString("hex")}`,
      name,
      image,
      lastStatus: "PENDING",
    })),
    overrides,
    startedBy: input.startedBy,
    group: input.group ?? `family:${definition.family}`,
    launchType: input.launchType,
    capacityProviderName: input.capacityProviderName,
    cpu: (overrides.cpu as string | undefined) ?? definition.cpu,
    memory: (overrides.memory as string | undefined) ?? definition.memory,
    tags: input.tags,
    lastStatus: "PROVISIONING",
    desiredStatus: "RUNNING",
    version: 1,
    createdAt: nowSeconds(),
  };
}

export function describeTask(task: TaskRecord, withTags: boolean): Record<string, unknown> {
  const { id: _id, definition, tags, containers, ...fields } = task;
  return {
    ...fields,
    taskDefinitionArn: definition.arn,
    platformVersion: "1.4.0",
    platformFamily: "Linux",
    connectivity: task.lastStatus === "RUNNING" ? "CONNECTED" : "DISCONNECTED",
    healthStatus: "UNKNOWN",
    containers: containers.map((container) => ({
      ...container,
      taskArn: task.taskArn,
      healthStatus: "UNKNOWN",
      networkInterfaces: [],
    })),
    overrides: { containerOverrides: [], inferenceAcceleratorOverrides: [], ...task.overrides },
    attachments: [],
    attributes: [],
    tags: withTags ? tags : [],
  };
}

export function nowSeconds(): number {
  return Date.now() / 1000;
}
