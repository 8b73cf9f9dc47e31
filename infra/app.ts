import { dirname } from "node:path";
import { Annotations, App } from "aws-cdk-lib";
import { DockerImageAsset, Platform } from "aws-cdk-lib/aws-ecr-assets";
import { ContainerImage } from "aws-cdk-lib/aws-ecs";
import { Code } from "aws-cdk-lib/aws-lambda";
import { InputError } from "#core/errors.ts";
import { bundle } from "./bundle.ts";
import { assembleImageContext, refuseMissing } from "./image-context.ts";
import { loadConfig } from "./load-config.ts";
import { localImageHash, localImageReference } from "./local-image.ts";
import { StepwatchStack } from "./stepwatch-stack.ts";

/**
 * The CDK app. Context: `config` is the path of stepwatch.yaml (default: ./stepwatch.yaml); `local=true` is for the
 * embedded AWS, where no container engine is needed and data goes with the stack.
 */
async function main(): Promise<void> {
  const root = dirname(import.meta.dirname);
  const app = new App();
  const config = loadConfig(String(app.node.tryGetContext("config") ?? "stepwatch.yaml"));
  const local = String(app.node.tryGetContext("local") ?? "false") === "true";
  for (const project of Object.values(config.projects)) refuseMissing(project);
  const bundles = await bundle(root);
  new StepwatchStack(app, {
    config,
    local,
    functionCode: (name) => Code.fromAsset(bundles.functionFolder(name)),
    image: (scope, project) => {
      if (local)
        return ContainerImage.fromRegistry(
          localImageReference(project.name, localImageHash(project, bundles.runnerFile)),
        );
      const context = assembleImageContext(root, project, bundles.runnerFile);
      for (const warning of context.warnings)
        Annotations.of(scope).addWarningV2(`stepwatch:keys:${project.name}`, warning);
      const asset = new DockerImageAsset(scope, `${project.name}-image`, {
        directory: context.folder,
        platform: Platform.LINUX_AMD64,
        buildArgs: { DBT_PACKAGES: project.dbt.packages.join(" "), DBT_TARGET: project.target ?? "" },
      });
      return ContainerImage.fromDockerImageAsset(asset);
    },
  });
  app.synth();
}

try {
  await main();
} catch (error) {
  if (!(error instanceof InputError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
