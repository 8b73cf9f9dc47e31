import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join, relative, resolve } from "node:path";
import { PROJECT_NAME } from "#core/names.ts";
import { folderWith } from "#local/own-files.ts";
import { at, readYaml } from "../../infra/dbt-files.ts";
import { loadConfig } from "../../infra/load-config.ts";
import { unknownVariables } from "../../infra/unknown-variables.ts";
import type { Context } from "../context.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { dbtRequirements } from "../init/dbt-requirements.ts";
import { APP_FILE, APP_TEXT, CDK_TEXT, configText, type InitProject, missingLines } from "../init/files.ts";
import { dbtProjectsIn } from "../init/find-projects.ts";
import { profileOf } from "../init/read-profile.ts";
import { printJson, printLines } from "../output.ts";
import { missingPackages } from "../preflight.ts";

interface Found extends InitProject {
  readonly packagesFrom: string | null;
  readonly notes: readonly string[];
}

/** What became of a file: nothing that is there is ever overwritten. */
interface FileWord {
  readonly file: string;
  readonly done: "written" | "completed" | "kept";
}

/**
 * `stepwatch init`: looks at the dbt projects of a folder and writes what stepwatch needs beside them. Everything that
 * could be wrong is found before anything is written.
 */
export async function initCommand(
  context: Context,
  named: readonly string[],
  flags: { readonly json?: boolean },
): Promise<number> {
  const folder = resolve(context.cwd);
  const projects = withOwnNames(projectDirs(folder, named).map((projectDir) => look(context, projectDir)));
  const files = [written(folder, "stepwatch.yaml", configText(projects, folder)), ...cdkFiles(folder), ignored(folder)];
  const notes = [...projects.flatMap((project) => project.notes), ...unknownsOf(folder), ...notesOfFiles(files)];
  const next = nextOf(folder);
  if (flags.json === true)
    printJson(context, { contract: 1, folder, projects: projects.map(withoutNotes), files, notes, next });
  else
    printLines(context, [
      ...projects.flatMap((project) => wordsOf(project, folder)),
      "",
      ...files.map(({ file, done }) => `${done.padEnd(9)} ${file}`),
      ...notes.map((note) => `! ${note}`),
      "",
      `→ ${next}`,
    ]);
  return exitCodes.green;
}

const withoutNotes = ({ notes: _, ...project }: Found) => project;

function projectDirs(folder: string, named: readonly string[]): string[] {
  for (const name of named)
    if (
      !existsSync(join(folder, name, "dbt_project.yml")) &&
      !existsSync(join(resolve(folder, name), "dbt_project.yml"))
    )
      throw new UsageError(
        `There is no dbt_project.yml in ${resolve(folder, name)}.`,
        "Name the folder of a dbt project.",
      );
  if (named.length > 0) return [...new Set(named.map((name) => resolve(folder, name)))];
  const found = dbtProjectsIn(folder);
  if (found.length > 0) return found;
  const above = folderWith("dbt_project.yml", folder);
  throw new UsageError(
    above === null
      ? `There is no dbt project in ${folder} or below it: no dbt_project.yml was found.`
      : `This folder lies within the dbt project ${above}.`,
    above === null
      ? "Run it in the folder of your dbt project, or name it: npx stepwatch init path/to/project"
      : `cd ${above} && npx stepwatch init`,
  );
}

function look(context: Context, projectDir: string): Found {
  const { environment, cwd } = context;
  const profile = profileOf(projectDir, { environment, cwd, home: environment.HOME ?? homedir() });
  const { packages, from, notes } = dbtRequirements(projectDir, profile.adapter, environment);
  const dbtName = at(readYaml(join(projectDir, "dbt_project.yml")), "name");
  return {
    name: asName(typeof dbtName === "string" ? dbtName : basename(projectDir)),
    projectDir,
    profilesDir: profile.profilesDir,
    profile: profile.name,
    target: profile.target,
    adapter: profile.adapter,
    packages,
    packagesFrom: from,
    notes,
  };
}

