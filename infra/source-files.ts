import { readdirSync, realpathSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { isBelow } from "./copy-project.ts";
import { projectPaths, READ_BY_DBT } from "./project-paths.ts";

/** The files below the paths of a dbt project that dbt reads as models, tests, seeds, macros and so on, sorted. */
function sourceFiles(projectDir: string, folders: readonly string[], never: ReadonlySet<string>): string[] {
  const found = new Set<string>();
  const onFile = (file: string) => void found.add(relative(projectDir, file));
  for (const folder of folders) {
    const path = resolve(projectDir, folder);
    list(path, new Set(path === projectDir ? never : [...never, realpathSync(projectDir)]), onFile);
  }
  return [...found].sort();
}

function list(path: string, never: ReadonlySet<string>, onFile: (file: string) => void): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() === true && READ_BY_DBT.test(path)) onFile(path);
  if (stat?.isDirectory() !== true) return;
  const real = realpathSync(path);
  if (never.has(real)) return;
  for (const name of readdirSync(path)) list(join(path, name), new Set([...never, real]), onFile);
}

/**
 * The second look at a copy: which files that dbt reads in a project are not in the copy. It knows nothing of why the
 * copy left anything out but dbt's own output; a run without one of these would be green without its model.
 * @param never folders, by real path, that are no part of the project
 */
export function missingSourceFiles(projectDir: string, copy: string, never: ReadonlySet<string> = new Set()): string[] {
  const { sources, outputs } = projectPaths(projectDir);
  return missingOf(projectDir, copy, sources, outputs, never);
}

/** The same of a folder beside a project: all that dbt could read in it. */
export const missingBeside = (folder: string, copy: string, never: ReadonlySet<string>): string[] =>
  missingOf(folder, copy, [folder], [], never);

function missingOf(
  projectDir: string,
  copy: string,
  sources: readonly string[],
  outputs: readonly string[],
  never: ReadonlySet<string>,
): string[] {
  const folders = sources.filter((path) => isBelow(path, projectDir) || path === projectDir);
  const isOutput = (file: string) =>
    outputs.some((output) => isBelow(resolve(projectDir, file), output)) &&
    !folders.some(
      (path) => isBelow(resolve(projectDir, file), path) && outputs.some((output) => isBelow(path, output)),
    );
  const copied = new Set(
    sourceFiles(
      copy,
      folders.map((path) => relative(projectDir, path)),
      new Set(),
    ),
  );
  return sourceFiles(projectDir, folders, never).filter((file) => !copied.has(file) && !isOutput(file));
}
