import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** Requirements of dbt's packages, by name; as pip reads them: `==1.9.4`, `~=1.9`, or nothing. */
export type Requirements = ReadonlyMap<string, string>;

export interface FoundRequirements {
  readonly requirements: Requirements;
  /** For people: the file or folder that says so. */
  readonly from: string;
}

const DBT = /^dbt[-_]/i;
const normal = (name: string): string => name.toLowerCase().replaceAll(/[_.]+/g, "-");

/**
 * What a folder says of the dbt that its people use: a lock file before what it was made from, before what happens to be
 * installed.
 */
export function requirementsIn(folder: string): FoundRequirements | null {
  const sources: readonly (readonly [string, (text: string) => Requirements])[] = [
    ["uv.lock", ofLock],
    ["poetry.lock", ofLock],
    ["pdm.lock", ofLock],
    ["Pipfile.lock", ofPipfileLock],
    ...requirementFiles(folder).map((file) => [file, ofRequirements] as const),
    ["pyproject.toml", ofPyproject],
  ];
  for (const [file, read] of sources) {
    const path = join(folder, file);
    if (!existsSync(path)) continue;
    const requirements = read(readFileSync(path, "utf8"));
    if (requirements.size > 0) return { requirements, from: path };
  }
  return (
    [".venv", "venv", "env"].map((name) => installedIn(join(folder, name))).find((found) => found !== null) ?? null
  );
}

const requirementFiles = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => /^requirements.*\.txt$/.test(name))
    .sort((a, b) => a.length - b.length);

/** uv, Poetry and PDM write a package in the same three lines. */
const ofLock = (text: string): Requirements =>
  new Map(
    [...text.matchAll(/^\[\[package\]\]\s*\nname = "([^"]+)"\s*\nversion = "([^"]+)"/gm)]
      .filter(([, name = ""]) => DBT.test(name))
      .map(([, name = "", version = ""]) => [normal(name), `==${version}`]),
  );

function ofPipfileLock(text: string): Requirements {
  const { default: packages = {} } = JSON.parse(text) as { default?: Record<string, { version?: string }> };
  const dbt = Object.entries(packages).filter(([name]) => DBT.test(name));
  return new Map(dbt.map(([name, { version }]) => [normal(name), version ?? ""]));
}

const ofRequirements = (text: string): Requirements =>
  new Map(
    text.split("\n").flatMap((line) => {
      const [, name, version = ""] =
        /^\s*(dbt[-_][\w.-]+?)(?:\[[^\]]*\])?\s*([=~<>!][^;#\\]*?)?\s*(?:[;#\\].*)?$/i.exec(line) ?? [];
      return name === undefined ? [] : [[normal(name), version.replaceAll(" ", "").replace(/--hash.*$/, "")] as const];
    }),
  );

/** Dependencies as a list of requirements (PEP 621), or as Poetry's table. */
function ofPyproject(text: string): Requirements {
  const listed = [...text.matchAll(/["'](dbt[-_][\w.-]+?)(?:\[[^\]]*\])?\s*((?:[=~<>!][^"';]*)?)(?:;[^"']*)?["']/gi)];
  const table = [...text.matchAll(/^(dbt[-_][\w.-]+)\s*=\s*(?:\{[^}]*version\s*=\s*)?"([^"]*)"/gim)];
  return new Map([
    ...listed.map(([, name = "", version = ""]) => [normal(name), version.replaceAll(" ", "")] as const),
    ...table.map(([, name = "", version = ""]) => [normal(name), ofPoetry(version)] as const),
  ]);
}

/** `^1.9.2` is Poetry's word for "from there below the next major version"; a bare version is that one. */
function ofPoetry(version: string): string {
  const [, from, major] = /^\^((\d+)[\d.]*)$/.exec(version) ?? [];
  if (from !== undefined) return `>=${from},<${Number(major) + 1}`;
  if (version === "*") return "";
  return /^\d/.test(version) ? `==${version}` : version.replaceAll(" ", "");
}

/** What pip has put into an environment. */
export function installedIn(environment: string): FoundRequirements | null {
  const library = join(environment, "lib");
  if (!existsSync(library)) return null;
  const requirements = new Map(
    readdirSync(library)
      .filter((name) => name.startsWith("python"))
      .map((name) => join(library, name, "site-packages"))
      .filter((folder) => existsSync(folder))
      .flatMap((folder) => readdirSync(folder))
      .flatMap((name) => {
        const [, distribution, version] = /^(dbt_\w+)-([^-]+)\.dist-info$/i.exec(name) ?? [];
        return distribution === undefined ? [] : [[normal(distribution), `==${version}`] as const];
      }),
  );
  return requirements.size === 0 ? null : { requirements, from: environment };
}

/** The environment of the `dbt` that a shell would run, by the active one or by PATH; null where it is no Python's. */
export function installedOnPath(environment: Readonly<Record<string, string | undefined>>): FoundRequirements | null {
  const folders = (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const programs = folders.map((folder) => join(folder, "dbt")).filter((path) => existsSync(path));
  const active = environment.VIRTUAL_ENV === undefined ? [] : [environment.VIRTUAL_ENV];
  const places = [...active, ...programs.map((path) => dirname(dirname(realpathSync(path))))];
  return places.map((place) => installedIn(place)).find((found) => found !== null) ?? null;
}
