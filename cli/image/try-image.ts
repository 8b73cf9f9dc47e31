import { readdirSync } from "node:fs";
import { join } from "node:path";
import { writeLocalImage } from "#local/ecs/local-image.ts";
import { down } from "#local/embedded-aws.ts";
import { ownProgram } from "#local/own-files.ts";
import { runCommand } from "../commands/run.ts";
import type { Context } from "../context.ts";
import { deployLocal, synthesise } from "../deploy-local.ts";
import { embeddedTarget, startEmbedded } from "../embedded.ts";
import { say } from "../output.ts";
import { configPathOf, stateDirOf } from "../paths.ts";
import { type Engine, engineOutput } from "./engine.ts";

export interface ImageTrial {
  readonly project: string;
  readonly image: string;
  readonly config: string | undefined;
  /** Options of the engine's `run`. */
  readonly options: readonly string[];
}

const ENGINE_VARIABLES = ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "CONTAINER_HOST", "XDG_RUNTIME_DIR"];

/** Containers of a trial, wherever they are left: an engine knows nothing of the process that asked for them. */
const LABEL = "stepwatch.image-trial";

/**
 * One run of the project on an embedded AWS of its own whose ECS starts the image in the container engine: plan, build,
 * fallbacks, summary. Answers the run's exit code. Nothing is left running.
 */
export async function tryImage(context: Context, engine: Engine, trial: ImageTrial): Promise<number> {
  const stateDir = stateDirOf(context.environment);
  const { config, project } = trial;
  const label = `${LABEL}=${process.pid}`;
  try {
    await deploy(context, stateDir, config);
    const entryPoint = [
      ...[process.execPath, ownProgram("ecs/run-in-engine"), engine.command, trial.image],
      ...["--label", label, ...trial.options],
    ];
    for (const reference of localImages(stateDir, project))
      writeLocalImage(stateDir, reference, { Entrypoint: entryPoint, Env: engineVariables(context) });
    // What this machine lacks of the project's packages and warehouse, the image has.
    const inImage = { ...context, checkProject: () => {} };
    return await runCommand(inImage, project, config === undefined ? {} : { config });
  } finally {
    await down({ stateDir });
    const left = await engineOutput(engine, ["ps", "--all", "--quiet", "--filter", `label=${label}`]);
    if (left !== "") await engineOutput(engine, ["rm", "--force", "--volumes", ...left.split("\n")]);
  }
}

/** As `deploy --local`, but for the dbt of this machine, which nothing here runs. */
async function deploy(context: Context, stateDir: string, named: string | undefined): Promise<void> {
  const { environment } = context;
  const onProgress = (line: string) => say(context, line);
  const configPath = configPathOf(named, context.cwd);
  const config = context.loadConfig(configPath);
  const local = { config, configPath, stateDir, environment, signal: context.interrupted, onProgress };
  const synthesis = await synthesise(local);
  const target = embeddedTarget(await startEmbedded(stateDir, onProgress), environment);
  await deployLocal(local, target, synthesis, new Map());
}

/** Where the engine's client finds its engine: the embedded ECS hands on nothing of this process's environment. */
const engineVariables = ({ environment }: Context) =>
  Object.fromEntries(
    ENGINE_VARIABLES.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  );

/** Under which names the embedded ECS looks this project's image up. */
function localImages(stateDir: string, project: string): string[] {
  return readdirSync(join(stateDir, "images"))
    .filter((name) => name.endsWith(".json"))
    .map((name) => decodeURIComponent(name.slice(0, -".json".length)))
    .filter((reference) => reference.startsWith(`stepwatch-local/${project.toLowerCase()}@`));
}
