import { join } from "node:path";
import { Command, CommanderError } from "commander";
import type { ProjectConfig } from "#core/config.ts";
import { ownStateDir } from "#local/own-files.ts";
import { onClosedPipe } from "../closed-pipe.ts";
import type { Context } from "../context.ts";
import { exitCodes, failureOf, InfrastructureError, UsageError } from "../failure.ts";
import { printFailure, say } from "../output.ts";
import { configPathOf, stateDirOf } from "../paths.ts";
import { realContext } from "../real-context.ts";
import { buildImage } from "./build-image.ts";
import { type Engine, engineOutput, findEngine } from "./engine.ts";
import { type ImageContents, readLayers } from "./layers.ts";
import { tryImage } from "./try-image.ts";

interface ImageFlags {
  readonly config?: string;
  readonly engine?: string;
  readonly base?: string;
  readonly node?: string;
  readonly tag?: string;
  readonly network?: string;
  readonly env: readonly string[];
  readonly volume: readonly string[];
  readonly writable?: boolean;
  readonly try: boolean;
}

/** `npm run image -- [project]`: builds a project's image where a container engine runs, looks into it, and tries it. */
function program(onImage: (project: string | undefined, flags: ImageFlags) => Promise<void>): Command {
  const collect = (value: string, values: readonly string[]) => [...values, value];
  return new Command("npm run image --")
    .description(
      "Builds a project's image as the deploy does, says its size, looks for keys in it, and runs the project with it.",
    )
    .argument("[project]", "of stepwatch.yaml; the first one by default")
    .option("--config <path>", "stepwatch.yaml")
    .option("--engine <command>", "docker, podman, finch or another that takes the same arguments")
    .option("--base <image>", "instead of the Dockerfile's Python image; one without a registry works")
    .option("--node <image>", "instead of the Dockerfile's Node image")
    .option("--tag <name>", "what to call it, for example to push it")
    .option("--network <mode>", "of the build's steps, for example host")
    .option("--env <name=value>", "for the trial's containers, repeatable", collect, [])
    .option("--volume <host:container>", "for the trial's containers, repeatable", collect, [])
    .option("--writable", "the trial's containers may write their root file system")
    .option("--no-try", "only build it and look into it")
    .exitOverride()
    .action(onImage);
}

function projectOf(context: Context, named: string | undefined, flags: ImageFlags): ProjectConfig {
  const { projects } = context.loadConfig(flags.config);
  const name = named ?? Object.keys(projects)[0]!;
  const project = projects[name];
  if (project !== undefined) return project;
  throw new UsageError(
    `There is no project ${name} in ${configPathOf(flags.config, context.cwd)}, which has ${Object.keys(projects).join(", ")}.`,
    "npm run image -- --help",
  );
}

async function image(context: Context, named: string | undefined, flags: ImageFlags): Promise<number> {
  const project = projectOf(context, named, flags);
  const engine = await findEngine(flags.engine);
  say(context, `Building the image of ${project.name} with ${engine.command} ${engine.version} …`);
  const tag = flags.tag ?? `stepwatch/${project.name.toLowerCase()}:local`;
  const { base, node, network } = flags;
  const onProgress = (line: string) => say(context, line);
  const id = await buildImage(engine, { project, tag, base, node, network, signal: context.interrupted, onProgress });
  const contents = await readLayers(engine, tag, buildSecretsOf(project));
  for (const line of sizeLines(tag, id, contents)) context.out.write(`${line}\n`);
  refuseSecrets(contents);
  await sayStart(context, engine, tag);
  if (!flags.try) return exitCodes.green;
  const options = [
    ...(flags.writable === true ? [] : ["--read-only"]),
    ...flags.env.flatMap((value) => ["--env", value]),
    ...flags.volume.flatMap((value) => ["--volume", value]),
  ];
  const exitCode = await tryImage(context, engine, {
    project: project.name,
    image: tag,
    config: flags.config,
    options,
  });
  const logs = join(stateDirOf(context.environment), "logs", "tasks");
  say(context, `The trial's AWS has ended, and its run with it; what the containers printed is in ${logs}.`);
  return exitCode;
}

/** Values that are at hand; those of files are the engine's to read. */
const buildSecretsOf = ({ image: { buildSecrets } }: ProjectConfig) =>
  new Map(
    Object.entries(buildSecrets).flatMap(([name, source]) => {
      const value = process.env[source] ?? "";
      return value.length < 6 ? [] : [[name, value] as const];
    }),
  );

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`.padStart(9);

function sizeLines(tag: string, id: string, { layers }: ImageContents): string[] {
  const total = (of: "bytes" | "compressedBytes") => layers.reduce((sum, layer) => sum + layer[of], 0);
  return [
    `${tag} ${id}`,
    "  unpacked compressed  made by",
    ...layers.map(
      (layer) => `${megabytes(layer.bytes)} ${megabytes(layer.compressedBytes)}  ${layer.madeBy.slice(0, 90)}`,
    ),
    `${megabytes(total("bytes"))} ${megabytes(total("compressedBytes"))}  in all`,
  ];
}

/** @throws {InfrastructureError} */
function refuseSecrets({ keys, leaked }: ImageContents): void {
  if (leaked.length > 0)
    throw new InfrastructureError(
      `The image holds the value of ${leaked.join(", ")}, which are build secrets.`,
      "Do not push it.",
    );
  if (keys.length > 0)
    throw new InfrastructureError(`The image holds what looks like a key: ${keys.join(", ")}.`, "Do not push it.");
}

/** From the engine's start to an answer of dbt: the least that a task spends before it does anything. */
async function sayStart(context: Context, engine: Engine, tag: string): Promise<void> {
  const begun = context.now();
  const asked = ["run", "--rm", "--read-only", "--network", "none", "--entrypoint", "dbt", tag, "--help"];
  await engineOutput(engine, asked);
  const seconds = (context.now() - begun) / 1000;
  context.out.write(`read-only and without a network, dbt answers after ${seconds.toFixed(1)} s\n`);
}

onClosedPipe([process.stdout, process.stderr]);
process.env.STEPWATCH_STATE_DIR ??= join(ownStateDir(), "image");
const context = realContext();
try {
  await program(async (named, flags) => {
    process.exitCode = await image(context, named, flags);
  }).parseAsync(process.argv.slice(2), { from: "user" });
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? exitCodes.green : exitCodes.usage;
  else {
    const failure = failureOf(error);
    printFailure(context, failure, false);
    process.exitCode = failure.exitCode;
  }
}
