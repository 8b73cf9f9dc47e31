import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import type { ProjectConfig } from "#core/config.ts";
import { STAND_IN } from "./image-build.ts";
import { packageVariables } from "./unknown-variables.ts";

/**
 * On the embedded AWS there is no container engine: a project's image is the `config` of an OCI image whose programs
 * are this machine's. Its reference has a digest as on AWS, made of what would be inside, so that a run's later tasks
 * are pinned to the code of its first there too.
 */

export interface LocalImageInputs {
  readonly project: ProjectConfig;
  /** Path of the dbt executable of the project's packages, or what stepwatch.yaml names. */
  readonly dbtExecutable: string;
  /** Path of the bundled runner; {@link pinRunner}'s, so that a later deploy leaves live runs alone. */
  readonly runnerFile: string;
  /** Path of Node 24. */
  readonly nodeExecutable: string;
  /** Folder below which tasks have their target and log folders. */
  readonly workDir: string;
}

/** The part of an OCI image's `config` that the embedded ECS reads. */
export interface LocalImageConfig {
  readonly Entrypoint: readonly string[];
  readonly Env: Readonly<Record<string, string>>;
  readonly WorkingDir: string;
}

/** Node's flags are the Dockerfile's: see there. */
export const RUNNER_FLAGS = ["--max-semi-space-size=2", "--heap-growing-percent=30"] as const;

/** What the container image would hold, for a program of this machine. On AWS the Dockerfile sets the same variables. */
export function localImageConfig(inputs: LocalImageInputs): LocalImageConfig {
  const { project, dbtExecutable, runnerFile, nodeExecutable, workDir } = inputs;
  const folders = dbtExecutable.includes("/") ? [dirname(dbtExecutable)] : [];
  return {
    Entrypoint: [nodeExecutable, ...RUNNER_FLAGS, runnerFile],
    Env: {
      ...Object.fromEntries(packageVariables(project).map((name) => [name, STAND_IN])),
      NODE_COMPILE_CACHE: join(dirname(runnerFile), "compiled"),
      PATH: [...folders, process.env.PATH ?? ""].filter((part) => part !== "").join(delimiter),
      STEPWATCH_DBT_PROJECT_DIR: project.projectDir,
      STEPWATCH_DBT_PROFILES_DIR: project.profilesDir,
      STEPWATCH_DBT_EXECUTABLE: dbtExecutable,
      STEPWATCH_WORK_DIR: workDir,
    },
    WorkingDir: project.projectDir,
  };
}

/**
 * Hash of what a project's tasks would run: the runner's bundle, the dbt packages or executable, and the project's
 * folders. The project's models are read where they lie: editing them needs no deploy, as with dbt itself.
 */
export function localImageHash(project: ProjectConfig, runnerFile: string): string {
  const { name, projectDir, profilesDir, dbt } = project;
  const hash = createHash("sha256").update(
    JSON.stringify([name, projectDir, profilesDir, dbt.executable ?? null, dbt.packages]),
  );
  return hash.update(readFileSync(runnerFile)).digest("hex");
}

/** The reference in the task definition, and the name under which the embedded ECS looks the image up. */
export function localImageReference(project: string, hash: string): string {
  return `stepwatch-local/${project.toLowerCase()}@sha256:${hash}`;
}

/**
 * Copies the bundled runner to a file named after its content, once: a container that starts after the next deploy, for
 * a run that began before it, finds the runner of its own image.
 * @returns the copy's path.
 */
export function pinRunner(folder: string, runnerFile: string): string {
  const content = createHash("sha256").update(readFileSync(runnerFile)).digest("hex").slice(0, 16);
  const pinned = join(folder, `runner-${content}.mjs`);
  if (existsSync(pinned)) return pinned;
  mkdirSync(folder, { recursive: true });
  copyFileSync(runnerFile, `${pinned}.${process.pid}`);
  renameSync(`${pinned}.${process.pid}`, pinned);
  return pinned;
}
