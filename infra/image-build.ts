import { isAbsolute } from "node:path";
import type { ProjectConfig } from "#core/config.ts";
import { packagesToInstall, usesGit } from "./package-install.ts";
import { packageVariables } from "./unknown-variables.ts";

/** Begins a step of the Dockerfile that is given the project's own build secrets. */
const STEP_WITH_SECRETS = /^RUN --mount=type=secret,id=build_secrets(?=\s)/gm;

/** In place of a variable that dbt asks for and does not use. Long, and no name in any project: dbt masks such values. */
export const STAND_IN = "not_needed_once_packages_are_installed";

/** The Dockerfile with one mount for each build secret; without any, it needs nothing that an old engine has not. */
export function renderDockerfile(text: string, project: ProjectConfig): string {
  const mounts = Object.keys(project.image.buildSecrets).map((name) => ` --mount=type=secret,id=${name},required=true`);
  const variables = packageVariables(project).map((name) => `ENV ${name}=${STAND_IN}\n`);
  return text
    .replace(STEP_WITH_SECRETS, `RUN${mounts.join("")}`)
    .replace(/^VOLUME /m, (volumes) => variables.join("") + volumes);
}

/** Where the engine finds each build secret, as its `--secret` says it: the value itself is in no file of ours. */
export const secretSources = ({ image }: ProjectConfig): Record<string, string> =>
  Object.fromEntries(
    Object.entries(image.buildSecrets).map(([name, source]) => [
      name,
      isAbsolute(source) ? `src=${source}` : `type=env,env=${source}`,
    ]),
  );

/** What pip installs, one requirement a line: markers, URLs and `${VARIABLE}` of a build secret stay as they are. */
export const requirementsOf = (project: ProjectConfig): string => `${project.dbt.packages.join("\n")}\n`;

/**
 * What `dbt deps` and `dbt parse` are told in the image's build, as a shell script that is sourced: plain variables,
 * something in place of each secret, and dbt's arguments. The same as in a run, so that dbt takes the baked partial parse.
 */
export function buildEnvironment(project: ProjectConfig): string {
  const { environment, secrets, target, build } = project;
  const chosen = {
    "--profile": build.profile,
    "--target": build.target ?? target,
    "--vars": build.vars && JSON.stringify(build.vars),
  };
  const given = Object.entries(chosen).flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
  return [
    ...Object.entries(environment).map(([name, value]) => `export ${name}=${quoted(value)}`),
    // Where the profile reads a password that takes no part in parsing, dbt parses without it.
    ...Object.keys(secrets).map((name) => `export ${name}="\${${name}:-not_known_in_the_build}"`),
    ...packageVariables(project).map((name) => `export ${name}="\${${name}:-${STAND_IN}}"`),
    `set -- --profiles-dir /stepwatch/profiles ${given.map(quoted).join(" ")}`.trimEnd(),
    "",
  ].join("\n");
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** The Dockerfile's arguments. Base images stand among them, so that the image's hash is another one with another base. */
export function buildArguments(project: ProjectConfig): Record<string, string> {
  const { base, node } = project.image;
  const missing = packagesToInstall(project.projectDir);
  const needsGit = usesGit(missing) || project.dbt.packages.some((requirement) => requirement.includes("git+"));
  return {
    ...(base !== undefined && { PYTHON_IMAGE: base }),
    ...(node !== undefined && { NODE_IMAGE: node }),
    ...(needsGit && { BUILD_TOOLS: "git" }),
    ...(missing.length > 0 && { DBT_DEPS: "yes" }),
  };
}
