import { join } from "node:path";
import type { ProjectConfig } from "#core/config.ts";
import { at, readYaml } from "./dbt-files.ts";

/** dbt's name of a profile's target where the profile names none. */
const DBT_DEFAULT = "default";

/**
 * The target that dbt builds when nobody names one: the `target` of the project's profile. Null where only dbt can tell:
 * a template (`{{ env_var(…) }}`), a profile or target from the environment, a file that is not there yet. Never throws:
 * what is wrong with these files is dbt's to say.
 */
export function defaultTarget(project: ProjectConfig): string | null {
  if (isSetByEnvironment(project, ["DBT_TARGET", "DBT_PROFILE", "DBT_PROFILES_DIR"])) return null;
  const name = project.build.profile ?? defaultProfile(project);
  if (!isPlain(name)) return null;
  const profile = at(readYaml(join(project.profilesDir, "profiles.yml")), name);
  if (typeof profile !== "object" || profile === null || Array.isArray(profile)) return null;
  const target = Object.hasOwn(profile, "target") ? at(profile, "target") : DBT_DEFAULT;
  return isPlain(target) ? target : null;
}

/** Whether one of dbt's variables is set for the project's containers. */
export function isSetByEnvironment(project: ProjectConfig, variables: readonly string[]): boolean {
  const names = [...Object.keys(project.environment), ...Object.keys(project.secrets)];
  // dbt 1.12 and 2.0 read each of its variables under this prefix too.
  const known = new Set(names.map((name) => name.replace(/^DBT_ENGINE_/, "DBT_")));
  return variables.some((name) => known.has(name));
}

/** The profile that dbt_project.yml names; null where only dbt can tell. */
export function defaultProfile(project: ProjectConfig): string | null {
  const name = at(readYaml(join(project.projectDir, "dbt_project.yml")), "profile");
  return isPlain(name) ? name : null;
}

/** A text that dbt takes as it is. */
const isPlain = (value: unknown): value is string =>
  typeof value === "string" && value !== "" && !value.includes("{{") && !value.includes("{%");
