import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { folderWith, ownStateDir } from "#local/own-files.ts";

/** The folder of this checkout, or of the JavaScript that the npm package has of it. */
export const packageRoot = dirname(import.meta.dirname);

/** Where the embedded AWS and everything made for it is kept. One emulator per folder. */
export const stateDirOf = (environment: Record<string, string | undefined>): string =>
  resolve(environment.STEPWATCH_STATE_DIR || ownStateDir());

/** The stepwatch.yaml that a command uses: as named, in the working directory or above it, or this checkout's own. */
export function configPathOf(named: string | undefined, cwd: string): string {
  if (named !== undefined) return resolve(cwd, named);
  const name = "stepwatch.yaml";
  const folder = folderWith(name, resolve(cwd));
  if (folder !== null) return join(folder, name);
  const own = join(packageRoot, name);
  return existsSync(own) ? own : join(cwd, name);
}

/** The stepwatch.yaml that was read, for messages: its whole path where it is not the one in the working directory. */
export function configNameOf(named: string | undefined, cwd: string): string {
  const path = configPathOf(named, cwd);
  return named ?? (dirname(path) === resolve(cwd) ? "stepwatch.yaml" : path);
}
