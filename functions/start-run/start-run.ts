import { isRefused } from "#clients/aws-errors.ts";
import type { Executions } from "#clients/executions.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { LockRow, RunRow } from "#core/contracts/ledger.ts";
import { CONTRACT, type RunReference, type StartRunPayload } from "#core/contracts/payloads.ts";
import { effectiveOptions, parseRunInput } from "#core/contracts/run-input.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { InputError, QueueFull, RunLocked } from "#core/errors.ts";
import { lockKey, RUN_ID } from "#core/names.ts";
import { ended, lastSignMs } from "#core/run/task-watch.ts";
import { isOver } from "#core/run/vertex-view.ts";

export interface StartRunDeps {
  readonly ledger: Ledger;
  readonly executions: Pick<Executions, "describe">;
  readonly nowMs: () => number;
}

/** Runs that may wait for one lock. More would only pile up: the oldest schedule is behind by ten runs then. */
const QUEUE_BOUND = 10;

/**
 * Validates the input, takes the project's lock and writes the run. Null: the run waits in the lock's queue, ask again
 * with the next turn. Run twice, it changes nothing: lock and row recognise their run.
 * @throws InputError, RunLocked, QueueFull
 */
export async function startRun(payload: StartRunPayload, deps: StartRunDeps): Promise<RunReference | null> {
  const { execution } = payload;
  const input = parseRunInput(payload.input);
  const settings = Object.hasOwn(payload.projects, input.project) ? payload.projects[input.project] : undefined;
  if (!settings)
    throw new InputError("Run input refused", [
      `project = "${input.project}": this stack has ${Object.keys(payload.projects).join(", ") || "no project"}`,
    ]);
  if (!RUN_ID.test(execution.name))
    throw new InputError("Run input refused", [
      `execution name = "${execution.name}": letters, digits, - and _ only, at most 80`,
    ]);
  const options = effectiveOptions(settings, input);
  const ownProfile = settings.build.profile ?? settings.defaultProfile;
  const otherProfile = options.profile === ownProfile ? undefined : options.profile;
  const lockProject = settings.lockProject ?? input.project;
  const lock: LockRow = {
    project: lockProject,
    ...(lockProject === input.project ? {} : { runProject: input.project }),
    lockKey: lockKey(options.target, settings.defaultTarget, otherProfile),
    runId: execution.name,
    executionArn: execution.arn,
    takenAtMs: deps.nowMs(),
  };
  const reference: RunReference = { contract: CONTRACT, project: input.project, runId: execution.name, round: 1 };
  const holder = await lockOrHolder(lock, settings, deps);
  if (holder === "wait") return null;
  if (holder && settings.policy.overlap === "skip")
    return { ...reference, skipped: `Run ${holder.runId} holds the lock ${lock.lockKey} (overlap: skip).` };
  if (holder) throw new RunLocked(lock.lockKey, holder.runId, NOT_QUEUED);
  const effective =
    input.allowEmpty === undefined
      ? settings
      : { ...settings, policy: { ...settings.policy, allowEmpty: input.allowEmpty } };
  await writeRun(lock, input, effective, deps);
  return reference;
}

const NOT_QUEUED = "wait until it ends, or set overlap: queue.";

async function writeRun(
  lock: LockRow,
  input: Record<string, unknown>,
  settings: ProjectSettings,
  deps: StartRunDeps,
): Promise<void> {
  const nowMs = deps.nowMs();
  const run: RunRow = {
    ...runKeyOf(lock),
    ...(lock.runProject === undefined ? {} : { lockProject: lock.project }),
    executionArn: lock.executionArn,
    input,
    settings,
    lockKey: lock.lockKey,
    round: 1,
    state: "running",
    version: 0,
    lastTask: 0,
    startedAtMs: nowMs,
    deadlineAtMs: nowMs + settings.policy.runTimeoutMinutes * 60_000,
  };
  const known = (await deps.ledger.createRun(run)) ? run : await deps.ledger.readRun(run);
  if (known?.state !== "running") return;
  const { project, runId, executionArn, startedAtMs } = known;
  const index = { project, runId, executionArn, startedAtMs, state: "running" as const };
  try {
    await deps.ledger.putRunIndex(index, settings.policy.ttlDays);
  } catch (error) {
    // The row is there: a list that lacks the run for a while must not end it without a verdict. Its end is put there too.
    if (!isRefused(error)) throw error;
  }
}

