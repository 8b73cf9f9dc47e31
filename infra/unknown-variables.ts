import { join } from "node:path";
import type { ProjectConfig } from "#core/config.ts";
import { at, readYaml } from "./dbt-files.ts";
import { defaultProfile, defaultTarget, isSetByEnvironment } from "./default-target.ts";

/** Set in every container, by AWS, by stepwatch, by the image. */
const SET_ANYWAY = /^((AWS|ECS|STEPWATCH)_.*|PATH|HOME|LANG|HOSTNAME|PWD|DBT_(ENGINE_)?SEND_ANONYMOUS_USAGE_STATS)$/;

/** What dbt_project.yml holds and dbt renders later than the file, or not at all. */
const RENDERED_LATER = /^(on-run-start|on-run-end|query-comment|vars|\+?(pre|post)[-_]hook)$/;

/** A variable or `var` that dbt can not do without, and where it stands. */
export interface Unknown {
  readonly file: string;
  readonly name: string;
}

/**
 * The `env_var`s without a default in dbt_project.yml, and in the target's part of profiles.yml, that no container has.
 * None with a base image of one's own, which may set variables that nobody here knows.
 */
export function unknownVariables(project: ProjectConfig): Unknown[] {
  if (project.image.base !== undefined) return [];
  const known = new Set([...Object.keys(project.environment), ...Object.keys(project.secrets)]);
  const settings = texts(readYaml(join(project.projectDir, "dbt_project.yml")), RENDERED_LATER);
  const found = [
    ...variablesIn(settings).map((name) => ({ file: "dbt_project.yml", name })),
    ...variablesIn(texts(outputOf(project))).map((name) => ({ file: "profiles.yml", name })),
  ];
  return found.filter(({ name }) => !known.has(name) && !SET_ANYWAY.test(name));
}

/** The `env_var`s without a default in packages.yml and dependencies.yml that the image's build has not. */
export function unknownToDeps(project: ProjectConfig): Unknown[] {
  const known = new Set([...Object.keys(project.environment), ...Object.keys(project.image.buildSecrets)]);
  return ["packages.yml", "dependencies.yml"].flatMap((file) =>
    variablesIn(texts(at(readYaml(join(project.projectDir, file)), "packages")))
      .filter((name) => !known.has(name))
      .map((name) => ({ file, name })),
  );
}

/**
 * The `env_var`s of the package files that no container is given: dbt reads these files in every command, although the
 * packages are installed, and fails without the variable. A word in its place is enough then.
 */
export function packageVariables({ projectDir, environment, secrets }: ProjectConfig): string[] {
  const listed = ["packages.yml", "dependencies.yml", "package-lock.yml"].flatMap((file) =>
    texts(at(readYaml(join(projectDir, file)), "packages")),
  );
  const names = listed.flatMap((text) => [...text.matchAll(ANY_VARIABLE)].map(([, , name]) => name ?? ""));
  return [...new Set(names)].filter((name) => !(name in environment) && !(name in secrets)).sort();
}

const ANY_VARIABLE = /env_var\(\s*(["'])([A-Za-z_][A-Za-z0-9_]*)\1\s*\)/g;

/** The `var`s without a default in dbt_project.yml that stepwatch.yaml does not give under build.vars. */
export function unknownVars(project: ProjectConfig): Unknown[] {
  const given = new Set(Object.keys(project.build.vars ?? {}));
  const settings = texts(readYaml(join(project.projectDir, "dbt_project.yml")), RENDERED_LATER);
  return namesIn(settings, "var")
    .filter((name) => !given.has(name))
    .map((name) => ({ file: "dbt_project.yml", name }));
}

/** Keys of adapters whose value is a file: `keyfile`, `private_key_path`, `sslrootcert`. */
const NAMES_A_FILE = /key_?file|key_path|^ssl_?(cert|key|rootcert|ca)|cert(ificate)?_?(path|file)?$/i;

/** The files that the target's part of profiles.yml names, as it names them. */
export function filesOfProfile(project: ProjectConfig): string[] {
  const output = outputOf(project);
  if (typeof output !== "object" || output === null) return [];
  return Object.entries(output).flatMap(([key, value]) =>
    NAMES_A_FILE.test(key) && typeof value === "string" && !value.includes("{{") ? [value] : [],
  );
}

/** The part of profiles.yml that dbt renders; undefined where only dbt can tell which it is. */
function outputOf(project: ProjectConfig): unknown {
  if (isSetByEnvironment(project, ["DBT_PROFILE", "DBT_PROFILES_DIR"])) return undefined;
  const target = project.build.target ?? project.target ?? defaultTarget(project);
  const profile = project.build.profile ?? defaultProfile(project);
  if (target === null || profile === null) return undefined;
  return at(at(at(readYaml(join(project.profilesDir, "profiles.yml")), profile), "outputs"), target);
}

/** All texts of a YAML value, but those below a key that is left out. */
function texts(value: unknown, leftOut: RegExp = /^$/): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (leftOut.test(key) ? [] : texts(inner, leftOut)));
}

const variablesIn = (found: readonly string[]) => namesIn(found, "env_var");

/** Only a whole expression (`{{ env_var('X') | int }}`): what stands behind an `if` may never be asked for. */
function namesIn(found: readonly string[], call: "env_var" | "var"): string[] {
  const whole = new RegExp(`\\{\\{-?\\s*${call}\\(\\s*(["'])([^"']+)\\1\\s*\\)\\s*(\\|[^}]*)?-?\\}\\}`, "g");
  const named = found.filter((text) => !text.includes("{%")).flatMap((text) => [...text.matchAll(whole)]);
  const filled = named.filter(([, , , filters]) => !/\|\s*(default|d)\b/.test(filters ?? ""));
  return [...new Set(filled.map(([, , name]) => name ?? ""))];
}
