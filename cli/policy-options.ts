import { InvalidArgumentError } from "commander";
import { parse as parseYaml } from "yaml";

/** What `--policy name=value` has been given so far. */
export type PolicyFlags = Record<string, unknown>;

/**
 * One `--policy name=value`; the name may go into a field (`retries.node`), the value is read as YAML. Whether there is
 * such a field, and whether it takes the value, is the contract's to say.
 */
export function collectPolicy(text: string, before: PolicyFlags | undefined): PolicyFlags {
  const [, name, value = ""] = /^([A-Za-z][\w.]*)=(.*)$/s.exec(text.trim()) ?? [];
  if (name === undefined)
    throw new InvalidArgumentError("It is no name=value. Write for example --policy retries.node=0.");
  return placed(before ?? {}, name.split("."), yamlOf(name, value));
}

function yamlOf(name: string, value: string): unknown {
  if (value.trim() === "") throw new InvalidArgumentError(`It gives ${name} no value.`);
  try {
    return parseYaml(value);
  } catch {
    throw new InvalidArgumentError(`Its value is neither YAML nor JSON: ${value}.`);
  }
}

function placed(into: PolicyFlags, [first = "", ...rest]: readonly string[], value: unknown): PolicyFlags {
  if (rest.length === 0) return { ...into, [first]: value };
  const within = into[first];
  const isMapping = typeof within === "object" && within !== null && !Array.isArray(within);
  return { ...into, [first]: placed(isMapping ? (within as PolicyFlags) : {}, rest, value) };
}
