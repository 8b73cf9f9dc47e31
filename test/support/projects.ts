import { parseConfig, type StepwatchConfig } from "../../core/config.ts";
import type { ProjectSettings } from "../../core/contracts/settings.ts";
import { policySchema } from "../../core/contracts/settings.ts";

/** A stepwatch.yaml with one project named `shop`, and what a test changes of it. */
export function exampleConfig(
  top: Record<string, unknown> = {},
  project: Record<string, unknown> = {},
): StepwatchConfig {
  const projects = { shop: { projectDir: "shop", target: "prod", ...project } };
  return parseConfig({ projects, ...top }, "/repo", (folder, path) =>
    path.startsWith("/") ? path : `${folder}/${path}`,
  );
}

/** Settings of a deployed project, for tests of what reads them. */
export function exampleSettings(project = "shop", policy: Record<string, unknown> = {}): ProjectSettings {
  const target = {
    cluster: "stepwatch",
    containerName: "dbt-runner",
    subnets: ["subnet-1"],
    securityGroups: ["sg-1"],
    assignPublicIp: true,
  };
  const family = `arn:aws:ecs:us-east-1:000000000000:task-definition/stepwatch-${project}`;
  return {
    project,
    producer: { ...target, taskDefinitionArn: `${family}-producer:1` },
    executionQueue: { ...target, taskDefinitionArn: `${family}-queue:1`, maxTasks: 4 },
    policy: policySchema.parse(policy),
    build: {},
    defaultTarget: null,
  };
}
