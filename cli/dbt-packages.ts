import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import type { ProjectConfig } from "#core/config.ts";
import { withLock } from "#local/lock-file.mjs";
import { depsCommand, missingPackages } from "./preflight.ts";

export interface PackageInstallation {
  readonly stateDir: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly onProgress: (line: string) => void;
}

/**
 * Installs a project's dbt packages with the dbt that builds it, where packages.yml lists some and none is installed. One
 * project at a time: two may share a folder. A failure is said with the command that repeats it and leaves the other
 * projects alone; a run of this one says it again.
 * @param dbt path of the project's dbt
 */
export async function installDbtPackages(
  project: ProjectConfig,
  dbt: string,
  options: PackageInstallation,
): Promise<void> {
  if (missingPackages(project) === null) return;
  await withLock(join(options.stateDir, "dbt-deps.lock"), () => installAlone(project, dbt, options), {
    signal: options.signal,
  });
}

async function installAlone(project: ProjectConfig, dbt: string, options: PackageInstallation): Promise<void> {
  const folder = missingPackages(project);
  if (folder === null) return;
  options.onProgress(`Installing the dbt packages of ${project.name} (dbt deps) …`);
  const log = join(options.stateDir, "logs", `dbt-deps-${project.name}.log`);
  if ((await deps(project, dbt, log, options)) && missingPackages(project) === null) return;
  // dbt makes the folder first: half of it would count as installed.
  rmSync(resolve(project.projectDir, folder), { recursive: true, force: true });
  options.signal.throwIfAborted();
  options.onProgress(
    `The dbt packages of ${project.name} were not installed (no network, or a package that is not there: see ${log}). Before a run of it: ${depsCommand(project)}`,
  );
}

/** The variables that the image's build is given as secrets: what packages need there they need here. */
function buildSecretsOf({ image }: ProjectConfig, environment: PackageInstallation["environment"]) {
  const secretOf = (source: string) => {
    if (!isAbsolute(source)) return environment[source];
    return existsSync(source) ? readFileSync(source, "utf8").replace(/\n+$/, "") : undefined;
  };
  const values = Object.entries(image.buildSecrets).map(([name, source]) => [name, secretOf(source)] as const);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

/** Whether dbt deps ended well. */
async function deps(project: ProjectConfig, dbt: string, log: string, options: PackageInstallation): Promise<boolean> {
  const { projectDir, profilesDir, environment } = project;
  mkdirSync(join(options.stateDir, "logs"), { recursive: true });
  const output = openSync(log, "w");
  try {
    const child = spawn(dbt, ["deps", "--project-dir", projectDir, "--profiles-dir", profilesDir], {
      cwd: projectDir,
      env: { ...options.environment, ...environment, ...buildSecretsOf(project, options.environment) },
      stdio: ["ignore", output, output],
      signal: options.signal,
    });
    const [code] = (await once(child, "exit").catch(() => [null])) as [number | null];
    return code === 0;
  } finally {
    closeSync(output);
  }
}
