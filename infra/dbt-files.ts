import { readFileSync } from "node:fs";
import { parse } from "yaml";

/** A dbt project's YAML, which may hold Jinja that is no YAML: undefined where it can not be read, and is left to dbt. */
export function readYaml(file: string): unknown {
  try {
    return parse(readFileSync(file, "utf8"), { logLevel: "error" });
  } catch {
    return undefined;
  }
}

/** What a mapping has under a key; undefined of anything else. */
export const at = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
