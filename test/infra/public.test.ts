import { join } from "node:path";
import { App, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { Bucket } from "aws-cdk-lib/aws-s3";
import { expect, test } from "vitest";
import { DbtProject, StepwatchStack } from "../../infra/index.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const SETTINGS = { projects: { shop: { projectDir: join(ROOT, "examples", "jaffle-shop"), target: "duckdb" } } };

test("an app of one's own makes the stack from a file or from settings of its own, and adds to what a project's dbt may do", async () => {
  const app = new App();
  const stack = await StepwatchStack.fromConfig(app, SETTINGS, {
    local: true,
    stack: { env: { account: "123456789012", region: "eu-central-1" } },
  });
  const project = stack.project("shop");
  expect(project).toBeInstanceOf(DbtProject);
  const lake = new Stack(app, "lake", { env: { account: "123456789012", region: "eu-central-1" } });
  new Bucket(lake, "Landing").grantRead(project.taskRole);
  const template = Template.fromStack(stack);
  expect(JSON.stringify(template.findResources("AWS::IAM::Policy"))).toContain("lake:ExportsOutput");
  expect(stack.region).toBe("eu-central-1");
  expect(stack.resolve(stack.runMachine.stateMachineArn)).toBeDefined();
  expect(() => stack.project("shopp")).toThrow("shopp: the stack stepwatch has shop.");

  const other = await StepwatchStack.fromConfig(new App(), join(ROOT, "stepwatch.yaml"), { local: true });
  expect(other.project("jaffle_shop").config.target).toBe("duckdb");
});

test("settings that do not hold are one sentence each, as those of a file", async () => {
  await expect(
    StepwatchStack.fromConfig(new App(), { projects: { shop: { projectDir: "nowhere" } } }, { local: true }),
  ).rejects.toThrow("there is no dbt_project.yml");
  await expect(StepwatchStack.fromConfig(new App(), SETTINGS)).rejects.toThrow("duckdb");
});
