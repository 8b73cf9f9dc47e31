import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Template } from "aws-cdk-lib/assertions";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Venv } from "#local/python.ts";
import { POLICY_LEVELS, peoplePolicy } from "../../cli/people-policy.ts";
import { linters, lintPolicies, lintTemplates, type PolicyFinding } from "../linters/linters.ts";
import { identityPolicies } from "../support/concrete-template.ts";
import { LINTED } from "../support/linted-stacks.ts";
import { synthesise } from "./example-stack.ts";

/** Rules of cfn-lint that are let pass, each with the reason. */
const ACCEPTED_RULES: Readonly<Record<string, string>> = {
  W3010: "zones that vpc.availabilityZones names, for a region whose first two lack Fargate",
  W3005:
    "CDK names a role, and its policies, among the dependencies of what runs with it; one of them is named twice then",
};

/** Findings on policies that are let pass, each with the reason. */
const ACCEPTED_POLICIES: readonly { readonly holds: (finding: PolicyFinding) => boolean; readonly reason: string }[] = [
  {
    holds: ({ sid, rule }) =>
      ["AnswerTokens", "HandTheLockOn"].includes(sid) && /^resource-(mismatch|unused)$/.test(rule),
    reason:
      "AWS' reference has no resource for SendTaskSuccess and SendTaskFailure, and IAM judges them by the state machine all " +
      "the same: it is what its refusals name, and CDK's own grantTaskResponse names it (aws/aws-cdk, pull request 8486)",
  },
  {
    holds: ({ policy, rule }) =>
      /\/Machines(Run|Consumer)RoleDefaultPolicy\w+$/.test(policy) && rule === "resource-star",
    reason: "log delivery of Step Functions, by CDK's own policy: AWS documents it for * alone",
  },
];

const ACCOUNT = "us-east-1:123456789012";
const STACK = {
  stackName: "stepwatch",
  table: "ledger",
  bucket: "artefacts",
  runMachineArn: `arn:aws:states:${ACCOUNT}:stateMachine:stepwatch-run`,
  consumerMachineArn: `arn:aws:states:${ACCOUNT}:stateMachine:stepwatch-consumer`,
  backfillMachineArn: `arn:aws:states:${ACCOUNT}:stateMachine:stepwatch-backfill`,
  dataKeyArn: `arn:aws:kms:${ACCOUNT}:key/1`,
};

const folder = mkdtempSync(join(tmpdir(), "stepwatch-lint-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let venv: Venv;
let templates: Map<string, Template>;
beforeAll(async () => {
  venv = await linters();
  templates = new Map(Object.entries(LINTED).map(([name, config]) => [name, synthesise(config).template]));
});

test("cfn-lint finds nothing in the templates but what is known and explained", async () => {
  const files = [...templates].map(([name, template]) => {
    const file = join(folder, `${name}.json`);
    writeFileSync(file, JSON.stringify(template.toJSON()));
    return file;
  });
  const found = await lintTemplates(venv, files);
  expect(found.filter(({ rule }) => ACCEPTED_RULES[rule] === undefined)).toEqual([]);
  const gone = Object.keys(ACCEPTED_RULES).filter((rule) => !found.some((one) => one.rule === rule));
  expect(gone, "rules that are accepted and find nothing any more").toEqual([]);
});

test("cfn-lint finds what is wrong: a template that CloudFormation would refuse", async () => {
  const file = join(folder, "wrong.json");
  const wrong = { Type: "AWS::CloudWatch::Alarm", Properties: { Treshold: 1 } };
  writeFileSync(file, JSON.stringify({ Resources: { Wrong: wrong } }));
  expect((await lintTemplates(venv, [file])).map(({ rule }) => rule)).toContain("E3002");
});

test("every action, resource and condition key of the policies is one that AWS knows, and none is a risk that is not explained", async () => {
  const policies = [...templates].flatMap(([stack, template]) =>
    identityPolicies(template).map((one) => ({ ...one, policy: `${stack}/${one.policy}` })),
  );
  expect(policies.length).toBeGreaterThan(50);
  const people = POLICY_LEVELS.map((level) => ({ policy: `people/${level}`, document: peoplePolicy(level, STACK) }));
  const found = await lintPolicies(venv, [...policies, ...people]);
  expect(found.filter((finding) => !ACCEPTED_POLICIES.some(({ holds }) => holds(finding)))).toEqual([]);
});

test.each([
  ["unknown-action", { Action: "states:StartExecutions", Resource: "*" }],
  [
    "resource-mismatch",
    { Action: "states:StartExecution", Resource: "arn:aws:states:us-east-1:123456789012:execution:a:b" },
  ],
  ["resource-star", { Action: "dynamodb:UpdateItem", Resource: "*" }],
  [
    "unknown-condition-key",
    {
      Action: "ecs:RunTask",
      Resource: "arn:aws:ecs:us-east-1:123456789012:task-definition/a:*",
      Condition: { StringEquals: { "ecs:clusters": "a" } },
    },
  ],
  [
    "privilege-escalation",
    { Action: ["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"], Resource: "*" },
  ],
  ["data-exfiltration", { Action: "s3:GetObject", Resource: "*" }],
])("the policy linter finds what is wrong: %s", async (rule, statement) => {
  const document = { Version: "2012-10-17", Statement: [{ Effect: "Allow", ...statement }] };
  const found = await lintPolicies(venv, [{ policy: "wrong", document }]);
  expect(found.map((finding) => finding.rule)).toContain(rule);
});
