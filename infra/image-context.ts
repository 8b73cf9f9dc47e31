import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import type { ProjectConfig } from "#core/config.ts";
import { InputError } from "#core/errors.ts";
import { copyProject, copySources, isBelow, type LeftOut } from "./copy-project.ts";
import { buildEnvironment, renderDockerfile, requirementsOf } from "./image-build.ts";
import { buildProblems, buildWarnings } from "./image-problems.ts";
import { ownFoldersOf, workFolderOf } from "./installed.ts";
import { projectPaths } from "./project-paths.ts";
import { missingBeside, missingSourceFiles } from "./source-files.ts";
import { filesOfProfile } from "./unknown-variables.ts";

/** Where the project lies in the image: a local package lies beside it as it does on this machine. */
const PROJECT_IN_IMAGE = "/stepwatch/project";
const TAKEN_IN_IMAGE = ["/", PROJECT_IN_IMAGE, "/stepwatch/profiles", "/stepwatch/runner.mjs"];

/** Folder that a project's image is built from. */
export interface ImageContext {
  readonly folder: string;
  /** What is said at deploy: the keys that stay behind, a build secret that is not there. */
  readonly warnings: readonly string[];
  /** What is as it was asked for, and said all the same: files that `.gitignore` keeps out. */
  readonly notes: readonly string[];
}

/**
 * Puts together the folder that a project's image is built from: `Dockerfile`, `runner.mjs`, `requirements.txt`,
 * `build-environment.sh`, `project/` (the dbt project, its installed packages included), `profiles/` (its profiles.yml)
 * and `beside/` (what dbt reads outside the project, local packages above all, as seen from `/`).
 * @param root the project's root folder.
 * @throws {InputError} if dbt_project.yml or profiles.yml is not where stepwatch.yaml says, if profiles.yml names a key
 * that stays behind, if a file that dbt reads is not in the copy, or if the build would fail for want of a variable.
 */
export function assembleImageContext(root: string, project: ProjectConfig, runnerFile: string): ImageContext {
  refuseMissing(project);
  const [problem] = buildProblems(project);
  if (problem !== undefined) throw refused(project, problem);
  const folder = join(workFolderOf(root), "images", project.name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "profiles"), { recursive: true });
  const dockerfile = readFileSync(join(root, "containers", "dbt-runner", "Dockerfile"), "utf8");
  writeFileSync(join(folder, "Dockerfile"), renderDockerfile(dockerfile, project));
  writeFileSync(join(folder, "requirements.txt"), requirementsOf(project));
  writeFileSync(join(folder, "build-environment.sh"), buildEnvironment(project));
  cpSync(runnerFile, join(folder, "runner.mjs"));
  cpSync(join(project.profilesDir, "profiles.yml"), join(folder, "profiles", "profiles.yml"));
  const ours = new Set(ownFoldersOf(root).flatMap((path) => realOf(path)));
  const leftOut = copyProject(project.projectDir, join(folder, "project"), ours);
  refuseDifference(project, project.projectDir, join(folder, "project"), ours);
  leftOut.push(...copyLocalPackages(project, folder, ours), ...copyBeside(project, folder, ours));
  refuseNamedKeys(project, leftOut);
  const warnings = [...keyWarnings(project, leftOut), ...buildWarnings(project), ...fileWarnings(project, folder)];
  return { folder, warnings, notes: notesOf(project, leftOut) };
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
    const to = placeBeside(project, folder, from, local);
    const leftOut = copyProject(from, to, never);
    refuseDifference(project, from, to, never);
    return leftOut;
  });
}

/** `model-paths: [../shared/models]` is found there too; a path that does not exist is none to dbt either. */
function copyBeside(project: ProjectConfig, folder: string, ours: ReadonlySet<string>): LeftOut[] {
  const { projectDir } = project;
  const never = new Set([...ours, realpathSync(projectDir)]);
  return projectPaths(projectDir).beside.flatMap((written) => {
    const from = resolve(projectDir, written);
    if (statSync(from, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
    const to = placeBeside(project, folder, from, written);
    const leftOut = copySources(from, to, never);
    refuseFiles(project, from, missingBeside(from, to, never));
    return leftOut;
  });
}

/** Where in the context a folder lies that is found at this path from the project's. */
function placeBeside(project: ProjectConfig, folder: string, from: string, written: string): string {
  const inImage = resolve(PROJECT_IN_IMAGE, written);
  const taken = TAKEN_IN_IMAGE.includes(inImage) || (inImage === "/stepwatch" && existsSync(join(from, "project")));
  if (taken) throw refused(project, `${written} would lie on ${inImage}, which stepwatch needs: move it.`);
  return join(folder, "beside", inImage);
}

/** A run whose image lacks a model is green without its table: such an image is not built. */
function refuseDifference(project: ProjectConfig, from: string, copy: string, never: ReadonlySet<string>): void {
  refuseFiles(project, from, missingSourceFiles(from, copy, never));
}

function refuseFiles(project: ProjectConfig, from: string, missing: readonly string[]): void {
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

function keyWarnings(project: ProjectConfig, leftOut: readonly LeftOut[]): string[] {
  const keys = keysIn(leftOut);
  if (keys.length === 0) return [];
  return [
    `Not in the image of ${project.name}, as they look like keys or passwords: ${keys.join(", ")}. What a run needs of them goes under secrets in stepwatch.yaml.`,
  ];
}

/** A certificate or key that dbt finds here and not in the image: it would say so minutes into the first run. */
function fileWarnings(project: ProjectConfig, folder: string): string[] {
  return filesOfProfile(project)
    .filter((file) => {
      const inImage = relative(PROJECT_IN_IMAGE, resolve(PROJECT_IN_IMAGE, file));
      return existsSync(resolve(project.projectDir, file)) && !existsSync(join(folder, "project", inImage));
    })
    .map(
      (file) =>
        `${project.name}: profiles.yml names ${file}, which is not in the image: put a certificate into the project, a key under secrets, or either into a base image of yours.`,
    );
}

function notesOf(project: ProjectConfig, leftOut: readonly LeftOut[]): string[] {
  const ignored = leftOut.filter(({ because }) => because === "ignored").map(({ path }) => path);
  if (ignored.length === 0) return [];
  const [first, second, third, ...others] = ignored;
  const named = [first, second, third].filter((path) => path !== undefined).join(", ");
  const more = others.length > 0 ? ` and ${others.length} more` : "";
  return [`Not in the image of ${project.name}, as .gitignore or .dockerignore say: ${named}${more}.`];
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
