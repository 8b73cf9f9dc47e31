import { readFileSync } from "node:fs";
import { DescribeTasksCommand, ECSClient } from "@aws-sdk/client-ecs";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import type { Deployed } from "./e2e-setup.ts";
import { useStack } from "./place.ts";
import { statusOnce } from "./run-status.ts";

/** Process id of a task's container on this machine: its supervisor, which leads its own process group. */
export async function containerPid(deployed: Deployed, runId: string, task: number): Promise<number> {
  const summary = await statusOnce(deployed, runId, (one: RunSummary) =>
    one.tasks.some((row) => row.task === task && row.taskArn !== null),
  );
  const taskArn = summary.tasks.find((row) => row.task === task)!.taskArn!;
  await useStack(deployed);
  const { tasks } = await new ECSClient({}).send(
    new DescribeTasksCommand({ cluster: taskArn.split("/")[1], tasks: [taskArn] }),
  );
  return Number(tasks?.[0]?.containers?.[0]?.runtimeId);
}

/** Process id of the dbt that a task runs: its supervisor's child. */
export async function dbtPid(deployed: Deployed, runId: string, task: number): Promise<number> {
  const supervisor = await containerPid(deployed, runId, task);
  return Number(readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, "utf8").trim().split(" ")[0]);
}
