import { Annotations } from "aws-cdk-lib";
import { DockerImageAsset, Platform } from "aws-cdk-lib/aws-ecr-assets";
import { ContainerImage } from "aws-cdk-lib/aws-ecs";
import type { Construct } from "constructs";
import type { ProjectConfig } from "#core/config.ts";
import { buildArguments, secretSources } from "./image-build.ts";
import { assembleImageContext } from "./image-context.ts";

/** An image that somebody else has built, by its digest. */
export function ownImage(scope: Construct, image: string): ContainerImage {
  Annotations.of(scope).acknowledgeWarning(
    "@aws-cdk/aws-ecs:ecrImageRequiresPolicy",
    "The execution role has AWS' own policy for it, which pulls from each repository of the account.",
  );
  return ContainerImage.fromRegistry(image);
}

/**
 * The image of a project, built at deploy. Its tag is a hash of all that goes into it, base images among them, and the
 * bootstrapped repository refuses a second image under it: as good as a digest, known at synth.
 */
export function builtImage(scope: Construct, root: string, project: ProjectConfig, runnerFile: string): ContainerImage {
  const context = assembleImageContext(root, project, runnerFile);
  for (const [n, warning] of context.warnings.entries())
    Annotations.of(scope).addWarningV2(`stepwatch:image:${project.name}:${n}`, warning);
  for (const note of context.notes) Annotations.of(scope).addInfo(note);
  const asset = new DockerImageAsset(scope, "Image", {
    directory: context.folder,
    platform: Platform.LINUX_AMD64,
    buildArgs: buildArguments(project),
    buildSecrets: secretSources(project),
  });
  return ContainerImage.fromDockerImageAsset(asset);
}
