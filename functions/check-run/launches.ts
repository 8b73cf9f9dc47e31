import type { Artefacts } from "#clients/artefacts.ts";
import { tell } from "#clients/function-log.ts";
import type { Ledger, VertexClaim } from "#clients/ledger.ts";
import type { Tasks } from "#clients/tasks.ts";
import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import { type TaskSet, taskSetSchema } from "#core/contracts/task-set.ts";
import { eachLimited } from "#core/limit.ts";
import { artefactKeys, clientToken, setHash, startedBy } from "#core/names.ts";
import type { LaunchDecision } from "#core/run/deciding/decision.ts";
import { isCapacityRefusal, nextRoomAtMs, placementOf, triesElsewhere } from "#core/run/watching/capacity.ts";
import { asksEcs, ended, nextLaunchAtMs, taskMove } from "#core/run/watching/task-watch.ts";

/** What launching and watching tasks needs. */
export interface LaunchDeps {
  readonly ledger: Ledger;
  readonly artefacts: Pick<Artefacts, "putJson" | "getJson">;
  readonly tasks: Tasks;
  readonly nowMs: () => number;
}

/** As much of it as watching tasks and ending them needs. */
export type WatchDeps = Pick<LaunchDeps, "ledger" | "tasks" | "nowMs">;

/** Claims of vertices at once; each is one conditional update. */
const CLAIMS_AT_ONCE = 16;

/** Ids of a set that its task's row shows to people. */
const SET_SAMPLE = 5;

/**
 * Takes the next task number for a decision and launches it. The order makes every crash harmless: the set lies in S3
 * before the row names it, the row (with number and token) before the first claim, all claims before RunTask.
 * False: the version has moved, nothing was taken.
 */
export async function claimTask(
  run: RunRow,
  version: number,
  task: number,
  launch: LaunchDecision & { readonly onDemand?: boolean },
  deps: LaunchDeps,
): Promise<boolean> {
  const { claims, eventWindow, asOfMs, orphans, hooks, startHooks, step } = launch;
  const uniqueIds = [...launch.uniqueIds];
  const hasSet = uniqueIds.length > 0 || hooks !== undefined || step !== undefined;
  const setKey = hasSet ? artefactKeys.set(run.project, run.runId, task, setHash(uniqueIds)) : undefined;
  const set: TaskSet = {
    uniqueIds,
    claims: [...claims],
    eventWindow,
    asOfMs,
    orphans: orphans && { ...orphans, uniqueIds: [...orphans.uniqueIds] },
    startHooks,
    hooks,
    command: step && [...step.words],
  };
  if (setKey) await deps.artefacts.putJson(setKey, set);
  const row: TaskRow = {
    task,
    kind: launch.kind,
    round: run.round,
    reason: launch.reason,
    ...(step ? { step: step.id } : {}),
    ...(setKey ? { setKey } : {}),
    ...(uniqueIds.length > 0 ? { setSize: uniqueIds.length } : {}),
    setSample: uniqueIds.slice(0, SET_SAMPLE),
    size: (launch.kind === "producer" ? undefined : run.opening?.size) ?? launch.size,
    ...(run.opening?.fullRefresh ? { fullRefresh: true } : {}),
    ...(launch.onDemand ? { onDemand: true } : {}),
    state: "claiming",
    claimedAtMs: deps.nowMs(),
    clientToken: clientToken(run, task, 0),
    launchFailures: 0,
    sequence: 0,
  };
  if (!(await deps.ledger.createTask(run, version, row))) return false;
  if (await claimVertices(run, row, claims, deps)) await launchTask(run, row, deps);
  return true;
}

/** Finishes what an earlier check left between claim and RunTask. True: something was done, read the tasks again. */
export async function finishLaunches(run: RunRow, tasks: readonly TaskRow[], deps: LaunchDeps): Promise<boolean> {
  let done = false;
  for (const task of tasks) {
    if (task.state === "claiming") {
      const claims = task.setKey ? taskSetSchema.parse(await deps.artefacts.getJson(task.setKey)).claims : [];
      if (await claimVertices(run, task, claims, deps)) await launchTask(run, task, deps);
      done = true;
    } else if (task.state === "launching" && task.taskArn === undefined && deps.nowMs() >= (task.nextLaunchAtMs ?? 0)) {
      await launchTask(run, task, deps);
      done = true;
    }
  }
  return done;
}

/** False: a vertex belongs to somebody else by now; the task is over without having begun, and the next turn decides anew. */
async function claimVertices(
  run: RunRow,
  task: TaskRow,
  claims: readonly VertexClaim[],
  deps: LaunchDeps,
): Promise<boolean> {
  let lost: string | null = null;
  await eachLimited(claims, CLAIMS_AT_ONCE, async (claim) => {
    if (!(await deps.ledger.claimVertex(run, task.task, claim))) lost = claim.uniqueId;
  });
  if (lost !== null) {
    await deps.ledger.markStopped(
      run,
      task.task,
      ended(deps.nowMs(), `Not launched: ${lost} has another owner by now.`),
    );
    return false;
  }
  await deps.ledger.markClaimed(run, task.task);
  return true;
}

