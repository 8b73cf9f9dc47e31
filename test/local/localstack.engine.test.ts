import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CloudFormationClient,
  CreateStackCommand,
  DeleteStackCommand,
  DescribeStacksCommand,
  UpdateStackCommand,
} from "@aws-sdk/client-cloudformation";
import { DescribeClustersCommand, DescribeTaskDefinitionCommand, ECSClient } from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { runCli, runProject } from "../support/cli.ts";
import { E2E_DBT_PACKAGES } from "../support/e2e-packages.ts";
import { type LocalStack, pythonOfLocalStack, startLocalStack } from "../support/localstack.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { eventually } from "./embedded-aws-fixture.ts";

const root = join(import.meta.dirname, "../..");
const folder = temporaryFolder("localstack");
// Of whoever runs tests on a machine with an older one alone: the report counts what is left out.
const python = await pythonOfLocalStack();

describe.skipIf(python === null)("LocalStack's open engine, without a patch, with the plugin", () => {
  let engine: LocalStack;
  const aws = () => ({
    endpoint: engine.url,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  beforeAll(async () => {
    engine = await startLocalStack(folder, python!);
  }, 480_000);
  afterAll(async () => {
    await engine?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("CloudFormation makes clusters and task definitions by the ECS endpoint: their ARNs, a revision for each change, nothing left", async () => {
    const formation = new CloudFormationClient(aws());
    const ecs = new ECSClient(aws());
    const outputs = async () => {
      const { Stacks } = await formation.send(new DescribeStacksCommand({ StackName: "small" }));
      const { StackStatus = "", Outputs = [] } = Stacks![0]!;
      if (/FAILED|ROLLBACK/.test(StackStatus)) throw new Error(`The stack is ${StackStatus}.`);
      if (!/_COMPLETE$/.test(StackStatus)) return undefined;
      return Object.fromEntries(Outputs.map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue]));
    };
    await formation.send(new CreateStackCommand({ StackName: "small", TemplateBody: template("a") }));
    const made = await eventually(outputs, 60_000);
    expect(made).toMatchObject({ Cluster: "small", Definition: expect.stringMatching(/:task-definition\/sleeper:1$/) });
    const { taskDefinition } = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: made.Definition }));
    expect(taskDefinition?.containerDefinitions).toMatchObject([
      {
        name: "runner",
        image: "a",
        essential: true,
        environment: [{ name: "A_NAME", value: "B" }],
        dockerLabels: { AsIs: "1" },
      },
    ]);
    expect((await ecs.send(new DescribeClustersCommand({ clusters: ["small"] }))).clusters).toHaveLength(1);
    await formation.send(new UpdateStackCommand({ StackName: "small", TemplateBody: template("b") }));
    const changed = await eventually(async () => {
      const now = await outputs();
      return now?.Definition === made.Definition ? undefined : now;
    }, 60_000);
    expect(changed.Definition).toMatch(/:task-definition\/sleeper:2$/);
    await formation.send(new DeleteStackCommand({ StackName: "small" }));
    await eventually(async () => {
      const { clusters = [] } = await ecs.send(new DescribeClustersCommand({ clusters: ["small"] }));
      return clusters.every(({ status }) => status === "INACTIVE") || undefined;
    }, 60_000);
  });

  test("a run of the example is green there, woken by the table's stream, each built node with its consumer", async () => {
    const configPath = join(folder, "stepwatch.yaml");
    const jaffle = {
      projectDir: join(root, "examples/jaffle-shop"),
      target: "duckdb",
      dbt: { packages: E2E_DBT_PACKAGES },
      environment: { JAFFLE_DUCKDB: join(folder, "jaffle.duckdb") },
    };
    writeFileSync(configPath, stringify({ stackName: "shop", projects: { jaffle } }));
    const place = {
      stateDir: join(folder, "state"),
      configPath,
      endpoint: { url: engine.url, environment: { AWS_REGION: "us-east-1" } },
    };
    const deploy = await runCli(place, ["deploy", "--config", configPath]);
    expect(deploy.code, deploy.stderr).toBe(0);
    const { code, summary, stderr } = await runProject(place, "jaffle");
    expect(code, stderr).toBe(0);
    // A built node without a consumer is a warning of the run.
    expect(summary).toMatchObject({ state: "green", warnings: [] });
    expect(summary.nodes.filter((node) => node.tries > 0).every((node) => node.outcome === "green")).toBe(true);
  });
});

const template = (image: string) =>
  JSON.stringify({
    Resources: {
      Cluster: { Type: "AWS::ECS::Cluster", Properties: { ClusterName: "small" } },
      Sleeper: {
        Type: "AWS::ECS::TaskDefinition",
        Properties: {
          Family: "sleeper",
          ContainerDefinitions: [
            {
              Name: "runner",
              Image: image,
              Essential: "true",
              Environment: [{ Name: "A_NAME", Value: "B" }],
              DockerLabels: { AsIs: "1" },
            },
          ],
        },
      },
    },
    Outputs: { Cluster: { Value: { Ref: "Cluster" } }, Definition: { Value: { Ref: "Sleeper" } } },
  });
