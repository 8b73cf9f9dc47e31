import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Document, LineCounter, parseDocument } from "yaml";
import { parseConfig, type StepwatchConfig } from "#core/config.ts";
import { InputError } from "#core/errors.ts";

/**
 * Reads and validates stepwatch.yaml.
 * @throws {InputError} if the file is not there, is no YAML (one sentence with the line), or does not hold.
 */
export function loadConfig(path: string): StepwatchConfig {
  const file = resolve(path);
  const lines = new LineCounter();
  const document = parseDocument(readText(file), { lineCounter: lines, prettyErrors: false });
  const [broken] = document.errors;
  if (broken !== undefined) {
    const { line, col } = lines.linePos(broken.pos[0]);
    // The library's own words for this one name a function of its own.
    const what = broken.code === "MULTIPLE_DOCS" ? "a second document begins here; one is read." : broken.message;
    throw new InputError(`${file} is no YAML`, [`line ${line}, column ${col}: ${what.split("\n")[0]}`]);
  }
  const value = resolved(document, file);
  try {
    return parseConfig(value, dirname(file), resolve);
  } catch (error) {
    // Several files may be called so: the one that was read is named.
    throw error instanceof InputError ? new InputError(`${file} refused`, error.problems, { cause: error }) : error;
  }
}

/** Only resolving an alias (`*name`) shows that its anchor (`&name`) is not above it. */
function resolved(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw new InputError(`${file} is no YAML`, [(error as Error).message], { cause: error });
  }
}

/** What is the matter with a file that can not be read, and what to do, by the code of Node's error. */
const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: "it does not exist: write one, or name another by --config",
  EISDIR: "it is a folder: name the file in it by --config",
  EACCES: "you may not read it: mend its permissions, or name another by --config",
};

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    throw new InputError(`${file} can not be read`, [`${UNREADABLE[code] ?? message}.`], { cause: error });
  }
}
