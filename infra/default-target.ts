import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { ProjectConfig } from "#core/config.ts";

/** dbt's name of a profile's target where the profile names none. */
const DBT_DEFAULT = "default";

/**
 * The target that dbt builds when nobody names one: the `target` of the project's profile. Null where only dbt can tell:
 * a template (`{{ env_var(…) }}`), a profile or target from the environment, a file that is not there yet. Never throws:
 * what is wrong with these files is dbt's to say.
 */
export function defaultTarget(project: ProjectConfig): string | null {
  const names = [...Object.keys(project.environment), ...Object.keys(project.secrets)];
  // dbt 1.12 and 2.0 read each of its variables under this prefix too.
  const variables = new Set(names.map((name) => name.replace(/^DBT_ENGINE_/, "DBT_")));
  if (["DBT_TARGET", "DBT_PROFILE", "DBT_PROFILES_DIR"].some((name) => variables.has(name))) return null;
  const name = project.build.profile ?? readMapping(join(project.projectDir, "dbt_project.yml"))?.profile;
  if (!isPlain(name)) return null;
  const profile = readMapping(join(project.profilesDir, "profiles.yml"))?.[name];
  if (!isMapping(profile)) return null;
  const { target = DBT_DEFAULT } = profile;
  return isPlain(target) ? target : null;
}

/** A text that dbt takes as it is. */
const isPlain = (value: unknown): value is string =>
  typeof value === "string" && value !== "" && !value.includes("{{") && !value.includes("{%");

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function readMapping(path: string): Record<string, unknown> | null {
  try {
    const value: unknown = parse(readFileSync(path, "utf8"), { logLevel: "error" });
    return isMapping(value) ? value : null;
  } catch {
    return null;
  }
}