/** A name of dbt's may begin with an underscore, and ours not. */
function asName(name: string): string {
  const cleaned = name
    .replaceAll(/[^A-Za-z0-9_-]/g, "_")
    .replace(/^[^A-Za-z]+/, "")
    .slice(0, 63);
  return PROJECT_NAME.test(cleaned) ? cleaned : "project";
}

/** Two folders may hold projects of one name: the second is called by its folder too, then by a number. */
function withOwnNames(projects: readonly Found[]): Found[] {
  const taken = new Set<string>();
  return projects.map((project) => {
    const { name, projectDir } = project;
    const numbered = projects.map((_, n) => `${name.slice(0, 59)}_${n + 2}`);
    const own = [name, asName(`${name}_${basename(projectDir)}`), ...numbered].find((one) => !taken.has(one))!;
    taken.add(own);
    return { ...project, name: own };
  });
}

function written(folder: string, file: string, text: string): FileWord {
  const path = join(folder, file);
  if (existsSync(path)) return { file, done: "kept" };
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, text, { flag: "wx" });
  return { file, done: "written" };
}

/** A cdk.json that is there belongs to an app which can make the stack beside its own. */
function cdkFiles(folder: string): FileWord[] {
  if (existsSync(join(folder, "cdk.json")) && !existsSync(join(folder, APP_FILE)))
    return [{ file: "cdk.json", done: "kept" }];
  return [written(folder, APP_FILE, APP_TEXT), written(folder, "cdk.json", CDK_TEXT)];
}

function ignored(folder: string): FileWord {
  const file = ".gitignore";
  const path = join(folder, file);
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const lines = missingLines(text);
  if (lines.length === 0) return { file, done: "kept" };
  const done = text === "" ? "written" : "completed";
  appendFileSync(path, `${text === "" || text.endsWith("\n") ? "" : "\n"}${lines.join("\n")}\n`);
  return { file, done };
}

/** Of what stands in stepwatch.yaml now, by the look that a deploy takes. @throws {InputError} if a file that was there does not hold */
function unknownsOf(folder: string): string[] {
  const { projects } = loadConfig(join(folder, "stepwatch.yaml"));
  return Object.values(projects).flatMap((project) => {
    const names = [...new Set(unknownVariables(project).map(({ name }) => name))];
    const missing = missingPackages(project);
    return [
      ...(names.length === 0
        ? []
        : [
            `${project.name} reads ${names.join(", ")} by env_var without a default: name ${names.length === 1 ? "it" : "them"} in stepwatch.yaml, under environment or, of a password, under secrets.`,
          ]),
      ...(missing === null ? [] : [`dbt's packages of ${project.name} are not installed yet: deploy --local does it.`]),
    ];
  });
}

const notesOfFiles = (files: readonly FileWord[]): string[] =>
  files.flatMap(({ file, done }) => {
    if (done !== "kept") return [];
    if (file === "stepwatch.yaml")
      return ["stepwatch.yaml was there already and is left as it is; what was found above is not written into it."];
    if (file === "cdk.json")
      return [
        'cdk.json was there already and is left as it is: its app makes the stack by StepwatchStack.fromConfig(app, "stepwatch.yaml").',
      ];
    return [];
  });

/** The package itself must be there for the CDK app, and so that `npx stepwatch` is the same tomorrow. */
function nextOf(folder: string): string {
  const installed = folderWith(join("node_modules", "stepwatch"), folder);
  const isHere = installed !== null && statSync(join(installed, "node_modules", "stepwatch")).isDirectory();
  return isHere
    ? "npx stepwatch deploy --local"
    : "npm install --save-dev stepwatch aws-cdk-lib constructs && npx stepwatch deploy --local";
}

function wordsOf(project: Found, folder: string): string[] {
  const { name, projectDir, profilesDir, profile, target, adapter, packages, packagesFrom } = project;
  const place = (path: string) => relative(folder, path) || ".";
  return [
    `${name}: dbt project in ${place(projectDir)}`,
    `  profile ${profile} of ${join(profilesDir, "profiles.yml")}, target ${target ?? "as dbt chooses"} (${adapter})`,
    `  ${packages.join(", ")} (${packagesFrom === null ? "nothing says which: stepwatch's own choice" : `as ${packagesFrom} says`})`,
  ];
}
