import { existsSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import { at, readYaml } from "./dbt-files.ts";

const INSTALL_PATH = "packages-install-path";

/** dbt's path settings with their defaults: whatever lies below one of them is the project, whatever it is called. */
const SOURCE_PATHS: Readonly<Record<string, readonly string[]>> = {
  "model-paths": ["models"],
  "source-paths": [],
  "seed-paths": ["seeds"],
  "data-paths": [],
  "snapshot-paths": ["snapshots"],
  "test-paths": ["tests"],
  "macro-paths": ["macros"],
  "analysis-paths": ["analyses"],
  "function-paths": ["functions"],
  "docs-paths": [],
  "asset-paths": [],
  [INSTALL_PATH]: ["dbt_packages"],
};

/** Files that dbt reads below its paths: models, tests, seeds, macros, properties and docs. */
export const READ_BY_DBT = /\.(sql|py|csv|ya?ml|md)$/i;

/** Files of a dbt project's own folder that dbt reads, whatever its paths are. */
export const READ_AT_ROOT: ReadonlySet<string> = new Set([
  "dbt_project.yml",
  "packages.yml",
  "dependencies.yml",
  "package-lock.yml",
  "selectors.yml",
  "profiles.yml",
  "catalogs.yml",
  "vars.yml",
  ".dbtignore",
]);

/** Which folders of a dbt project dbt reads, and which it writes. All paths are absolute. */
export interface ProjectPaths {
  /** The folders that dbt reads, installed and local packages among them. */
  readonly sources: readonly string[];
  /** Those of them that are packages, or hold some: dbt projects of their own. */
  readonly packages: readonly string[];
  /** Where `dbt deps` installs; null where Jinja names it and dbt alone knows. */
  readonly installPath: string | null;
  /** The folders that dbt writes: they can be made again, and would change the image's hash with each build. */
  readonly outputs: readonly string[];
  /** Those of them that lie beside the project, as dbt_project.yml writes them: `../shared/models`. */
  readonly beside: readonly string[];
  /** The packages that packages.yml or dependencies.yml takes from a folder, those of packages too, each as it is written. */
  readonly localPackages: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads a project's paths as dbt does: dbt_project.yml, then dbt's variables, then the defaults. */
export function projectPaths(projectDir: string, environment: Environment = process.env): ProjectPaths {
  const settings = readYaml(join(projectDir, "dbt_project.yml"));
  const localPackages = withNested(projectDir, localPackagesOf(projectDir));
  const named = Object.entries(SOURCE_PATHS).flatMap(([key, defaults]) =>
    texts(at(settings, key), defaults).map((text) => rendered(text, environment)),
  );
  const written = named.filter((path) => path !== null);
  const sources = [...written, ...localPackages].map((path) => resolve(projectDir, path));
  const beside = written.filter((path) => isOutside(resolve(projectDir, path), projectDir));
  const [install] = texts(at(settings, INSTALL_PATH), SOURCE_PATHS[INSTALL_PATH] ?? []);
  const installed = install === undefined ? null : rendered(install, environment);
  const installPath = installed === null ? null : resolve(projectDir, installed);
  const packages = [
    ...(installPath === null ? [] : [installPath]),
    ...localPackages.map((path) => resolve(projectDir, path)),
  ];
  const outputs = [
    environment.DBT_ENGINE_TARGET_PATH ?? environment.DBT_TARGET_PATH,
    environment.DBT_ENGINE_LOG_PATH ?? environment.DBT_LOG_PATH,
    ...outputOf(settings, "target-path", "target", environment),
    ...outputOf(settings, "log-path", "logs", environment),
  ].flatMap((path) => (path === undefined || path === "" ? [] : [resolve(projectDir, path)]));
  const writes = outputs.filter((path) => !sources.includes(path));
  return { sources, packages, installPath, beside, outputs: writes, localPackages };
}

const isOutside = (path: string, folder: string) => path !== folder && !path.startsWith(folder + sep);

function outputOf(settings: unknown, key: string, usual: string, environment: Environment): string[] {
  const [text] = texts(at(settings, key), [usual]);
  return [rendered(text ?? usual, environment) ?? usual];
}

/** With the local packages of local packages, as far as they are there: dbt looks for them from the project's folder too. */
function withNested(projectDir: string, named: readonly string[]): string[] {
  const found = new Set(named);
  for (const local of found)
    for (const nested of localPackagesOf(resolve(projectDir, local)))
      if (existsSync(resolve(projectDir, nested, "dbt_project.yml"))) found.add(nested);
  return [...found];
}

function localPackagesOf(projectDir: string): string[] {
  return ["packages.yml", "dependencies.yml"].flatMap((file) => {
    const listed = at(readYaml(join(projectDir, file)), "packages");
    return Array.isArray(listed) ? listed.map((entry) => at(entry, "local")).filter((path) => isText(path)) : [];
  });
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

function texts(value: unknown, defaults: readonly string[]): readonly string[] {
  if (isText(value)) return [value];
  return Array.isArray(value) ? value.filter(isText) : defaults;
}

const ENV_VAR = /\{\{\s*env_var\(\s*["']([^"']+)["']\s*(?:,\s*["']([^"']*)["']\s*)?\)\s*\}\}/g;

/** A setting with its `env_var`s filled in; null where it needs more of Jinja than that. */
function rendered(text: string, environment: Environment): string | null {
  const filled = text.replace(ENV_VAR, (all, name: string, usual?: string) => environment[name] ?? usual ?? all);
  return filled.includes("{{") ? null : filled;
}
