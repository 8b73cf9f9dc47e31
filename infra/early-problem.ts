import { join } from "node:path";
import type { ProjectConfig } from "#core/config.ts";
import { policyOfRun } from "#core/contracts/run-policy.ts";
import { InputError } from "#core/errors.ts";
import { oneWriter } from "#core/run/deciding/early-refusal.ts";
import { SINGLE_WRITERS } from "#core/run/planning/plan.ts";
import { embeddedDatabase, targetOutput } from "./database-place.ts";
import { at, readYaml } from "./dbt-files.ts";

/** Says which project asks for `recovery: early` and can not have it. @throws {InputError} */
export function refuseEarly(project: ProjectConfig): void {
  const problem = project.policy.recovery === "early" ? earlyProblem(project) : null;
  if (problem !== null)
    throw new InputError("stepwatch.yaml refused", [`projects.${project.name}.policy.recovery = "early": ${problem}`]);
  for (const [name, job] of Object.entries(project.jobs)) {
    const policy = policyOfRun(project.policy, job.policy, Number.POSITIVE_INFINITY);
    const ofJob = policy.recovery === "early" ? earlyProblem({ ...project, policy }) : null;
    const where = `projects.${project.name}.jobs.${name}`;
    if (ofJob !== null)
      throw new InputError("stepwatch.yaml refused", [`${where}.policy.recovery = "early": ${ofJob}`]);
  }
}

/**
 * Why a project can not have `recovery: early`, as the end of a sentence; null where nothing is known against it. What
 * only dbt can tell (a template, the environment, hooks of a package) the plan says when the run has begun.
 */
function earlyProblem(project: ProjectConfig): string | null {
  const writer = singleWriter(project);
  if (writer !== null) return oneWriter(writer);
  const { hooks, concurrentHooks } = project.policy;
  const [hook] = ["on-run-start", "on-run-end"].filter((name) => hasHook(project, name));
  if (hook === undefined || concurrentHooks || hooks === "once") return null;
  return `dbt_project.yml has ${hook} hooks, which would run in a recovery build while the producer builds: set policy.hooks: once or policy.concurrentHooks: true.`;
}

/** The warehouse that a run without a target of its own builds, if it takes one writer; null if it takes more, or only dbt can tell. */
export function singleWriter(project: ProjectConfig): string | null {
  const type = at(targetOutput(project), "type");
  if (embeddedDatabase(project)?.place === "server") return null;
  return typeof type === "string" && SINGLE_WRITERS.has(type) ? type : null;
}

function hasHook(project: ProjectConfig, name: string): boolean {
  const hooks = at(readYaml(join(project.projectDir, "dbt_project.yml")), name);
  return Array.isArray(hooks) ? hooks.length > 0 : typeof hooks === "string" && hooks !== "";
}
