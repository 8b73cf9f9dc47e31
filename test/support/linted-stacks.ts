import type { StepwatchConfig } from "../../core/config.ts";
import { exampleConfig } from "./projects.ts";

const KEY = "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab";

const projects = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, n) => [`project_${n + 1}`, { projectDir: `p${n + 1}`, schedule: "rate(1 day)" }]),
  );

/** Stacks that together have every kind of resource, and every shape of it that a setting makes. */
export const LINTED: Readonly<Record<string, StepwatchConfig>> = {
  minimal: exampleConfig(),
  everything: exampleConfig(
    {
      alarms: { email: "night@example.com" },
      dashboard: true,
      pollIntervalSeconds: 10,
      stackName: "night-builds",
      tags: { team: "data" },
      data: {
        kmsKeyArn: "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-0a1b-4a1b-8a1b-0a1b2c3d4e5f",
        deletionProtection: true,
      },
      deployment: {
        permissionsBoundary: "arn:aws:iam::123456789012:policy/boundary",
        bootstrapQualifier: "team42",
        ecsServiceLinkedRole: "create",
      },
    },
    {
      schedule: "cron(0 3 * * ? *)",
      scheduleTimeZone: "Europe/Berlin",
      secrets: { PASSWORD: "warehouse:password", TOKEN: "/dbt/token" },
      environment: { REGION: "eu" },
      producer: { cpu: 2048, memoryMiB: 8192, capacity: "spot_then_on_demand" },
      executionQueue: { cpu: 4096, memoryMiB: 16_384 },
      logRetentionDays: 365,
      kmsKeyArns: ["arn:aws:kms:us-east-1:123456789012:key/1a1b2c3d-0a1b-4a1b-8a1b-0a1b2c3d4e5f"],
      taskRole: { managedPolicies: ["arn:aws:iam::123456789012:policy/warehouse"] },
    },
  ),
  "own-network": exampleConfig({
    vpc: { subnetIds: ["subnet-0a1b2c3d"], securityGroupIds: ["sg-0a1b2c3d"], assignPublicIp: true },
    alarms: { topicArn: "arn:aws:sns:us-east-1:123456789012:on-call" },
  }),
  "own-vpc": exampleConfig({ vpc: { vpcId: "vpc-0a1b2c3d", subnetIds: ["subnet-0a1b2c3d"] } }),
  account: exampleConfig(
    {
      data: { removal: "destroy", kmsKeyArn: KEY },
      deployment: {
        permissionsBoundary: "arn:aws:iam::123456789012:policy/boundary",
        bootstrapQualifier: "data1",
        ecsServiceLinkedRole: "create",
      },
      tags: { team: "data" },
      vpc: { availabilityZones: ["us-east-1a", "us-east-1b", "us-east-1c"] },
    },
    {
      schedule: "rate(1 day)",
      secrets: { PASSWORD: "warehouse:password" },
      kmsKeyArns: [KEY],
      producer: { capacity: "spot_then_on_demand" },
      efs: { fileSystemId: "fs-0a1b2c3d", accessPointId: "fsap-0a1b2c3d" },
      image: { readOnly: true },
      taskRole: {
        managedPolicies: ["arn:aws:iam::123456789012:policy/warehouse"],
        statements: [
          {
            Sid: "Warehouse",
            Action: "redshift:GetClusterCredentials",
            Resource: "arn:aws:redshift:us-east-1:123456789012:dbuser:shop/dbt",
          },
        ],
      },
    },
  ),
  "given-role": exampleConfig(
    { data: { deletionProtection: true } },
    { taskRole: { arn: "arn:aws:iam::123456789012:role/team/dbt" } },
  ),
  "five-projects": exampleConfig({ projects: projects(5) }),
};
