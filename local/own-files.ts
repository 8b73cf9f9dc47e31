import { existsSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds local/: a checkout, or what the npm package has of it as JavaScript. */
const codeRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/** Whether this is the npm package: it lies in somebody's node_modules, and is nobody's place to write. */
export const installed = extname(import.meta.url) === ".js";

/** A program of this folder, to be started by its path; the package has JavaScript where a checkout has TypeScript. */
export const ownProgram = (path: string): string => join(codeRoot, "local", `${path}${extname(import.meta.url)}`);

/**
 * Where everything is kept that is made here: a checkout's own `.stepwatch`; with the npm package that of the folder
 * with stepwatch.yaml, looked for from the working directory upwards, as git looks for its own.
 */
export const ownStateDir = (cwd: string = process.cwd()): string =>
  join(installed ? (folderWith("stepwatch.yaml", cwd) ?? cwd) : codeRoot, ".stepwatch");

/** The node_modules that holds a package which this code may import; npm may have put it beside or above us. */
export function modulesWith(name: string): string | null {
  const folder = folderWith(join("node_modules", name), codeRoot);
  return folder === null ? null : join(folder, "node_modules");
}

/** The nearest of a folder and those above it that has a file of this name. */
export function folderWith(name: string, folder: string): string | null {
  if (existsSync(join(folder, name))) return folder;
  const above = dirname(folder);
  return above === folder ? null : folderWith(name, above);
}
