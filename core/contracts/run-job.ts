import type { Policy, ProjectSettings } from "#core/contracts/settings.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import { optionsOver } from "#core/dbt/options-over.ts";
import { InputError } from "#core/errors.ts";
import { policyOfRun, runPolicySchema } from "./run-policy.ts";

/**
 * A project's settings as one of its jobs has them: options and policy merged, project < job, and the job beside them. Of
 * a run without a job the project's own. The other jobs are left out: a run's row needs none of them.
 * @throws InputError for a job that the project does not have
 */
export function settingsOfJob(deployed: ProjectSettings, job: string | undefined): ProjectSettings {
  const { jobs = {}, ...project } = deployed;
  if (job === undefined) return project;
  const found = Object.hasOwn(jobs, job) ? jobs[job] : undefined;
  if (found === undefined) throw new InputError("Run input refused", [unknownJob(project.project, job, jobs)]);
  const { build, policy, dates = project.dates, ...own } = found;
  const plain = optionsOver({ target: project.target }, project.build);
  const merged = optionsOver(plain, build);
  // One that names what would be built anyway is nowhere else.
  const placeOf = ({ target = project.defaultTarget ?? undefined, profile = project.defaultProfile }: BuildOptions) =>
    JSON.stringify([target, profile]);
  const isElsewhere = placeOf(merged) !== placeOf(plain);
  return {
    ...project,
    build: optionsOver(project.build, build),
    policy: policyOfRun(project.policy, runPolicySchema.parse(policy), Number.POSITIVE_INFINITY),
    ...(dates === undefined ? {} : { dates }),
    // The project's own, by which the lock of another profile is told apart.
    ...(plain.profile === undefined ? {} : { defaultProfile: plain.profile }),
    // What is known of the project's warehouse says nothing of another.
    ...(isElsewhere && { singleWriter: undefined, manyWriters: undefined }),
    job: { ...own, name: job },
  };
}

/** One sentence that names the jobs there are. */
export function unknownJob(project: string, job: string, jobs: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(jobs);
  return `job = ${JSON.stringify(job)}: project ${project} has ${names.length === 0 ? "no jobs" : names.join(", ")}`;
}

/** The longest run that a stack is deployed for, jobs among them: histories and timeouts of its machines hold no longer one. */
export function longestRunMinutes(
  projects: readonly {
    readonly policy: Pick<Policy, "runTimeoutMinutes">;
    readonly jobs?: Readonly<Record<string, { readonly policy: object }>> | undefined;
  }[],
): number {
  const minutes = projects.flatMap(({ policy, jobs = {} }) => [
    policy.runTimeoutMinutes,
    ...Object.values(jobs).map((job) => (job.policy as Partial<Policy>).runTimeoutMinutes ?? 0),
  ]);
  return Math.max(...minutes);
}
