import type { ProjectConfig } from "#core/config.ts";
import { ownBundles } from "../../infra/bundle.ts";
import { buildArguments, secretSources } from "../../infra/image-build.ts";
import { assembleImageContext } from "../../infra/image-context.ts";
import { packageRoot } from "../paths.ts";
import { type Engine, engineCommand, engineOutput } from "./engine.ts";

export interface ImageBuild {
  readonly project: ProjectConfig;
  readonly tag: string;
  /** Instead of what stepwatch.yaml says; a name without a digest too, since it is tried on this machine alone. */
  readonly base: string | undefined;
  readonly node: string | undefined;
  /** Of the build's own steps: `host`, where the engine has no bridge. */
  readonly network: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (line: string) => void;
}

/** Builds a project's image as the deploy does: the same context, the same arguments. Answers its id. */
export async function buildImage(engine: Engine, build: ImageBuild): Promise<string> {
  const { project, tag, base, node, network, signal, onProgress } = build;
  const { runnerFile } = await ownBundles();
  const context = assembleImageContext(packageRoot, project, runnerFile);
  for (const line of [...context.warnings, ...context.notes]) onProgress(line);
  const args = {
    ...buildArguments(project),
    ...(base !== undefined && { PYTHON_IMAGE: base }),
    ...(node !== undefined && { NODE_IMAGE: node }),
  };
  const secrets = Object.entries(secretSources(project)).map(([name, source]) => `id=${name},${source}`);
  await engineCommand(
    engine,
    [
      "build",
      ...(network === undefined ? [] : ["--network", network]),
      ...["--platform", "linux/amd64"],
      ...Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
      ...secrets.flatMap((secret) => ["--secret", secret]),
      ...["--tag", tag, context.folder],
    ],
    signal,
  );
  return engineOutput(engine, ["image", "inspect", "--format", "{{.Id}}", tag]);
}
