import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import type { ProjectConfig } from "#core/config.ts";
import { isUnsupportedDbt, OLDEST_DBT } from "#core/dbt/dbt-version.ts";
import { secretsOf, UNREADABLE_NEXT_STEP, unreadableSecret, unreadableSentence } from "#core/dbt/secrets.ts";
import { venvOf } from "#local/python.ts";
import { at, readYaml } from "../infra/dbt-files.ts";
import { quoted } from "./command-line.ts";
import { InfrastructureError, UsageError } from "./failure.ts";

const AGAIN = "Correct stepwatch.yaml and run the same command again.";

/**
 * What can be known of a project before anything is started on this machine. dbt says the same things, but half a
 * minute later and in a task's log.
 * @throws {UsageError} with one sentence
 */
export function checkProject(
  project: ProjectConfig,
  options: { target?: string | undefined; profile?: string | undefined; packages?: "installed later" },
): void {
  const projectFile = join(project.projectDir, "dbt_project.yml");
  if (!existsSync(projectFile)) {
    throw new UsageError(
      `The project ${project.name} has no dbt project: there is no dbt_project.yml in ${project.projectDir} (projectDir).`,
      AGAIN,
    );
  }
  checkSecrets(project);
  if (options.packages !== "installed later") checkDependencies(project);
  const profilesFile = join(project.profilesDir, "profiles.yml");
  if (!existsSync(profilesFile)) {
    throw new UsageError(
      `The project ${project.name} has no profile: there is no profiles.yml in ${project.profilesDir}.`,
      "Set profilesDir in stepwatch.yaml to the folder of your profiles.yml.",
    );
  }
  const wanted = options.profile ?? textAt(readYaml(projectFile), "profile");
  if (wanted === null || wanted.includes("{{")) return;
  const profile = at(readYaml(profilesFile), wanted);
  if (profile === undefined)
    throw new UsageError(
      `The profile ${wanted} of the project ${project.name} is not in ${profilesFile}.`,
      "Add it there, or name another with --profile.",
    );
  checkTarget(profile, wanted, profilesFile, options.target ?? project.target);
}

/** What of stepwatch.yaml dbt would mask in its own log; the container looks at the project's names as well. */
function checkSecrets(project: ProjectConfig): void {
  const secret = unreadableSecret(secretsOf(project.environment));
  if (secret !== null) throw new UsageError(unreadableSentence(secret), UNREADABLE_NEXT_STEP);
}

/** What a run of a small project writes: logs, artefacts, unpacked functions. */
const LEAST_FREE_MIB = 20;

/**
 * The disk of a folder that is there or will be made. On a full one the functions of the embedded AWS can not even say
 * what is wrong, and a run would wait for them.
 * @throws {InfrastructureError}
 */
export function checkDisk(folder: string, freeMiBOf: (folder: string) => number = freeMiB): void {
  const free = freeMiBOf(nearestThere(folder));
  if (free >= LEAST_FREE_MIB) return;
  throw new InfrastructureError(
    `The disk of ${folder} is full: ${Math.floor(free)} MiB are free, and a run needs at least ${LEAST_FREE_MIB}.`,
    "Free some space and run the same command again.",
  );
}

const nearestThere = (folder: string): string => (existsSync(folder) ? folder : nearestThere(dirname(folder)));

function freeMiB(folder: string): number {
  const { blocks, bavail, bsize } = statfsSync(folder);
  // Some file systems of networks and containers do not say how large they are.
  return blocks === 0 ? Number.POSITIVE_INFINITY : (bavail * bsize) / 1024 ** 2;
}

/**
 * The folder of installed packages that a project wants and has not; null where nothing is missing, or where Jinja names
 * the folder and dbt alone knows.
 */
export function missingPackages(project: ProjectConfig): string | null {
  const wanted = ["packages.yml", "dependencies.yml"].some((file) => {
    const listed = at(readYaml(join(project.projectDir, file)), "packages");
    return Array.isArray(listed) && listed.length > 0;
  });
  const folder =
    textAt(readYaml(join(project.projectDir, "dbt_project.yml")), "packages-install-path") ?? "dbt_packages";
  if (!wanted || folder.includes("{{") || existsSync(resolve(project.projectDir, folder))) return null;
  return folder;
}

