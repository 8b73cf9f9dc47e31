import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import type { ProjectConfig } from "#core/config.ts";
import { InputError } from "#core/errors.ts";
import { BUNDLE_FOLDER } from "./bundle.ts";
import { copyProject, isBelow, type LeftOut } from "./copy-project.ts";
import { projectPaths } from "./project-paths.ts";
import { missingSourceFiles } from "./source-files.ts";

/** Where the project lies in the image: a local package lies beside it as it does on this machine. */
const PROJECT_IN_IMAGE = "/stepwatch/project";
const TAKEN_IN_IMAGE = ["/", PROJECT_IN_IMAGE, "/stepwatch/profiles", "/stepwatch/runner.mjs"];

/** Folder that a project's image is built from. */
export interface ImageContext {
  readonly folder: string;
  /** What is said at deploy: the keys that stay behind. */
  readonly warnings: readonly string[];
}

/**
 * Puts together the folder that a project's image is built from: `Dockerfile`, `runner.mjs`, `project/` (the dbt
 * project, its installed packages included), `profiles/` (its profiles.yml) and `beside/` (local packages that lie
 * outside the project, as seen from `/`).
 * @param root the project's root folder.
 * @throws {InputError} if dbt_project.yml or profiles.yml is not where stepwatch.yaml says, if profiles.yml names a key
 * that stays behind, or if a file that dbt reads is not in the copy.
 */
export function assembleImageContext(root: string, project: ProjectConfig, runnerFile: string): ImageContext {
  refuseMissing(project);
  const folder = join(root, BUNDLE_FOLDER, "images", project.name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "profiles"), { recursive: true });
  cpSync(join(root, "containers", "dbt-runner", "Dockerfile"), join(folder, "Dockerfile"));
  cpSync(runnerFile, join(folder, "runner.mjs"));
  cpSync(join(project.profilesDir, "profiles.yml"), join(folder, "profiles", "profiles.yml"));
  const ours = new Set(
    [BUNDLE_FOLDER, "cdk.out", ".stepwatch"].map((name) => join(root, name)).flatMap((path) => realOf(path)),
  );
  const leftOut = copyProject(project.projectDir, join(folder, "project"), ours);
  refuseDifference(project, project.projectDir, join(folder, "project"), ours);
  leftOut.push(...copyLocalPackages(project, folder, ours));
  refuseNamedKeys(project, leftOut);
  return { folder, warnings: warningsOf(project, leftOut) };
}

const realOf = (path: string): string[] => (existsSync(path) ? [realpathSync(path)] : []);

/** `local: ../shared` must be found at `../shared` of the project in the image too. */
function copyLocalPackages(project: ProjectConfig, folder: string, ours: ReadonlySet<string>): LeftOut[] {
  mkdirSync(join(folder, "beside"), { recursive: true });
  const { projectDir } = project;
  const never = new Set([...ours, realpathSync(projectDir)]);
  return projectPaths(projectDir).localPackages.flatMap((local) => {
    const from = resolve(projectDir, local);
    if (isBelow(from, projectDir)) return [];
    if (!existsSync(join(from, "dbt_project.yml"))) {
      throw refused(project, `the local package ${local} is not there: ${from} has no dbt_project.yml.`);
    }
    const inImage = resolve(PROJECT_IN_IMAGE, local);
    const taken = TAKEN_IN_IMAGE.includes(inImage) || (inImage === "/stepwatch" && existsSync(join(from, "project")));
    if (taken)
      throw refused(project, `the local package ${local} would lie on ${inImage}, which stepwatch needs: move it.`);
    const to = join(folder, "beside", inImage);
    const leftOut = copyProject(from, to, never);
    refuseDifference(project, from, to, never);
    return leftOut;
  });
}

/** A run whose image lacks a model is green without its table: such an image is not built. */
function refuseDifference(project: ProjectConfig, from: string, copy: string, never: ReadonlySet<string>): void {
  const missing = missingSourceFiles(from, copy, never);
  if (missing.length === 0) return;
  const named = missing.slice(0, 10).map((file) => join(from, file));
  const more = missing.length > named.length ? ` and ${missing.length - named.length} more` : "";
  throw refused(project, `dbt reads these files here, and they are not in the image: ${named.join(", ")}${more}.`);
}

/** dbt would look for the key in the image, fail to connect, and say so minutes into the first run. */
function refuseNamedKeys(project: ProjectConfig, leftOut: readonly LeftOut[]): void {
  const text = readFileSync(join(project.profilesDir, "profiles.yml"), "utf8");
  const named = keysIn(leftOut).find((path) => {
    const ends = [path, relative(project.projectDir, path), relative(project.profilesDir, path)];
    return text.split(/[\s"',{}[\]]+/).some((word) => ends.some((end) => word === end || word.endsWith(`/${end}`)));
  });
  if (named === undefined) return;
  throw refused(
    project,
    `profiles.yml names ${named}, a key, and keys never travel in an image: name a secret under secrets and read it with env_var.`,
  );
}

function warningsOf(project: ProjectConfig, leftOut: readonly LeftOut[]): string[] {
  const keys = keysIn(leftOut);
  if (keys.length === 0) return [];
  return [
    `Not in the image of ${project.name}, as they look like keys or passwords: ${keys.join(", ")}. What a run needs of them goes under secrets in stepwatch.yaml.`,
  ];
}

const keysIn = (leftOut: readonly LeftOut[]) =>
  leftOut.filter(({ because }) => because === "key").map(({ path }) => path);

const refused = (project: ProjectConfig, sentence: string) =>
  new InputError("The image can not be made", [`projects.${project.name}: ${sentence}`]);

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
