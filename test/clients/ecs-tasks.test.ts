import { ECSClient } from "@aws-sdk/client-ecs";
import { expect, it } from "vitest";
import { ecsTasks } from "#clients/ecs-tasks.ts";
import type { Launch } from "#clients/tasks.ts";
import { ServiceUnavailable } from "#core/errors.ts";
import { refusal, type ScriptedAnswer, scriptedHttp } from "../support/scripted-http.ts";

const ARN = "arn:aws:ecs:us-east-1:000000000000:task/stepwatch/aaa";
const OURS = "stepwatch/20260101-000000-abcdef01";
const launch: Launch = {
  target: {
    cluster: "stepwatch",
    taskDefinitionArn: "shop:3",
    containerName: "dbt",
    subnets: ["subnet-1", "subnet-2"],
    securityGroups: ["sg-1"],
    assignPublicIp: true,
  },
  placement: { provider: "FARGATE", subnets: ["subnet-1", "subnet-2"] },
  clientToken: "token",
  startedBy: "stepwatch/run",
  environment: { STEPWATCH_RUN_ID: "run", STEPWATCH_TASK: "1" },
  tags: { project: "shop" },
};

function tasksOn(...answers: (ScriptedAnswer | Error)[]) {
  const http = scriptedHttp(answers);
  return { tasks: ecsTasks({ client: new ECSClient(http.settings) }), seen: http.seen };
}

it("D2: launches one Fargate task under its token, overriding the environment alone", async () => {
  const { tasks, seen } = tasksOn({ body: { tasks: [{ taskArn: ARN }], failures: [] } });
  expect(await tasks.launch(launch)).toEqual({ taskArn: ARN });
  expect(seen).toEqual([
    {
      operation: "RunTask",
      body: {
        cluster: "stepwatch",
        taskDefinition: "shop:3",
        launchType: "FARGATE",
        count: 1,
        clientToken: "token",
        startedBy: "stepwatch/run",
        networkConfiguration: {
          awsvpcConfiguration: {
            subnets: ["subnet-1", "subnet-2"],
            securityGroups: ["sg-1"],
            assignPublicIp: "ENABLED",
          },
        },
        overrides: {
          containerOverrides: [
            {
              name: "dbt",
              environment: [
                { name: "STEPWATCH_RUN_ID", value: "run" },
                { name: "STEPWATCH_TASK", value: "1" },
              ],
            },
          ],
        },
        propagateTags: "TASK_DEFINITION",
        enableECSManagedTags: true,
        tags: [{ key: "project", value: "shop" }],
      },
    },
  ]);
});

it("D2: a token that ECS knows with other parameters is the task it has", async () => {
  const { tasks } = tasksOn(refusal("ConflictException", "token in use", { resourceIds: [ARN] }));
  expect(await tasks.launch(launch)).toEqual({ taskArn: ARN });
});

it.each<[string, ScriptedAnswer, string]>([
  [
    "failures in a good answer",
    { body: { tasks: [], failures: [{ reason: "RESOURCE:ENI", detail: "none left" }] } },
    "RESOURCE:ENI: none left",
  ],
  ["an empty answer", { body: {} }, "ECS gave no reason"],
  [
    "no capacity, thrown",
    refusal("ClientException", "Capacity is unavailable at this time."),
    "ClientException: Capacity is unavailable at this time.",
  ],
  [
    "the account's limit, thrown",
    refusal("ThrottlingException", "You've reached the limit on the number of vCPUs you can run concurrently"),
    "ThrottlingException: You've reached the limit on the number of vCPUs you can run concurrently",
  ],
])("D11: %s is a refused launch", async (_, answer, refused) => {
  expect(await tasksOn(answer).tasks.launch(launch)).toEqual({ refused });
});