async function launchTask(run: RunRow, task: TaskRow, deps: LaunchDeps): Promise<void> {
  const target = targetOf(run, task);
  const answer = await deps.tasks.launch({
    target,
    placement: placementOf(target, task),
    clientToken: task.clientToken,
    startedBy: startedBy(run),
    environment: { STEPWATCH_RUN_ID: run.runId, STEPWATCH_TASK: String(task.task) },
    tags: {
      "stepwatch:project": run.project,
      "stepwatch:run": run.runId,
      "stepwatch:task": String(task.task),
      "stepwatch:kind": task.kind,
    },
  });
  if ("taskArn" in answer) {
    const { task: number, kind, reason, setSize } = task;
    tell("A task is launched.", { task: number, kind, reason, vertices: setSize, taskArn: answer.taskArn });
    await deps.ledger.markLaunched(run, task.task, { taskArn: answer.taskArn, launchedAtMs: deps.nowMs() });
  } else await launchFailed(run, task, answer.refused, deps);
}

/**
 * A launch that failed uses no try; after the policy's bound the task is given up (behaviour D11). One for which there
 * was no room waits within the run's deadline, and counts for no bound (D21).
 */
async function launchFailed(run: RunRow, task: TaskRow, reason: string, deps: WatchDeps): Promise<void> {
  const launchFailures = task.launchFailures + 1;
  const noRoom = isCapacityRefusal(reason);
  const capacityRefusals = (task.capacityRefusals ?? 0) + (noRoom ? 1 : 0);
  const counted = launchFailures - capacityRefusals;
  tell("A task was not started.", { task: task.task, failures: launchFailures, noRoom, reason });
  const { policy } = run.settings;
  if (!noRoom && counted > policy.launchFailures) {
    const last = `Given up after ${counted} launches: ${reason}`;
    await deps.ledger.markStopped(run, task.task, ended(deps.nowMs(), last, true));
    return;
  }
  const target = targetOf(run, task);
  const waitMs = () =>
    triesElsewhere(target, task, capacityRefusals) ? deps.nowMs() : nextRoomAtMs(capacityRefusals, deps.nowMs());
  const next = {
    reason,
    launchFailures,
    ...(capacityRefusals > 0 && { capacityRefusals }),
    nextLaunchAtMs: noRoom ? waitMs() : nextLaunchAtMs(counted, policy, deps.nowMs()),
    clientToken: clientToken(run, task.task, launchFailures),
  };
  await deps.ledger.markLaunchFailed(run, task.task, next);
}

/** Asks ECS about live tasks where nothing else tells. True: a task moved, read the tasks again. */
export async function observeTasks(run: RunRow, tasks: readonly TaskRow[], deps: WatchDeps): Promise<boolean> {
  const { policy, producer, executionQueue } = run.settings;
  const asked = tasks.filter((task) => asksEcs(task, policy, deps.nowMs()));
  let moved = false;
  for (const target of [producer, executionQueue]) {
    const ours = asked.filter((task) => (task.size === "producer" ? producer : executionQueue) === target);
    if (ours.length === 0) continue;
    const answers = await deps.tasks.describe(target.cluster, target.containerName, ours.map(arnOf), startedBy(run));
    for (const task of ours)
      moved = (await move(run, task, answers.get(arnOf(task)) ?? { state: "missing" }, deps)) || moved;
  }
  return moved;
}

const targetOf = ({ settings }: RunRow, { size }: TaskRow) =>
  size === "producer" ? settings.producer : settings.executionQueue;

const arnOf = (task: TaskRow): string => task.fencedBy ?? task.taskArn!;

async function move(
  run: RunRow,
  task: TaskRow,
  ecs: Parameters<typeof taskMove>[1],
  deps: WatchDeps,
): Promise<boolean> {
  const next = taskMove(task, ecs, deps.nowMs());
  if (next.move === "none") return false;
  if (next.move === "over") {
    tell("A task is over by ECS' word.", { task: task.task, ...next.stop });
    return await deps.ledger.markStopped(run, task.task, next.stop);
  }
  const target = targetOf(run, task);
  if (ecs.state !== "stopped") await deps.tasks.stop(target.cluster, arnOf(task), next.reason, startedBy(run));
  await launchFailed(run, task, next.reason, deps);
  return true;
}

/** Stops every live task; one that was never launched is over at once. */
export async function stopTasks(run: RunRow, tasks: readonly TaskRow[], deps: WatchDeps): Promise<void> {
  await closeUnlaunched(run, tasks, deps);
  for (const task of tasks) {
    if (task.state === "over" || !wasLaunched(task)) continue;
    const target = targetOf(run, task);
    await deps.tasks.stop(target.cluster, arnOf(task), "The run is being stopped.", startedBy(run));
  }
}

/**
 * Ends what was claimed and never launched, or whose launch came to nothing: its fence is closed to a container that may
 * come all the same. True: something was done, read the tasks again.
 */
export async function closeUnlaunched(run: RunRow, tasks: readonly TaskRow[], deps: WatchDeps): Promise<boolean> {
  const unlaunched = tasks.filter((task) => task.state !== "over" && !wasLaunched(task));
  for (const task of unlaunched) {
    const why = task.lastLaunchFailure === undefined ? "" : ` The last launch was refused: ${task.lastLaunchFailure}`;
    const stop = ended(deps.nowMs(), `The run was stopped before the task was launched.${why}`, true);
    await deps.ledger.markStopped(run, task.task, stop);
  }
  return unlaunched.length > 0;
}

const wasLaunched = ({ fencedBy, taskArn }: TaskRow): boolean => (fencedBy ?? taskArn) !== undefined;
