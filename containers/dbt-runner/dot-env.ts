import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * The names that dbt 1.12 reads by itself from the `.env` nearest to its working folder, upwards (python-dotenv's
 * `find_dotenv`). It sets what the environment does not have: a variable taken away is back, an empty one stays empty.
 */
export const namesInDotEnv = (folder: string): string[] => Object.keys(valuesInDotEnv(folder));

const ASSIGNMENT =
  /^[ \t]*(?:export[ \t]+)?['"]?([A-Za-z_]\w*)['"]?[ \t]*=[ \t]*(?:'([^'\n]*)'|"([^"\n]*)"|([^#\n]*))/gm;

/** The variables of that file with their values, as far as they stand in one line and refer to nothing. */
export function valuesInDotEnv(folder: string): Record<string, string> {
  const file = nearest(folder);
  if (file === null) return {};
  const found = readFileSync(file, "utf8").matchAll(ASSIGNMENT);
  return Object.fromEntries(
    [...found].map(([, name, single, double, bare]) => [name!, single ?? double ?? bare!.trim()]),
  );
}

function nearest(folder: string): string | null {
  const file = join(folder, ".env");
  if (statSync(file, { throwIfNoEntry: false })?.isFile() === true) return file;
  const above = dirname(folder);
  return above === folder ? null : nearest(above);
}