it.each([
  ["ClusterNotFoundException", "Cluster not found."],
  ["InvalidParameterException", "The subnet ID 'subnet-1' does not exist"],
  ["AccessDeniedException", "User is not authorized to perform: iam:PassRole"],
  ["ClientException", "TaskDefinition is inactive"],
])("D19: a launch that ECS refuses by %s is a refusal, counted and told in its words", async (name, message) => {
  const { tasks } = tasksOn(refusal(name, message));
  expect(await tasks.launch(launch)).toEqual({ refused: `${name}: ${message}` });
});

it("F11: throttling and network are ServiceUnavailable, a wrong deployment is not", async () => {
  const throttled = tasksOn(refusal("ThrottlingException", "Rate exceeded"));
  await expect(throttled.tasks.launch(launch)).rejects.toThrow(ServiceUnavailable);
  const cut = tasksOn(Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }));
  await expect(cut.tasks.describe("c", "dbt", [ARN], OURS)).rejects.toThrow(ServiceUnavailable);
  const wrong = tasksOn(refusal("ClusterNotFoundException", "Cluster not found."));
  await expect(wrong.tasks.describe("c", "dbt", [ARN], OURS)).rejects.toMatchObject({
    name: "ClusterNotFoundException",
  });
});

it("D10: a task that ECS does not list is missing; nothing is asked about no task", async () => {
  const { tasks, seen } = tasksOn({
    body: {
      tasks: [
        {
          taskArn: ARN,
          startedBy: OURS,
          lastStatus: "STOPPED",
          stopCode: "EssentialContainerExited",
          stoppedReason: "Essential container in task exited",
          startedAt: 1_700_000_000,
          stoppedAt: 1_700_000_100.5,
          containers: [
            { name: "guard", exitCode: 1 },
            { name: "dbt", exitCode: 137, reason: "OutOfMemoryError: Container killed due to memory usage" },
          ],
        },
        { taskArn: `${ARN}c`, startedBy: "stepwatch/another", lastStatus: "RUNNING" },
      ],
      failures: [{ arn: `${ARN}b`, reason: "MISSING" }],
    },
  });
  const described = await tasks.describe("stepwatch", "dbt", [ARN, `${ARN}b`, `${ARN}c`], OURS);
  expect(described.get(`${ARN}b`)).toEqual({ state: "missing" });
  expect(described.get(`${ARN}c`), "D22: a task of another run").toEqual({ state: "missing" });
  expect(described.get(ARN)).toMatchObject({
    state: "stopped",
    exitCode: 137,
    outOfMemory: true,
    stoppedAtMs: 1_700_000_100_500,
  });
  expect(await tasks.describe("stepwatch", "dbt", [], OURS)).toEqual(new Map());
  expect(seen).toHaveLength(1);
});

it("stopping a task that ECS has forgotten is done; a long reason is cut", async () => {
  const known = { body: { tasks: [{ taskArn: ARN, startedBy: OURS }] } };
  const { tasks, seen } = tasksOn(
    ...[known, { body: {} }],
    ...[known, refusal("InvalidParameterException", "The referenced task was not found.")],
    ...[known, refusal("AccessDeniedException", "no")],
  );
  await tasks.stop("stepwatch", ARN, "x".repeat(400), OURS);
  await tasks.stop("stepwatch", ARN, "again", OURS);
  await expect(tasks.stop("stepwatch", ARN, "again", OURS)).rejects.toMatchObject({ name: "AccessDeniedException" });
  expect(String(seen[1]?.body.reason)).toHaveLength(255);
});

it("D22: a task that another run was started by, or nobody knows, is not stopped, whatever a container says of itself", async () => {
  for (const others of [[{ taskArn: ARN, startedBy: "stepwatch/another" }], [{ taskArn: ARN }], []]) {
    const { tasks, seen } = tasksOn({ body: { tasks: others } });
    await tasks.stop("stepwatch", ARN, "The run is being stopped.", OURS);
    expect(seen.map((one) => one.operation)).toEqual(["DescribeTasks"]);
  }
});
