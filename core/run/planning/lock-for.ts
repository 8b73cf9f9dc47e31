import type { LockRow } from "#core/contracts/project-rows.ts";
import { effectiveOptions, type RunInput } from "#core/contracts/run-input.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { readDbtCommand, takesLock } from "#core/dbt/commands.ts";
import { InputError } from "#core/errors.ts";
import { lockKey, ownLockKey, schemaLockKey } from "#core/names.ts";
import { oneWriter } from "#core/run/deciding/early-refusal.ts";

/**
 * The lock that a run needs: that of the target which it builds, unless its job has a weaker one (docs/adr/0053).
 * @throws InputError
 */
export function lockFor(
  execution: { readonly arn: string; readonly name: string },
  input: RunInput,
  settings: ProjectSettings,
  takenAtMs: number,
): LockRow {
  const lockProject = settings.lockProject ?? input.project;
  return {
    project: lockProject,
    ...(lockProject === input.project ? {} : { runProject: input.project }),
    lockKey: keyOf(execution.name, input, settings),
    runId: execution.name,
    executionArn: execution.arn,
    takenAtMs,
  };
}

function keyOf(runId: string, input: RunInput, settings: ProjectSettings): string {
  const { lock = "target", lockKey: jobsKey } = settings.job ?? {};
  if (input.lockKey !== undefined && lock !== "schema")
    throw refused(`lockKey = ${JSON.stringify(input.lockKey)}: only a run of a job with lock: schema has one`);
  const target = targetKey(input, settings);
  if (input.command !== undefined) {
    const takesOne = settings.singleWriter !== undefined && input.target === undefined && input.profile === undefined;
    return takesLock(readDbtCommand(input.command), takesOne) ? target : ownLockKey(runId);
  }
  if (lock === "target") return target;
  const writer = input.target === undefined && input.profile === undefined ? settings.singleWriter : undefined;
  if (writer !== undefined)
    throw refused(`job = ${JSON.stringify(settings.job?.name)}: lock: ${lock}, and ${oneWriter(writer)}`);
  if (lock === "none") return ownLockKey(runId);
  const key = input.lockKey ?? jobsKey;
  if (key !== undefined) return schemaLockKey(target, key);
  throw refused(
    `lockKey: the job ${settings.job?.name} has lock: schema, and nothing says which schema this run builds`,
  );
}

function targetKey(input: RunInput, settings: ProjectSettings): string {
  const options = effectiveOptions(settings, input);
  // A job's own profile is another than the project's, as one that a run names.
  const named = settings.job === undefined ? settings.build.profile : undefined;
  const ownProfile = named ?? settings.defaultProfile;
  return lockKey(options.target, settings.defaultTarget, options.profile === ownProfile ? undefined : options.profile);
}

const refused = (problem: string) => new InputError("Run input refused", [problem]);
