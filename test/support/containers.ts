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

/** Process id of the build that a task runs: its supervisor's child, beside which a `dbt ls` may list the plan. */
export async function dbtPid(deployed: Deployed, runId: string, task: number): Promise<number> {
  const supervisor = await containerPid(deployed, runId, task);
  const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, "utf8").trim().split(" ");
  const build = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes("build"));
  if (build === undefined) throw new Error(`Task ${task} of ${runId} has no dbt build: ${children}`);
  return Number(build);
}
