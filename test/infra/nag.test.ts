import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App, Validations } from "aws-cdk-lib";
import { ContainerImage } from "aws-cdk-lib/aws-ecs";
import { Code } from "aws-cdk-lib/aws-lambda";
import { AwsSolutionsChecks } from "cdk-nag";
import { afterAll, expect, test, vi } from "vitest";
import { StepwatchStack } from "../../infra/stepwatch-stack.ts";
import { exampleConfig } from "../support/projects.ts";

/** Wildcards in resources, each with the reason why the name can not be known at deploy time. */
const ACCEPTED_WILDCARDS: readonly { finding: RegExp; reason: string }[] = [
  { finding: /^Resource::<ArtefactsBucket\w+\.Arn>\/runs\/(shop\/)?\*$/, reason: "objects are made by runs" },
  {
    finding: /^Resource::<ArtefactsBucket\w+\.Arn>\/(latest|latest-green|commits)\/(shop\/)?\*$/,
    reason: "what lies beside the runs is named by project and file, or by a commit",
  },
  {
    finding: /:execution:(stepwatch-(run|consumer|backfill)|.*"MachinesRun\w+".*):\*$/,
    reason: "executions are named at run time",
  },
  {
    finding: /:task-definition\/stepwatch-\*-(producer|queue):\*$/,
    reason: "policies must not grow with the projects; a live run keeps the revision it began with",
  },
  { finding: /:role\/stepwatch\/stepwatch\/\*$/, reason: "the roles of the projects' tasks, by their path" },
  {
    finding: /\/runs\/shop\/\*\/(tasks\/\*|state\/\*|partial_parse\.msgpack)$/,
    reason: "runs and tasks are numbered at run time; what they have written they can not write again",
  },
  { finding: /:task\/<Cluster>\/\*$/, reason: "tasks are numbered by ECS" },
];

/** Statements that AWS defines for no resource, by CDK's own policies: log delivery of Step Functions, and looking for a stream. */
const ACCEPTED_STARS = [
  "stepwatch/Machines/RunRole/DefaultPolicy/Resource",
  "stepwatch/Machines/ConsumerRole/DefaultPolicy/Resource",
  "stepwatch/Machines/BackfillRole/DefaultPolicy/Resource",
  "stepwatch/Functions/wake-role/DefaultPolicy/Resource",
  "stepwatch/Functions/publish-role/DefaultPolicy/Resource",
];

interface Report {
  readonly pluginReports: readonly {
    readonly violations: readonly {
      readonly ruleName: string;
      readonly violatingConstructs: readonly { readonly constructPath: string }[];
    }[];
  }[];
}

const folder = mkdtempSync(join(tmpdir(), "stepwatch-nag-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ALERTS = { email: "data@example.com", slack: { webhookSecret: "stepwatch/slack" } };
const WATCHED = { alarms: { email: "night@example.com" }, alerts: ALERTS, dashboard: true };
const USUAL = { schedule: "rate(1 day)", secrets: { PASSWORD: "warehouse:password" } };
const KEY = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab";

/** Everything that a stepwatch.yaml can ask of the stack. */
const EVERYTHING = {
  top: {
    ...WATCHED,
    openLineage: {
      url: "https://marquez.example.com/api/v1/lineage",
      namespace: "n",
      warehouses: { shop: "bigquery" },
    },
    data: { removal: "destroy", kmsKeyArn: KEY },
    deployment: { permissionsBoundary: "boundary", bootstrapQualifier: "data1", ecsServiceLinkedRole: "create" },
    tags: { team: "data" },
  },
  project: {
    ...USUAL,
    kmsKeyArns: [KEY],
    producer: { capacity: "spot_then_on_demand" },
    efs: { fileSystemId: "fs-0a1b2c3d", accessPointId: "fsap-0a1b2c3d" },
    image: { readOnly: true },
    taskRole: {
      statements: [
        { Action: "redshift:GetClusterCredentials", Resource: "arn:aws:redshift:eu-west-1:123456789012:dbuser:a/b" },
      ],
    },
  },
};

function findings(top: Record<string, unknown>, project: Record<string, unknown>): { rule: string; path: string }[] {
  const outdir = mkdtempSync(join(folder, "out-"));
  const app = new App({ outdir });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  new StepwatchStack(app, {
    config: exampleConfig(top, project),
    local: false,
    functionCode: () => Code.fromInline("export const handler = () => {};"),
    image: () => ContainerImage.fromRegistry("example/shop"),
  });
  const silent = vi.spyOn(console, "error").mockImplementation(() => undefined);
  expect(() => app.synth()).toThrow("validation-report.json");
  silent.mockRestore();
  const report = JSON.parse(readFileSync(join(outdir, "validation-report.json"), "utf8")) as Report;
  const violations = report.pluginReports.flatMap((plugin) => plugin.violations);
  return violations.flatMap(({ ruleName, violatingConstructs }) =>
    violatingConstructs.map(({ constructPath }) => ({ rule: ruleName, path: constructPath })),
  );
}

test.each([
  ["a usual stack", WATCHED, USUAL],
  ["one with everything set", EVERYTHING.top, EVERYTHING.project],
])("cdk-nag's AwsSolutions finds nothing in %s but the wildcards that are known and explained", (_, top, project) => {
  const unexplained = findings(top, project).filter(({ rule, path }) => {
    const finding = /^AwsSolutions-IAM5\[(.*)\]$/.exec(rule)?.[1];
    if (finding === undefined) return true;
    if (finding === "Resource::*")
      return !ACCEPTED_STARS.includes(path) && !path.startsWith("stepwatch/Project-shop/ExecutionRole/");
    return (
      !ACCEPTED_WILDCARDS.some((accepted) => accepted.finding.test(finding)) && !/secret:warehouse-\?{6}$/.test(finding)
    );
  });
  expect(unexplained).toEqual([]);
});
