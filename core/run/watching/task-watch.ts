import type { TaskRow, TaskStop } from "#core/contracts/ledger.ts";
import type { Policy } from "#core/contracts/settings.ts";
import { backOffMs } from "#core/run/deciding/back-off.ts";
import { overAtMs } from "#core/run/judging/vertex-view.ts";
import type { TaskDescription } from "#core/run/watching/task-stop.ts";

/** What check-run does about one live task. */
export type TaskMove =
  | { readonly move: "none" }
  /** The launch came to nothing: try again later under a new token, or give up. */
  | { readonly move: "launch_failed"; readonly reason: string }
  | { readonly move: "over"; readonly stop: TaskStop };

/** How long ECS may say MISSING of a task that it was asked to run; its API is eventually consistent. Milliseconds. */
export const MISSING_GRACE_MS = 5 * 60_000;

/**
 * How long a task may be on its way to the fence. Image pulls of some GB take minutes; a task that needs longer never
 * starts, in our experience, and would hold the run for its whole deadline. Milliseconds.
 */
export const START_PATIENCE_MS = 20 * 60_000;

/**
 * Whether ECS is to be asked about a task: always while it is on its way to the fence (nothing else would tell that it
 * failed to start), later only when its heartbeat is silent (behaviour D10).
 */
export function asksEcs(task: TaskRow, policy: Policy, nowMs: number): boolean {
  if (task.taskArn === undefined && task.fencedBy === undefined) return false;
  if (task.state === "launching") return true;
  // A heartbeat from the future is of a host whose clock runs ahead: it would hide the container's death until then.
  return task.state === "running" && Math.abs(nowMs - lastSignMs(task)) > policy.lostAfterSeconds * 1000;
}

/** The last moment at which a task is known to have lived or to have been asked for. Milliseconds, of the container's clock once it beats. */
export const lastSignMs = (task: TaskRow): number =>
  task.heartbeatAtMs ?? task.startedAtMs ?? task.launchedAtMs ?? task.claimedAtMs;

/** The task's real state decides, not the age of its heartbeat; MISSING means wait, then over (behaviour D10, D11). */
export function taskMove(task: TaskRow, ecs: TaskDescription, nowMs: number): TaskMove {
  if (ecs.state === "stopped") {
    if (task.state === "launching" && ecs.neverStarted)
      return {
        move: "launch_failed",
        reason: ecs.stoppedReason ?? ecs.stopCode ?? "the task stopped before its container started",
      };
    // Whoever passed the fence has started, whatever ECS infers from a host that died.
    const { stopCode, stoppedReason, exitCode, outOfMemory } = ecs;
    return {
      move: "over",
      stop: {
        stoppedAtMs: ecs.stoppedAtMs ?? nowMs,
        stopCode,
        stoppedReason,
        exitCode,
        outOfMemory,
        neverStarted: false,
      },
    };
  }
  const silentMs = nowMs - lastSignMs(task);
  if (ecs.state === "missing") {
    if (silentMs < MISSING_GRACE_MS) return { move: "none" };
    return { move: "over", stop: ended(nowMs, "ECS no longer knows the task.") };
  }
  if (task.state === "launching" && silentMs > START_PATIENCE_MS)
    return { move: "launch_failed", reason: `The task did not start within ${START_PATIENCE_MS / 60_000} minutes.` };
  return { move: "none" };
}

/** The record of a task that ended without ECS' own word. */
export const ended = (stoppedAtMs: number, stoppedReason: string, neverStarted = false): TaskStop => ({
  stoppedAtMs,
  stopCode: null,
  stoppedReason,
  exitCode: null,
  outOfMemory: false,
  neverStarted,
});

/** Back-off of launches, a second at least: ECS is not asked again and again within a turn. Milliseconds since 1970. */
export function nextLaunchAtMs(failures: number, policy: Policy, nowMs: number): number {
  const retryDelaySeconds = Math.max(1, policy.retryDelaySeconds);
  return nowMs + backOffMs(failures, { ...policy, retryDelaySeconds });
}

/** Whether a check has anything to gain from the vertices: nothing can be decided while the producer lives and is silent. */
export function signatureOf(tasks: readonly TaskRow[], planKey: string | undefined): string {
  return JSON.stringify([
    planKey ?? null,
    tasks.map(({ toldPlanKey = null, ...task }) => [
      ...[task.task, task.state, task.sequence, toldPlanKey],
      task.state === "over" ? overAtMs(task) : 0,
    ]),
  ]);
}
