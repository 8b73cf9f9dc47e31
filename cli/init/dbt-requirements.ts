import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { DEFAULT_DBT_PACKAGES } from "#core/config.ts";
import { isUnsupportedDbt, OLDEST_DBT } from "#core/dbt/dbt-version.ts";
import { installedOnPath, type Requirements, requirementsIn } from "./python-packages.ts";

export interface DbtRequirements {
  /** For pip: dbt-core and the adapter. */
  readonly packages: readonly string[];
  /** The file or environment that says so; null where nothing does, and stepwatch's own defaults are taken. */
  readonly from: string | null;
  /** What a person should know of them, one sentence each. */
  readonly notes: readonly string[];
}

/** dbt's packages as stepwatch's tests have them. Another adapter's newest is pip's to find. */
const TESTED = new Map([
  ...DEFAULT_DBT_PACKAGES.map((text) => text.split(/(?===)/) as [string, string]),
  ["dbt-postgres", "==1.11.0"],
]);

/**
 * The Python packages of a project's dbt: what its repository says, from its folder upwards; else what is installed where
 * a shell finds dbt; else the versions that stepwatch is tested with.
 */
export function dbtRequirements(
  projectDir: string,
  adapter: string,
  environment: Readonly<Record<string, string | undefined>>,
): DbtRequirements {
  const wanted = [`dbt-${adapter}`, "dbt-core"];
  const has = ({ requirements }: { requirements: Requirements }) => wanted.some((name) => requirements.has(name));
  const said = foldersUpwards(projectDir)
    .map(requirementsIn)
    .find((found) => found !== null && has(found));
  const onPath = said == null ? installedOnPath(environment) : null;
  const found = said ?? (onPath !== null && has(onPath) ? onPath : null);
  const core = found?.requirements.get("dbt-core");
  const version = /^[=~]=(.*)/.exec(core ?? "")?.[1];
  if (version !== undefined && isUnsupportedDbt(version)) {
    const note = `${found?.from} has dbt ${version}, and stepwatch reads dbt ${OLDEST_DBT} and later: the versions that it is tested with are written instead.`;
    return { packages: packagesOf(adapter, new Map()), from: null, notes: [note, ...unpinned(adapter, undefined)] };
  }
  return {
    packages: packagesOf(adapter, found?.requirements ?? new Map()),
    from: found?.from ?? null,
    notes: unpinned(adapter, found?.requirements.get(`dbt-${adapter}`)),
  };
}

function packagesOf(adapter: string, requirements: Requirements): string[] {
  return ["dbt-core", `dbt-${adapter}`].map((name) => {
    const version = requirements.get(name) || TESTED.get(name);
    return `${name}${version ?? ""}`;
  });
}

function unpinned(adapter: string, version: string | undefined): string[] {
  const name = `dbt-${adapter}`;
  return version || TESTED.has(name)
    ? []
    : [
        `Nothing says which version of ${name} the project uses: pin it under dbt.packages, or each build takes the newest.`,
      ];
}

/** A project's folder and those above it, as far as its repository goes. */
function foldersUpwards(folder: string): string[] {
  const above = dirname(folder);
  return existsSync(join(folder, ".git")) || above === folder ? [folder] : [folder, ...foldersUpwards(above)];
}
