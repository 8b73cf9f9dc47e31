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
  { finding: /:execution:stepwatch-(run|consumer):\*$/, reason: "executions are named at run time" },
  {
    finding: /:task-definition\/stepwatch-shop-(producer|queue):\*$/,
    reason: "a live run keeps the revision it began with",
  },
  { finding: /:task\/<Cluster>\/\*$/, reason: "tasks are numbered by ECS" },
];

/** Statements that AWS defines for no resource: log delivery of Step Functions, by CDK's own policy. */
const ACCEPTED_STARS = [
  "stepwatch/Machines/RunRole/DefaultPolicy/Resource",
  "stepwatch/Machines/ConsumerRole/DefaultPolicy/Resource",
];

interface Report {
  readonly pluginReports: readonly {
    readonly violations: readonly {
      readonly ruleName: string;
      readonly violatingConstructs: readonly { readonly constructPath: string }[];
    }[];
  }[];
}

const outdir = mkdtempSync(join(tmpdir(), "stepwatch-nag-"));
afterAll(() => rmSync(outdir, { recursive: true, force: true }));

function findings(): { rule: string; path: string }[] {
  const app = new App({ outdir });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  new StepwatchStack(app, {
    config: exampleConfig({}, { schedule: "rate(1 day)", secrets: { PASSWORD: "warehouse:password" } }),
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

test("cdk-nag's AwsSolutions finds nothing but the wildcards that are known and explained", () => {
  const unexplained = findings().filter(({ rule, path }) => {
    const finding = /^AwsSolutions-IAM5\[(.*)\]$/.exec(rule)?.[1];
    if (finding === undefined) return true;
    if (finding === "Resource::*")
      return !ACCEPTED_STARS.includes(path) && !path.startsWith("stepwatch/shop/ExecutionRole/");
    return (
      !ACCEPTED_WILDCARDS.some((accepted) => accepted.finding.test(finding)) && !/secret:warehouse-\?{6}$/.test(finding)
    );
  });
  expect(unexplained).toEqual([]);
});
