import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { type Ignored, ignoredFiles } from "./ignore-files.ts";
import { isKeyFile } from "./key-files.ts";
import { type ProjectPaths, projectPaths, READ_AT_ROOT, READ_BY_DBT } from "./project-paths.ts";

/** Why a file or folder of a project is not in its image. */
export type LeftOutBecause = "output" | "environment" | "cache" | "database" | "key" | "link" | "ignored";

export interface LeftOut {
  readonly path: string;
  readonly because: LeftOutBecause;
}

interface Copying {
  readonly root: string;
  readonly paths: ProjectPaths;
  /** Folders that are not copied wherever they turn up: stepwatch's own, and the project inside its own package. */
  readonly never: ReadonlySet<string>;
  /** By `.gitignore` and `.dockerignore`; what dbt reads travels all the same. */
  readonly ignored: Ignored;
  readonly leftOut: LeftOut[];
}

/**
 * Copies a dbt project with all that dbt may read of it. Nothing is left out by the name of its folder: only what dbt
 * writes at its configured place, what is recognised by what it is, and what is ignored and dbt does not read. Links are copied as what they lead to.
 * @param never folders, by real path, that are no part of the project
 * @returns what was left out
 */
export function copyProject(from: string, to: string, never: ReadonlySet<string> = new Set()): LeftOut[] {
  const copying: Copying = { root: from, paths: projectPaths(from), never, ignored: ignoredFiles(from), leftOut: [] };
  copyFolder(from, to, [realpathSync(from)], copying);
  return copying.leftOut;
}

/** Copies a folder beside a project that dbt reads for it: `model-paths: [../shared/models]`. All of it is its sources. */
export function copySources(from: string, to: string, never: ReadonlySet<string>): LeftOut[] {
  const paths = { sources: [from], packages: [], installPath: null, beside: [], outputs: [], localPackages: [] };
  const copying: Copying = { root: from, paths, never, ignored: ignoredFiles(from), leftOut: [] };
  copyFolder(from, to, [realpathSync(from)], copying);
  return copying.leftOut;
}

function copyFolder(from: string, to: string, above: readonly string[], copying: Copying): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from).sort()) copyEntry(join(from, name), join(to, name), above, copying);
}

function copyEntry(from: string, to: string, above: readonly string[], copying: Copying): void {
  const because = whyLeftOut(from, above, copying);
  if (because === null) {
    if (statSync(from).isDirectory()) copyFolder(from, to, [...above, realpathSync(from)], copying);
    else copyFileSync(from, to);
    return;
  }
  copying.leftOut.push({ path: from, because });
  // A path that dbt reads may lie in what is left out: `target-path: build`, `model-paths: [build/models]`.
  for (const source of copying.paths.sources.filter((path) => isBelow(path, from) && existsSync(path))) {
    const real = realpathSync(source);
    if (!above.includes(real)) copyEntry(source, join(to, relative(from, source)), above, copying);
  }
}

function whyLeftOut(path: string, above: readonly string[], copying: Copying): LeftOutBecause | null {
  const { root, paths, never } = copying;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !(stat.isDirectory() || stat.isFile())) return "link";
  const isSource = paths.sources.some((source) => source === path || isBelow(path, source));
  if (stat.isFile()) return whyFileLeftOut(path, isSource, copying);
  const real = realpathSync(path);
  if (above.includes(real)) return "link";
  if (never.has(real) || paths.outputs.includes(path)) return "output";
  if (isRepository(path) || isPythonCache(path)) return "cache";
  // With `model-paths: ["."]` an environment in the project is still none of its models.
  if (paths.sources.some((source) => source !== root && (source === path || isBelow(path, source)))) return null;
  if (existsSync(join(path, "pyvenv.cfg")) || isNodeModules(path)) return "environment";
  return null;
}

function whyFileLeftOut(file: string, isSource: boolean, copying: Copying): LeftOutBecause | null {
  const name = basename(file);
  if (/\.pyc$/.test(name) || name === ".user.yml" || name === ".DS_Store") return "cache";
  if (name === ".git" && readFileSync(file, "utf8").startsWith("gitdir:")) return "cache";
  if (/\.duckdb(\.wal)?$/.test(name)) return "database";
  if (isKeyFile(file, isSource) || isKeyFile(realpathSync(file), isSource)) return "key";
  return copying.ignored(file) && !isReadByDbt(file, isSource, copying) ? "ignored" : null;
}

/** Installed packages, generated seeds and models are what projects ignore most, and a run without them is green. */
function isReadByDbt(file: string, isSource: boolean, { root, paths }: Copying): boolean {
  if (paths.packages.some((path) => isBelow(file, path))) return true;
  return isSource ? READ_BY_DBT.test(file) : dirname(file) === root && READ_AT_ROOT.has(basename(file));
}

const isRepository = (path: string) =>
  basename(path) === ".git" && existsSync(join(path, "HEAD")) && existsSync(join(path, "objects"));

const isPythonCache = (path: string) =>
  basename(path) === "__pycache__" && readdirSync(path).every((name) => name.endsWith(".pyc"));

const isNodeModules = (path: string) =>
  basename(path) === "node_modules" &&
  [join(path, ".package-lock.json"), join(path, ".modules.yaml"), join(dirname(path), "package.json")].some((file) =>
    existsSync(file),
  );

/** Whether a path lies below a folder; a folder is not below itself. */
export const isBelow = (path: string, folder: string): boolean =>
  path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
