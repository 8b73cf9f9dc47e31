import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { LineCounter, parseDocument } from "yaml";
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
    throw new InputError(`${file} is no YAML`, [`line ${line}, column ${col}: ${broken.message.split("\n")[0]}`]);
  }
  try {
    return parseConfig(document.toJS(), dirname(file), resolve);
  } catch (error) {
    // Several files may be called so: the one that was read is named.
    throw error instanceof InputError ? new InputError(`${file} refused`, error.problems, { cause: error }) : error;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? "it does not exist: write one, or name another by --config" : `${code}`;
    throw new InputError(`${file} can not be read`, [`${reason}.`], { cause: error });
  }
}
