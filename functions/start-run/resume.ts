import type { Ledger } from "#clients/ledger.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { parseRunInput, type RunInput } from "#core/contracts/run-input.ts";
import { settingsOfJob } from "#core/contracts/run-job.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { InputError } from "#core/errors.ts";
import { adopt } from "#core/run/judging/adoption.ts";
import { rowsLastUntilMs } from "#core/run/judging/rounds.ts";

/** What a run input may say beside the run that it goes on with: everything else is that run's. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  "project",
  "resume",
  "policy",
  "dedupeKey",
  "evenIfPaused",
  "ifLeftOut",
]);

/** A run that goes on with another: that one's row, its options, and its dbt settings under today's policy. */
export interface Resumed {
  readonly past: RunRow;
  readonly input: RunInput;
  readonly settings: ProjectSettings;
}

/**
 * Finds the run that a new one is to go on with. It keeps target and options of that run, and its image unless another
 * one is asked for; how often a thing is tried is today's policy.
 * @throws InputError
 */
export async function resumedRun(
  input: RunInput & { readonly resume: NonNullable<RunInput["resume"]> },
  deployed: ProjectSettings,
  { ledger, nowMs }: { readonly ledger: Pick<Ledger, "readRun">; readonly nowMs: () => number },
): Promise<Resumed> {
  const { project, resume } = input;
  const stated = Object.entries(input).filter(([, value]) => value !== undefined);
  const others = stated.map(([name]) => name).filter((name) => !OWN_FIELDS.has(name));
  if (others.length > 0)
    throw refused(`${others.join(", ")}: a run that goes on with another has the options of that one`);
  const past = await ledger.readRun({ project, runId: resume.run });
  if (past === null)
    throw refused(`resume.run = "${resume.run}": project ${project} has no such run, or its rows have expired`);
  // Without some of them, what is good would be taken for not built.
  if (nowMs() > rowsLastUntilMs(past))
    throw refused(
      `resume.run = "${resume.run}": its rows have expired (ttlDays): npx stepwatch run ${project} --rerun ${resume.run}`,
    );
  if (past.state === "running")
    throw refused(`resume.run = "${resume.run}": it has not ended: npx stepwatch status ${resume.run}`);
  const policy = { ...(past.input as RunInput).policy, ...input.policy };
  const { producer, executionQueue, build, threads, target, defaultTarget, defaultProfile, lockProject, job, dates } =
    past.settings;
  const current = today(deployed, past);
  const pinned = { producer, executionQueue: { ...executionQueue, maxTasks: current.executionQueue.maxTasks } };
  const settings = {
    ...current,
    ...(resume.image === "current" ? {} : pinned),
    build,
    threads,
    target,
    defaultTarget,
    defaultProfile,
    lockProject,
    job,
    dates,
  };
  const { resume: _, dedupeKey: __, evenIfPaused: ___, ...options } = past.input as RunInput;
  return {
    past,
    settings,
    input: parseRunInput({
      ...options,
      resume,
      ...(input.evenIfPaused === undefined ? {} : { evenIfPaused: input.evenIfPaused }),
      ...(Object.keys(policy).length > 0 ? { policy } : {}),
    }),
  };
}

/** Today's settings of the same job; where the job is gone, its policy is still that of the run. */
function today(deployed: ProjectSettings, { settings: { job, policy } }: RunRow): ProjectSettings {
  const stands = job === undefined || Object.hasOwn(deployed.jobs ?? {}, job.name);
  return stands ? settingsOfJob(deployed, job?.name) : { ...settingsOfJob(deployed, undefined), policy };
}

/** Takes over plan, tasks and vertices before the run's row is written. Twice is once: rows that stand are left alone. */
export async function adoptRun(
  run: RunRow,
  { past, input }: Resumed,
  deps: { readonly ledger: Ledger; readonly nowMs: () => number },
): Promise<RunRow> {
  const tasks = await deps.ledger.readTasks(past);
  const rows = await deps.ledger.readVertices(past);
  const adoption = adopt({ run: past, tasks, rows }, input.resume!, deps.nowMs());
  const adopted = { ...run, ...adoption.run };
  await deps.ledger.adoptRows(adopted, adoption.tasks, adoption.rows);
  return adopted;
}

const refused = (problem: string) => new InputError("Run input refused", [problem]);
