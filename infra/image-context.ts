import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { ProjectConfig } from "#core/config.ts";
import { InputError } from "#core/errors.ts";
import { BUNDLE_FOLDER } from "./bundle.ts";

/** What dbt and Python write beside a project, and what must not go into an image: it would change its hash, or leak. */
const LEFT_OUT = new Set([
  "target",
  "logs",
  ".git",
  ".venv",
  "venv",
  "node_modules",
  "__pycache__",
  ".user.yml",
  ".env",
]);
const LEFT_OUT_ENDING = /\.(duckdb|wal|pyc)$/;

/**
 * Puts together the folder that a project's image is built from: `Dockerfile`, `runner.mjs`, `project/` (the dbt
 * project, its installed packages included) and `profiles/` (its profiles.yml).
 * @param root the project's root folder.
 * @returns the folder's path.
 * @throws {InputError} if dbt_project.yml or profiles.yml is not where stepwatch.yaml says.
 */
export function assembleImageContext(root: string, project: ProjectConfig, runnerFile: string): string {
  refuseMissing(project);
  const folder = join(root, BUNDLE_FOLDER, "images", project.name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "profiles"), { recursive: true });
  cpSync(join(root, "containers", "dbt-runner", "Dockerfile"), join(folder, "Dockerfile"));
  cpSync(runnerFile, join(folder, "runner.mjs"));
  cpSync(project.projectDir, join(folder, "project"), { recursive: true, filter: belongsInImage });
  cpSync(join(project.profilesDir, "profiles.yml"), join(folder, "profiles", "profiles.yml"));
  return folder;
}

const belongsInImage = (path: string) => !LEFT_OUT.has(basename(path)) && !LEFT_OUT_ENDING.test(path);

/** Says which file a project lacks, before an image is built or a task is started with it. @throws {InputError} */
export function refuseMissing(project: ProjectConfig): void {
  const problems = [
    { field: "projectDir", folder: project.projectDir, file: "dbt_project.yml" },
    { field: "profilesDir", folder: project.profilesDir, file: "profiles.yml" },
  ]
    .filter(({ folder, file }) => !existsSync(join(folder, file)))
    .map(
      ({ field, folder, file }) =>
        `projects.${project.name}.${field} = ${JSON.stringify(folder)}: there is no ${file}.`,
    );
  if (problems.length > 0) throw new InputError("stepwatch.yaml refused", problems);
}
