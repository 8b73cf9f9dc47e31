import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";
import type { ProjectConfig } from "#core/config.ts";
import { installsOutside, overSsh, packagesToInstall } from "./package-install.ts";
import { type Unknown, unknownToDeps, unknownVariables, unknownVars } from "./unknown-variables.ts";

/** Where the packages have been installed beforehand, the build needs none of what it lacks. */
const INSTALL_FIRST = "install the packages before the deploy (dbt deps): what is installed travels in the image.";
const INSTEAD = `or ${INSTALL_FIRST}`;

const reads = ({ file, name }: Unknown, call: "env_var" | "var") =>
  `${file} reads ${call}('${name}') without a default`;

/** Why the image's build would fail, each as the end of a sentence; dbt would say it minutes later. */
export function buildProblems(project: ProjectConfig): string[] {
  const missing = packagesToInstall(project.projectDir);
  if (missing.length === 0) return [];
  const ssh = overSsh(missing);
  const inSettings = unknownVariables(project).filter(({ file }) => file === "dbt_project.yml");
  return [
    ...(installsOutside(project.projectDir)
      ? [`packages-install-path lies outside the project, and its packages are not installed: ${INSTALL_FIRST}`]
      : []),
    ...(ssh === null
      ? []
      : [`the package ${ssh} is cloned over SSH, and an image's build has no key: use HTTPS with a token, ${INSTEAD}`]),
    ...unknownToDeps(project).map(
      (unknown) => `${reads(unknown, "env_var")}: name it under image.buildSecrets or environment, ${INSTEAD}`,
    ),
    ...inSettings.map(
      (unknown) => `${reads(unknown, "env_var")}, and dbt deps needs it: name it under environment, ${INSTEAD}`,
    ),
    ...unknownVars(project).map(
      (unknown) => `${reads(unknown, "var")}, and dbt deps needs it: give it under build.vars, ${INSTEAD}`,
    ),
  ];
}

/** What the build passes over and a run would fail of, and secrets without which the engine refuses to build. */
export function buildWarnings(project: ProjectConfig): string[] {
  const secrets = Object.entries(project.image.buildSecrets)
    .filter(([, source]) => (isAbsolute(source) ? !existsSync(source) : (process.env[source] ?? "") === ""))
    .map(([name, source]) => {
      const what = isAbsolute(source) ? `there is no file ${source}` : `the variable ${source} is not set here`;
      return `The image of ${project.name} can not be built: ${what}, which image.buildSecrets names for ${name}.`;
    });
  const variables = unknownVariables(project).map(
    (unknown) =>
      `${project.name}: ${reads(unknown, "env_var")}, and no container has it: name it under environment, or under secrets.`,
  );
  return [...secrets, ...variables];
}
