import { join } from "node:path";
import { expect, test } from "vitest";
import { TaskRegistry } from "#local/ecs/task-registry.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const IDENTITY = { region: "eu-central-1", accountId: "123456789012" };
const ARN = "arn:aws:ecs:eu-central-1:123456789012";
const containerDefinitions = [{ name: "runner", image: "image@sha256:1" }];

const registry = (folder = temporaryFolder("registry")) =>
  new TaskRegistry({ file: join(folder, "ecs", "registry.json"), ...IDENTITY });

test("a family's revisions are counted; its name alone is the newest, an ARN or a number is that one", () => {
  const kept = registry();
  for (const cpu of ["256", "512"]) kept.answer("RegisterTaskDefinition", { family: "dbt", containerDefinitions, cpu });
  const cpuOf = (taskDefinition: string) =>
    (kept.answer("DescribeTaskDefinition", { taskDefinition }) as { taskDefinition: { cpu: string } }).taskDefinition
      .cpu;
  expect([cpuOf("dbt"), cpuOf("dbt:1"), cpuOf(`${ARN}:task-definition/dbt:2`)]).toEqual(["512", "256", "512"]);
  expect(kept.answer("ListTaskDefinitions", {})).toEqual({
    taskDefinitionArns: [`${ARN}:task-definition/dbt:1`, `${ARN}:task-definition/dbt:2`],
  });
});

test("a revision that is no longer registered is found by its number, not by its family", () => {
  const kept = registry();
  const tags = [{ key: "project", value: "shop" }];
  kept.answer("RegisterTaskDefinition", { family: "dbt", containerDefinitions, tags });
  kept.answer("DeregisterTaskDefinition", { taskDefinition: "dbt:1" });
  expect(() => kept.answer("DescribeTaskDefinition", { taskDefinition: "dbt" })).toThrow(
    expect.objectContaining({ name: "ClientException" }),
  );
  expect(kept.answer("DescribeTaskDefinition", { taskDefinition: "dbt:1" })).toMatchObject({
    taskDefinition: { status: "INACTIVE", family: "dbt", revision: 1, containerDefinitions },
    tags,
  });
});

test("it outlives the program: the engine goes on to believe in what it has made", async () => {
  const folder = temporaryFolder("registry");
  registry(folder).answer("CreateCluster", { clusterName: "dbt" });
  registry(folder).answer("RegisterTaskDefinition", { family: "dbt", containerDefinitions });
  const again = registry(folder);
  expect(await again.call("ecs", "DescribeClusters", { clusters: ["dbt", `${ARN}:cluster/other`] })).toMatchObject({
    clusters: [{ clusterArn: `${ARN}:cluster/dbt`, status: "ACTIVE" }],
    failures: [{ arn: `${ARN}:cluster/other`, reason: "MISSING" }],
  });
  const { taskDefinition } = again.answer("RegisterTaskDefinition", { family: "dbt", containerDefinitions }) as {
    taskDefinition: { revision: number };
  };
  expect(taskDefinition.revision).toBe(2);
  again.answer("DeleteCluster", { cluster: "dbt" });
  expect(again.answer("ListClusters", {})).toEqual({ clusterArns: [] });
});

test("what no task needs is refused by name, and so is a definition without containers", async () => {
  const kept = registry();
  expect(() => kept.answer("CreateService", {})).toThrow(
    expect.objectContaining({ name: "UnsupportedFeatureException" }),
  );
  expect(() => kept.answer("RegisterTaskDefinition", { family: "dbt", containerDefinitions: [] })).toThrow(
    expect.objectContaining({ name: "ClientException" }),
  );
  await expect(kept.call("ecs", "DescribeTaskDefinition", { taskDefinition: "none" })).rejects.toMatchObject({
    name: "EmulatorCallError",
    code: "ClientException",
  });
});