/** The run that a lock's row names: of a project of its own where several share the lock. */
const runKeyOf = ({ project, runProject, runId }: LockRow) => ({ project: runProject ?? project, runId });

/** Null: the lock is ours. A row: somebody holds it and the policy is not to wait. `wait`: we stand in the queue. */
async function lockOrHolder(
  lock: LockRow,
  settings: ProjectSettings,
  deps: StartRunDeps,
): Promise<LockRow | "wait" | null> {
  if (settings.policy.overlap !== "queue") return takeOrReplace(lock, deps);
  if (await isMine(lock, deps)) {
    await deps.ledger.leaveQueue(lock.project, lock.lockKey, { runId: lock.runId, atMs: lock.takenAtMs });
    return takeOrReplace(lock, deps);
  }
  const queue = await deps.ledger.joinQueue(lock.project, lock.lockKey, {
    runId: lock.runId,
    atMs: lock.takenAtMs,
    executionArn: lock.executionArn,
  });
  const ahead = await liveAhead(queue, lock, deps);
  const entry = queue.find((one) => one.runId === lock.runId);
  if (ahead >= QUEUE_BOUND) {
    if (entry) await deps.ledger.leaveQueue(lock.project, lock.lockKey, entry);
    throw new QueueFull(lock.lockKey, QUEUE_BOUND, (await deps.ledger.readLock(lock.project, lock.lockKey))?.runId);
  }
  if (ahead > 0 || (await takeOrReplace(lock, deps)) !== null) return "wait";
  if (entry) await deps.ledger.leaveQueue(lock.project, lock.lockKey, entry);
  return null;
}

/** Whether an earlier call got so far: it must not stand in the queue again, behind runs that wait for this one. */
async function isMine(lock: LockRow, deps: StartRunDeps): Promise<boolean> {
  if ((await deps.ledger.readLock(lock.project, lock.lockKey))?.runId === lock.runId) return true;
  return (await deps.ledger.readRun(runKeyOf(lock))) !== null;
}

/** Runs before ours in the queue whose execution still runs; entries of others are cleared away. */
async function liveAhead(
  queue: Awaited<ReturnType<Ledger["joinQueue"]>>,
  lock: LockRow,
  deps: StartRunDeps,
): Promise<number> {
  let ahead = 0;
  for (const entry of queue) {
    if (entry.runId === lock.runId) break;
    const execution = await deps.executions.describe(entry.executionArn);
    if (execution?.status === "RUNNING") ahead += 1;
    else await deps.ledger.leaveQueue(lock.project, lock.lockKey, entry);
  }
  return ahead;
}

/** Takes the lock, also from a holder that is gone: its execution ended and each of its tasks is over or silent. */
async function takeOrReplace(lock: LockRow, deps: StartRunDeps): Promise<LockRow | null> {
  const holder = await deps.ledger.takeLock(lock);
  if (holder === null) return null;
  const execution = await deps.executions.describe(holder.executionArn);
  if (execution?.status === "RUNNING") return holder;
  const held = runKeyOf(holder);
  const tasks = await deps.ledger.readTasks(held);
  const run = await deps.ledger.readRun(held);
  const silentMs = (run?.settings.policy.lostAfterSeconds ?? 60) * 1000;
  const alive = tasks.some((task) => !isOver(task) && deps.nowMs() - lastSignMs(task) < silentMs);
  if (alive) return holder;
  for (const task of tasks) {
    if (!isOver(task) && task.state !== "running")
      await deps.ledger.markStopped(
        held,
        task.task,
        ended(deps.nowMs(), `Not begun when run ${lock.runId} took the lock.`, true),
      );
  }
  return (await deps.ledger.replaceLock(lock, { runId: holder.runId })) ? null : holder;
}
