import { resolve } from "node:path";
import { ContainerImage } from "aws-cdk-lib/aws-ecs";
import { Code } from "aws-cdk-lib/aws-lambda";
import { parseConfig, type StepwatchConfig, type StepwatchSettings } from "#core/config.ts";
import { ownBundles } from "./bundle.ts";
import { refuseLostDatabase } from "./database-place.ts";
import { refuseEarly } from "./early-problem.ts";
import { refuseMissing } from "./image-context.ts";
import { codeRoot } from "./installed.ts";
import { loadConfig } from "./load-config.ts";
import { localImageHash, localImageReference } from "./local-image.ts";
import { builtImage, ownImage } from "./project-image.ts";
import { byDigest } from "./resolve-tag.ts";
import type { StepwatchStackProps } from "./stepwatch-stack.ts";

/** What is the app's to say of a stack, beside its settings. */
export interface StackChoices extends Pick<StepwatchStackProps, "stack"> {
  /** For the embedded AWS; `stepwatch deploy --local` sets it, and nobody else needs to. */
  readonly local?: boolean;
}

/** What a stack is made of, for the settings of a file or of the app itself. @throws {InputError} */
export async function stackProps(
  source: string | StepwatchSettings,
  choices: StackChoices = {},
): Promise<StepwatchStackProps> {
  const config = typeof source === "string" ? loadConfig(source) : parseConfig(source, process.cwd(), resolve);
  return stackPropsOf(config, choices);
}

/** @throws {InputError} if a project's files are not there, or could not be built on what they name */
export async function stackPropsOf(
  config: StepwatchConfig,
  { local = false, stack }: StackChoices,
): Promise<StepwatchStackProps> {
  for (const project of Object.values(config.projects)) {
    refuseMissing(project);
    refuseEarly(project);
    if (!local) refuseLostDatabase(project);
  }
  const ownImages = local ? new Map<string, string>() : await resolveOwnImages(config);
  const bundles = await ownBundles();
  return {
    config,
    local,
    ...(stack && { stack }),
    functionCode: (name) => Code.fromAsset(bundles.functionFolder(name)),
    image: (scope, project) => {
      if (local)
        return ContainerImage.fromRegistry(
          localImageReference(project.name, localImageHash(project, bundles.runnerFile)),
        );
      const own = ownImages.get(project.name);
      return own === undefined ? builtImage(scope, codeRoot, project, bundles.runnerFile) : ownImage(scope, own);
    },
  };
}

/** Images that somebody else builds, by digest. The one thing for which synth may ask an account: what a tag names now. */
async function resolveOwnImages({ projects }: StepwatchConfig): Promise<Map<string, string>> {
  const named = Object.values(projects).flatMap(({ name, image: { uri } }) =>
    uri === undefined ? [] : [{ name, uri }],
  );
  return new Map(
    await Promise.all(
      named.map(async ({ name, uri }) => [name, await byDigest(`projects.${name}.image.uri`, uri)] as const),
    ),
  );
}
