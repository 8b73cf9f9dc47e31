import {
  ConflictException,
  DescribeTasksCommand,
  ECSClient,
  RunTaskCommand,
  type RunTaskCommandInput,
  StopTaskCommand,
  type Task,
} from "@aws-sdk/client-ecs";
import { ServiceUnavailable } from "#core/errors.ts";
import { type TaskDescription, taskStop } from "#core/run/watching/task-stop.ts";
import { facts, isRefused, unavailable } from "./aws-errors.ts";
import { callSettings } from "./aws-settings.ts";
import type { Launch, LaunchAnswer, Tasks } from "./tasks.ts";
import { cut } from "./texts.ts";
import { withinLimits } from "./within-limits.ts";

/** StopTask's limit of a reason. */
const MAX_STOP_REASON = 255;

/** An account's limit of another service that ECS asks for the launch: it comes as a throttling of ECS' own call. */
const THROWN_REFUSAL = /capacity is unavailable|limit on the number of|request limit exceeded/i;

/** StopTask of a task that ECS has forgotten: it is over. */
const TASK_FORGOTTEN = /task was not found/i;

/** ECS on Fargate. */
export function ecsTasks(options: { client?: ECSClient } = {}): Tasks {
  const client = withinLimits(options.client ?? new ECSClient(callSettings));
  return {
    async launch(launch) {
      try {
        const { tasks, failures } = await client.send(new RunTaskCommand(runTaskInput(launch)));
        const taskArn = tasks?.[0]?.taskArn;
        if (taskArn !== undefined) return { taskArn };
        const [failure] = failures ?? [];
        return { refused: [failure?.reason ?? "ECS gave no reason", failure?.detail].filter(Boolean).join(": ") };
      } catch (error) {
        return launchAnswer(error);
      }
    },

    async describe(cluster, containerName, taskArns, startedBy) {
      const described = new Map<string, TaskDescription>(taskArns.map((arn) => [arn, { state: "missing" }]));
      if (taskArns.length === 0) return described;
      for (const task of await describeTasks(cluster, taskArns, startedBy))
        if (task.taskArn) described.set(task.taskArn, taskStop(task, containerName));
      return described;
    },

    async stop(cluster, taskArn, reason, startedBy) {
      if ((await describeTasks(cluster, [taskArn], startedBy)).length === 0) return;
      const command = new StopTaskCommand({ cluster, task: taskArn, reason: cut(reason, MAX_STOP_REASON) });
      try {
        await client.send(command);
      } catch (error) {
        if (TASK_FORGOTTEN.test(facts(error).message)) return;
        unavailable(ServiceUnavailable, `ECS StopTask ${taskArn}`)(error);
      }
    },
  };

  async function describeTasks(cluster: string, taskArns: readonly string[], startedBy: string): Promise<Task[]> {
    const command = new DescribeTasksCommand({ cluster, tasks: [...taskArns] });
    const { tasks = [] } = await client.send(command).catch(unavailable(ServiceUnavailable, "ECS DescribeTasks"));
    return tasks.filter((task) => task.startedBy === startedBy);
  }
}

function runTaskInput({ target, placement, clientToken, startedBy, environment, tags }: Launch): RunTaskCommandInput {
  return {
    cluster: target.cluster,
    taskDefinition: target.taskDefinitionArn,
    // A cluster runs on Fargate without being told; Spot must be among its capacity providers (infra/cluster.ts).
    ...(placement.provider === "FARGATE"
      ? { launchType: "FARGATE" as const }
      : { capacityProviderStrategy: [{ capacityProvider: placement.provider, weight: 1 }] }),
    count: 1,
    clientToken,
    startedBy,
    networkConfiguration: {
      awsvpcConfiguration: {
        subnets: [...placement.subnets],
        securityGroups: target.securityGroups,
        assignPublicIp: target.assignPublicIp ? "ENABLED" : "DISABLED",
      },
    },
    overrides: {
      containerOverrides: [
        {
          name: target.containerName,
          environment: Object.entries(environment).map(([name, value]) => ({ name, value })),
        },
      ],
    },
    // The definition's tags are those of stepwatch.yaml; what tells project and run apart comes on top.
    propagateTags: "TASK_DEFINITION",
    enableECSManagedTags: true,
    tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
  };
}

/**
 * A thrown answer that is an answer all the same. What ECS refuses of the launch (no capacity, a limit of the account, a
 * role, subnet or security group that is gone, a permission that is missing) is counted with back-off and then ends the
 * task (behaviour D11, D19): somebody may be mending it. The same token with other parameters (a redeploy between two
 * attempts) is a conflict that names the task it has: that task is the launch.
 */
function launchAnswer(error: unknown): LaunchAnswer {
  const conflicting = error instanceof ConflictException ? error.resourceIds?.[0] : undefined;
  if (conflicting !== undefined) return { taskArn: conflicting };
  const { name, message } = facts(error);
  if (THROWN_REFUSAL.test(message) || isRefused(error)) return { refused: `${name}: ${message}` };
  return unavailable(ServiceUnavailable, "ECS RunTask")(error);
}
