import type { Stack } from "aws-cdk-lib";
import type { ContainerDefinition, FargateTaskDefinition } from "aws-cdk-lib/aws-ecs";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { ProjectConfig } from "#core/config.ts";

type Efs = NonNullable<ProjectConfig["efs"]>;

const VOLUME = "efs";

/** Mounts a project's file system: encrypted on its way, and only with the task role's right and the access point's user. */
export function mountShared(definition: FargateTaskDefinition, container: ContainerDefinition, efs: Efs): void {
  definition.addVolume({
    name: VOLUME,
    efsVolumeConfiguration: {
      fileSystemId: efs.fileSystemId,
      transitEncryption: "ENABLED",
      authorizationConfig: { accessPointId: efs.accessPointId, iam: "ENABLED" },
    },
  });
  container.addMountPoints({ sourceVolume: VOLUME, containerPath: efs.mountPath, readOnly: false });
}

/** Reading and writing the file system, through its access point alone. */
export function useShared(stack: Stack, efs: Efs | undefined): PolicyStatement[] {
  if (efs === undefined) return [];
  const arn = (resource: string, resourceName: string) =>
    stack.formatArn({ service: "elasticfilesystem", resource, resourceName });
  return [
    new PolicyStatement({
      sid: "SharedFiles",
      actions: ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
      resources: [arn("file-system", efs.fileSystemId)],
      conditions: {
        StringEquals: { "elasticfilesystem:AccessPointArn": arn("access-point", efs.accessPointId) },
      },
    }),
  ];
}
