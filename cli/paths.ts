import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** The folder of this checkout or installed package. */
export const packageRoot = dirname(import.meta.dirname);

/** Where the embedded AWS and everything made for it is kept. One emulator per folder. */
export const stateDirOf = (environment: Record<string, string | undefined>): string =>
  resolve(environment.STEPWATCH_STATE_DIR || join(packageRoot, ".stepwatch"));

/** The stepwatch.yaml that a command uses: as named, in the working directory, or this checkout's own. */
export function configPathOf(named: string | undefined, cwd: string): string {
  if (named !== undefined) return resolve(cwd, named);
  const here = join(cwd, "stepwatch.yaml");
  const own = join(packageRoot, "stepwatch.yaml");
  return !existsSync(here) && existsSync(own) ? own : here;
}

/** The stepwatch.yaml that was read, for messages: its whole path where it is not the one in the working directory. */
export function configNameOf(named: string | undefined, cwd: string): string {
  const path = configPathOf(named, cwd);
  return named ?? (dirname(path) === resolve(cwd) ? "stepwatch.yaml" : path);
}
