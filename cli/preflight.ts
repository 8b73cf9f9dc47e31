import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { parse as parseYaml } from "yaml";
import type { ProjectConfig } from "#core/config.ts";
import { isUnsupportedDbt, OLDEST_DBT } from "#core/dbt/build-end.ts";
import { UsageError } from "./failure.ts";

const AGAIN = "Correct stepwatch.yaml and run the same command again.";

/**
 * What can be known of a project before anything is started on this machine. dbt says the same things, but half a
 * minute later and in a task's log.
 * @throws {UsageError} with one sentence
 */
export function checkProject(
  project: ProjectConfig,
  options: { target?: string | undefined; profile?: string | undefined },
): void {
  const projectFile = join(project.projectDir, "dbt_project.yml");
  if (!existsSync(projectFile)) {
    throw new UsageError(
      `The project ${project.name} has no dbt project: there is no dbt_project.yml in ${project.projectDir} (projectDir).`,
      AGAIN,
    );
  }
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

function checkTarget(profile: unknown, name: string, file: string, target: string | undefined): void {
  if (target === undefined) return;
  const outputs = at(profile, "outputs");
  if (typeof outputs !== "object" || outputs === null || Object.hasOwn(outputs, target)) return;
  throw new UsageError(
    `The profile ${name} in ${file} has no target ${target}; it has ${Object.keys(outputs).join(", ")}.`,
    "Name another with --target, or in stepwatch.yaml.",
  );
}

/** dbt's YAML may hold Jinja that is no YAML; what can not be read is left to dbt. */
function readYaml(file: string): unknown {
  try {
    return parseYaml(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

const at = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;

function textAt(value: unknown, key: string): string | null {
  const text = at(value, key);
  return typeof text === "string" ? text : null;
}

/** Path of a program that is named by path, or looked up on PATH; null if there is none. */
export function findProgram(name: string, path: string): string | null {
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
