import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { at, readYaml } from "../../infra/dbt-files.ts";
import { UsageError } from "../failure.ts";

export interface Machine {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The person's home folder, where dbt looks for `.dbt/profiles.yml`. */
  readonly home: string;
  readonly cwd: string;
}

/** How dbt would reach the warehouse of a project when nobody says more. */
export interface FoundProfile {
  readonly name: string;
  readonly profilesDir: string;
  /** Null where a template chooses it which only dbt can read. */
  readonly target: string | null;
  /** `snowflake`, `postgres` …: the adapter is the Python package `dbt-<adapter>`. */
  readonly adapter: string;
}

const CORRECT = "Correct it and run npx stepwatch init again.";

/** @throws {UsageError} with one sentence, where dbt itself could not connect either */
export function profileOf(projectDir: string, machine: Machine): FoundProfile {
  const file = join(projectDir, "dbt_project.yml");
  const settings = readYaml(file);
  if (typeof settings !== "object" || settings === null) throw new UsageError(`${file} is no YAML mapping.`, CORRECT);
  const name = rendered(machine.environment.DBT_PROFILE ?? at(settings, "profile"), machine);
  if (name === null) throw new UsageError(`${file} names no profile.`, CORRECT);
  const profilesDir = profilesDirOf(projectDir, machine);
  const profilesFile = join(profilesDir, "profiles.yml");
  const profiles = readYaml(profilesFile);
  const profile = at(profiles, name);
  if (profile === undefined) {
    const known = typeof profiles === "object" && profiles !== null ? Object.keys(profiles) : [];
    const has = known.length === 0 ? "can not be read as YAML" : `has ${known.join(", ")}`;
    throw new UsageError(`The profile ${name} of ${file} is not in ${profilesFile}, which ${has}.`, CORRECT);
  }
  const outputs = at(profile, "outputs");
  if (typeof outputs !== "object" || outputs === null || Object.keys(outputs).length === 0)
    throw new UsageError(`The profile ${name} in ${profilesFile} has no outputs.`, CORRECT);
  return { name, profilesDir, ...targetOf(profile, name, profilesFile, machine) };
}

function targetOf(profile: unknown, name: string, file: string, machine: Machine) {
  const outputs = at(profile, "outputs") as Record<string, unknown>;
  const written = machine.environment.DBT_TARGET ?? at(profile, "target") ?? "default";
  const target = rendered(written, machine);
  if (target !== null && !Object.hasOwn(outputs, target))
    throw new UsageError(
      `The profile ${name} in ${file} has no target ${target}; it has ${Object.keys(outputs).join(", ")}.`,
      CORRECT,
    );
  // A template that only dbt can read chooses among targets of one kind, if they all are of one.
  const types = new Set(
    (target === null ? Object.values(outputs) : [outputs[target]]).map((output) =>
      rendered(at(output, "type"), machine),
    ),
  );
  const [adapter] = types;
  if (types.size !== 1 || adapter == null)
    throw new UsageError(
      target === null
        ? `The profile ${name} in ${file} chooses among targets of several kinds by ${written}.`
        : `The target ${target} of the profile ${name} in ${file} has no type.`,
      target === null ? "Set DBT_TARGET and run npx stepwatch init again." : CORRECT,
    );
  return { target, adapter };
}

/** In dbt's own order. */
function profilesDirOf(projectDir: string, { environment, home, cwd }: Machine): string {
  const named = environment.DBT_PROFILES_DIR;
  const places = named ? [resolve(cwd, named)] : [projectDir, cwd, join(home, ".dbt")];
  const found = places.find((folder) => existsSync(join(folder, "profiles.yml")));
  if (found !== undefined) return found;
  const where = named ? `${places[0]} (DBT_PROFILES_DIR)` : [...new Set(places)].join(", ");
  throw new UsageError(
    `There is no profiles.yml in ${where}, so that nothing says which warehouse ${projectDir} is for.`,
    `Write ${join(projectDir, "profiles.yml")}, with passwords by env_var, and run npx stepwatch init again.`,
  );
}

/** A plain text, or one whose `env_var` this machine or its own default answers; null where it takes more of Jinja. */
function rendered(value: unknown, { environment }: Machine): string | null {
  if (typeof value !== "string" || value === "") return null;
  const text = value.replace(
    /\{\{\s*env_var\(\s*["']([^"']+)["']\s*(?:,\s*["']([^"']*)["']\s*)?\)\s*\}\}/g,
    (whole, variable: string, usual?: string) => environment[variable] ?? usual ?? whole,
  );
  return text.includes("{{") || text.includes("{%") || text === "" ? null : text;
}