/** The command by which a person installs a project's packages with the dbt that builds it. */
export function depsCommand(project: ProjectConfig): string {
  return `${quoted(dbtOf(project))} deps --project-dir ${quoted(project.projectDir)} --profiles-dir ${quoted(project.profilesDir)}`;
}

/** Path of the dbt that builds a project on this machine. */
export const dbtOf = (project: ProjectConfig): string =>
  project.dbt.executable ?? join(venvOf(project.dbt.packages).bin, "dbt");

/**
 * dbt-core refuses a project whose packages are not installed; dbt 2 installs them by itself, and which of them somebody's
 * own executable is, only it knows.
 */
function checkDependencies(project: ProjectConfig): void {
  const { executable, packages } = project.dbt;
  if (executable !== undefined || !packages.some((name) => /^dbt-core\b/.test(name))) return;
  const folder = missingPackages(project);
  if (folder === null) return;
  throw new UsageError(
    `The dbt packages of the project ${project.name} are not installed: there is no ${folder} in ${project.projectDir}.`,
    depsCommand(project),
  );
}

function checkTarget(profile: unknown, name: string, file: string, target: string | undefined): void {
  if (target === undefined) return;
  const outputs = at(profile, "outputs");
  if (typeof outputs !== "object" || outputs === null || Object.hasOwn(outputs, target)) return;
  throw new UsageError(
    `The profile ${name} in ${file} has no target ${target}; it has ${Object.keys(outputs).join(", ")}.`,
    "Name another with --target, or in stepwatch.yaml.",
  );
}

function textAt(value: unknown, key: string): string | null {
  const text = at(value, key);
  return typeof text === "string" ? text : null;
}

/** Path of a program that is named by path, or looked up on PATH; null if there is none. */
function findProgram(name: string, path: string): string | null {
  const candidates = name.includes("/")
    ? [name]
    : path
        .split(delimiter)
        .filter(Boolean)
        .map((folder) => join(folder, name));
  return candidates.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A pinned dbt-core in `packages` that is too old is refused before it is installed. @throws {UsageError} */
export function checkPackages(project: ProjectConfig): void {
  for (const requirement of project.dbt.packages) {
    const [, version] = /^dbt-core\s*[=~]=\s*([\d.]+)/.exec(requirement) ?? [];
    if (version !== undefined && isUnsupportedDbt(version)) throw tooOld(project, version);
  }
}

/**
 * The dbt that stepwatch.yaml names, asked for its version: `dbt --version` costs some seconds, and only a project with
 * an executable of its own pays them.
 * @throws {UsageError} if there is none, or it is too old
 */
export async function checkExecutable(project: ProjectConfig, path: string): Promise<string> {
  const named = project.dbt.executable ?? "dbt";
  const program = findProgram(named, path);
  if (program === null) {
    throw new UsageError(
      `The dbt of the project ${project.name} is missing: ${named} is no program${named.includes("/") ? "" : " on the PATH"}.`,
      "Correct dbt.executable in stepwatch.yaml, or leave it out to have dbt installed.",
    );
  }
  const version = await versionOf(program);
  if (version !== null && isUnsupportedDbt(version)) throw tooOld(project, version);
  return program;
}

const tooOld = (project: ProjectConfig, version: string) =>
  new UsageError(
    `dbt ${version} of the project ${project.name} is too old: stepwatch reads dbt ${OLDEST_DBT} and later.`,
    "Name a later one under dbt in stepwatch.yaml.",
  );

/** Null where dbt does not say: the build's own log says it later, and is checked again. */
async function versionOf(program: string): Promise<string | null> {
  try {
    const { stdout, stderr } = await promisify(execFile)(program, ["--version"], { timeout: 60_000 });
    return /(?:installed:\s*|dbt-fusion\s+|dbt\s+)v?(\d+\.\d+[\w.-]*)/i.exec(`${stdout}\n${stderr}`)?.[1] ?? null;
  } catch {
    return null;
  }
}
