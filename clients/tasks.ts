import type { LaunchTarget } from "#core/contracts/settings.ts";
import type { Placement } from "#core/run/watching/capacity.ts";
import type { TaskDescription } from "#core/run/watching/task-stop.ts";

export type { TaskDescription };

/** One launch of the dbt-runner. */
export interface Launch {
  readonly target: LaunchTarget;
  readonly placement: Placement;
  readonly clientToken: string;
  readonly startedBy: string;
  /** Ids alone (core/contracts/environment): overrides are limited to 8,192 characters. */
  readonly environment: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
}

/** RunTask's answer as data: refused launches are expected (no capacity) and counted. */
export type LaunchAnswer = { readonly taskArn: string } | { readonly refused: string };

/** ECS. Throws `ServiceUnavailable` for throttling and network; everything else is a defect or a wrong deployment. */
export interface Tasks {
  launch(launch: Launch): Promise<LaunchAnswer>;
  /** At most 100 tasks, all of one cluster. One that was not started by `startedBy` is missing: containers tell their ARNs. */
  describe(
    cluster: string,
    containerName: string,
    taskArns: readonly string[],
    startedBy: string,
  ): Promise<Map<string, TaskDescription>>;
  /** Stops a task that was started by `startedBy`, and no other. */
  stop(cluster: string, taskArn: string, reason: string, startedBy: string): Promise<void>;
}
