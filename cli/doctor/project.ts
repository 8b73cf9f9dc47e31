import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import type { ProjectConfig } from "#core/config.ts";
import { InputError } from "#core/errors.ts";
import { venvOf } from "#local/python.ts";
import { refuseLostDatabase, targetOutput } from "../../infra/database-place.ts";
import { at } from "../../infra/dbt-files.ts";
import { filesOfProfile, unknownVariables } from "../../infra/unknown-variables.ts";
import { UsageError } from "../failure.ts";
import { installedIn } from "../init/python-packages.ts";
import { checkExecutable, checkPackages, checkProject, dbtOf, depsCommand, missingPackages } from "../preflight.ts";
import { type Finding, type FindingState, findingsOf } from "./finding.ts";

const finding = findingsOf("project");

export interface ProjectExamination {
  readonly environment: NodeJS.ProcessEnv;
  /** Whether dbt itself is to connect to the warehouse. */
  readonly connection: boolean;
  /** The command that installs what is missing. */
  readonly deploy: string;
}

/** What of a dbt project a deploy or a run would stumble over. */
export async function examineProject(project: ProjectConfig, examination: ProjectExamination): Promise<Finding[]> {
  const { name } = project;
  const files = said(`profile:${name}`, "problem", () => checkProject(project, { packages: "installed later" }));
  const profile = files ?? finding(`profile:${name}`, "ok", `${name}: ${profileWords(project)}.`);
  // Without its files nothing else can be said of it.
  if (profile.state === "problem") return [profile];
  const dbt = await dbtFinding(project, examination);
  return [
    profile,
    dbt,
    ...packagesFinding(project, examination),
    ...variableFindings(project),
    ...databaseFindings(project),
    ...(examination.connection && dbt.state === "ok" ? [await connectionFinding(project, examination)] : []),
  ];
}

/** Tables that a task would take with it: fine on the embedded AWS. */
function databaseFindings(project: ProjectConfig): Finding[] {
  const refused = said(`database:${project.name}`, "none", () => refuseLostDatabase(project));
  return refused === null ? [] : [{ ...refused, remedy: "The embedded AWS takes it as it is." }];
}

function profileWords(project: ProjectConfig): string {
  const type = at(targetOutput(project), "type");
  const target = project.build.target ?? project.target;
  return `dbt_project.yml and profiles.yml are there, ${target === undefined ? "the profile's own target" : `target ${target}`}${typeof type === "string" ? ` (${type})` : ""}`;
}

/** What a check of a command refuses, as a finding; null where it refuses nothing. */
function said(check: string, state: FindingState, look: () => void): Finding | null {
  try {
    look();
    return null;
  } catch (error) {
    if (error instanceof UsageError) return finding(check, state, error.message, error.next ?? null);
    if (error instanceof InputError) return finding(check, state, error.problems.join(" "), null);
    throw error;
  }
}

async function dbtFinding(project: ProjectConfig, { environment, deploy }: ProjectExamination): Promise<Finding> {
  const check = `dbt:${project.name}`;
  const { executable, packages } = project.dbt;
  if (executable !== undefined) {
    try {
      const program = await checkExecutable(project, environment.PATH ?? "");
      return finding(check, "ok", `${project.name}: local runs use the dbt of ${program}.`);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      return finding(check, "problem", error.message, error.next ?? null);
    }
  }
  const old = said(check, "problem", () => checkPackages(project));
  if (old !== null) return old;
  const { dir } = venvOf(packages);
  const installed = installedIn(dir)?.requirements;
  if (installed === undefined)
    return finding(
      check,
      "none",
      `${project.name}: ${packages.join(", ")} are not installed on this machine yet.`,
      `${deploy} installs them.`,
    );
  const versions = ["dbt-core", `dbt-${at(targetOutput(project), "type")}`].flatMap((name) => {
    const version = installed.get(name);
    return version === undefined ? [] : [`${name} ${version.replace("==", "")}`];
  });
  const adapter = `dbt-${at(targetOutput(project), "type")}`;
  if (adapter !== "dbt-undefined" && !installed.has(adapter))
    return finding(
      check,
      "problem",
      `${project.name}: its target needs ${adapter}, and dbt.packages has ${packages.join(", ")}.`,
      `Name ${adapter} under dbt.packages in stepwatch.yaml.`,
    );
  return finding(check, "ok", `${project.name}: ${versions.join(" and ")} are installed (${dir}).`);
}

function packagesFinding(project: ProjectConfig, { deploy }: ProjectExamination): Finding[] {
  const missing = missingPackages(project);
  if (missing === null) return [];
  return [
    finding(
      `packages:${project.name}`,
      "warning",
      `${project.name}: packages.yml lists packages, and there is no ${missing}.`,
      `${deploy} installs them, or: ${depsCommand(project)}`,
    ),
  ];
}

function variableFindings(project: ProjectConfig): Finding[] {
  const check = `variables:${project.name}`;
  const variables = [...new Set(unknownVariables(project).map(({ name }) => name))];
  const files = filesOfProfile(project).filter((file) => !existsSync(file));
  return [
    ...(variables.length === 0
      ? []
      : [
          finding(
            check,
            "warning",
            `${project.name} reads ${variables.join(", ")} by env_var without a default, and no container has it.`,
            "Name it in stepwatch.yaml under environment, or, of a password, under secrets.",
          ),
        ]),
    ...files.map((file) =>
      finding(
        check,
        "warning",
        `${project.name}: profiles.yml names the file ${file}, which is not there.`,
        "Put a certificate into the project, and a key under secrets.",
      ),
    ),
  ];
}

/** dbt's own look at the warehouse, with the variables of this shell and of stepwatch.yaml. */
async function connectionFinding(project: ProjectConfig, { environment }: ProjectExamination): Promise<Finding> {
  const check = `connection:${project.name}`;
  const target = project.build.target ?? project.target;
  const args = ["debug", "--project-dir", project.projectDir, "--profiles-dir", project.profilesDir, "--no-use-colors"];
  try {
    await promisify(execFile)(dbtOf(project), [...args, ...(target === undefined ? [] : ["--target", target])], {
      cwd: project.projectDir,
      env: { ...environment, ...project.environment },
      timeout: 120_000,
    });
    return finding(check, "ok", `${project.name}: dbt debug connects to the warehouse from this machine.`);
  } catch (error) {
    const { stdout = "", message } = error as Error & { stdout?: string };
    const lines = stdout.split("\n").map((line) => line.replace(/^[\d:. ]+/, "").trim());
    const told = lines
      .filter((line) => /error|failed|invalid|could not/i.test(line))
      .slice(-3)
      .join(" ");
    return finding(
      check,
      "problem",
      `${project.name}: dbt debug fails: ${told || message}`,
      `${dbtOf(project)} ${args.slice(0, 5).join(" ")}`,
    );
  }
}
