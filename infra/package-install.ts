import { existsSync, readdirSync } from "node:fs";
import { join, sep } from "node:path";
import { at, readYaml } from "./dbt-files.ts";
import { projectPaths } from "./project-paths.ts";

/**
 * The packages that `dbt deps` would have to install: all that packages.yml or dependencies.yml lists if fewer are
 * installed, which is what dbt itself looks at; else none. What package-lock.yml adds counts too.
 */
export function packagesToInstall(projectDir: string): readonly unknown[] {
  const listed = ["packages.yml", "dependencies.yml"].flatMap((file) => packagesOf(projectDir, file));
  const wanted = listed.length === 0 ? 0 : Math.max(listed.length, packagesOf(projectDir, "package-lock.yml").length);
  const { installPath } = projectPaths(projectDir);
  return wanted > installedIn(installPath) ? listed : [];
}

function packagesOf(projectDir: string, file: string): readonly unknown[] {
  const listed = at(readYaml(join(projectDir, file)), "packages");
  return Array.isArray(listed) ? listed : [];
}

/** As dbt counts: folders, links to some among them. */
function installedIn(folder: string | null): number {
  if (folder === null || !existsSync(folder)) return 0;
  return readdirSync(folder, { withFileTypes: true }).filter(
    (entry) => !entry.name.startsWith("__") && (entry.isDirectory() || existsSync(join(folder, entry.name, "."))),
  ).length;
}

/** Whether `dbt deps` would install outside the project's folder, where the image's build leaves nothing behind. */
export function installsOutside(projectDir: string): boolean {
  const { installPath } = projectPaths(projectDir);
  return installPath !== null && !installPath.startsWith(projectDir + sep);
}

/** The address of a package that is cloned over SSH; null where there is none. */
export function overSsh(packages: readonly unknown[]): string | null {
  const addresses = packages.map((entry) => at(entry, "git")).filter((address) => typeof address === "string");
  return addresses.find((address) => /^(ssh:\/\/|git\+ssh:|[\w.-]+@[\w.-]+:)/.test(address)) ?? null;
}

/** Whether git is needed to install them. */
export const usesGit = (packages: readonly unknown[]): boolean =>
  packages.some((entry) => at(entry, "git") !== undefined || at(entry, "private") !== undefined);
