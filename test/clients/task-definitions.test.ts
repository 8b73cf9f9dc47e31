import { ECSClient } from "@aws-sdk/client-ecs";
import { SFNClient } from "@aws-sdk/client-sfn";
import { expect, test } from "vitest";
import { deployedSettings } from "#clients/deployed-settings.ts";
import { ecsTaskDefinitions } from "#clients/task-definitions.ts";
import { ServiceUnavailable } from "#core/errors.ts";
import { exampleSettings } from "../support/projects.ts";
import { refusal, type ScriptedAnswer, scriptedHttp } from "../support/scripted-http.ts";

const ARN = "arn:aws:ecs:us-east-1:000000000000:task-definition/stepwatch-shop-producer:7";
const NEXT = ARN.replace(/7$/, "8");

const asked = {
  family: "stepwatch-shop-producer",
  cpu: "1024",
  memory: "2048",
  networkMode: "awsvpc",
  requiresCompatibilities: ["FARGATE"],
  taskRoleArn: "arn:aws:iam::000000000000:role/task",
  executionRoleArn: "arn:aws:iam::000000000000:role/execution",
  runtimePlatform: { cpuArchitecture: "X86_64" },
  volumes: [{ name: "tmp" }],
};
const runner = {
  name: "dbt-runner",
  image: "old",
  readonlyRootFilesystem: true,
  environment: [{ name: "STAGE", value: "prod" }],
  secrets: [{ name: "PASSWORD", valueFrom: "arn:aws:secretsmanager:x" }],
};
const described = {
  body: {
    taskDefinition: {
      ...asked,
      containerDefinitions: [runner, { name: "sidecar", image: "kept" }],
      taskDefinitionArn: ARN,
      revision: 7,
      status: "ACTIVE",
      requiresAttributes: [{ name: "ecs.capability.execution-role-awslogs" }],
      compatibilities: ["EC2", "FARGATE"],
      registeredAt: 1_800_000_000,
      registeredBy: "arn:aws:iam::000000000000:root",
    },
    tags: [{ key: "project", value: "shop" }],
  },
};

function on(...answers: ScriptedAnswer[]) {
  const http = scriptedHttp(answers);
  return { definitions: ecsTaskDefinitions({ client: new ECSClient(http.settings) }), seen: http.seen };
}

test("D14: a revision with another image differs in nothing else, and keeps its tags", async () => {
  const { definitions, seen } = on(described, { body: { taskDefinition: { taskDefinitionArn: NEXT } } });
  expect(await definitions.withImage(ARN, "dbt-runner", "new@sha256:1")).toBe(NEXT);
  expect(seen[1]).toEqual({
    operation: "RegisterTaskDefinition",
    body: {
      ...asked,
      containerDefinitions: [
        { ...runner, image: "new@sha256:1" },
        { name: "sidecar", image: "kept" },
      ],
      tags: [{ key: "project", value: "shop" }],
    },
  });
});

test("the image of a revision is that of its container", async () => {
  expect(await on(described).definitions.imageOf(ARN, "dbt-runner")).toBe("old");
  expect(await on(described).definitions.imageOf(ARN, "nobody")).toBeNull();
});

test("what ECS refuses is said as it is", async () => {
  const { definitions } = on(described, refusal("AccessDeniedException", "iam:PassRole on the role task"));
  const refused = definitions.withImage(ARN, "dbt-runner", "new");
  await expect(refused).rejects.toThrow(/iam:PassRole/);
  await expect(on(refusal("ThrottlingException")).definitions.imageOf(ARN, "x")).rejects.toThrow(ServiceUnavailable);
});

test("the settings of a project stand in the run machine's definition", async () => {
  const shop = exampleSettings();
  const definition = JSON.stringify({
    States: { Other: {}, "Start run": { Parameters: { Payload: { projects: { shop } } } } },
  });
  const read = (project: string) =>
    deployedSettings("arn", project, new SFNClient(scriptedHttp([{ body: { definition } }]).settings));
  expect(await read("shop")).toEqual(shop);
  expect(await read("constructor")).toBeNull();
});
