import { App, type Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { ContainerImage } from "aws-cdk-lib/aws-ecs";
import { Code } from "aws-cdk-lib/aws-lambda";
import type { StepwatchConfig } from "../../core/config.ts";
import { NO_LIMIT_OF_CDK } from "../../infra/stack-limits.ts";
import { StepwatchStack } from "../../infra/stepwatch-stack.ts";
import { exampleConfig } from "../support/projects.ts";

export const IMAGE = `example/shop@sha256:${"a".repeat(64)}`;

export interface Synthesised {
  readonly app: App;
  readonly stack: Stack;
  readonly template: Template;
}

/** The stack of a config, synthesised in this process: no bundles, no images, no account, no network. */
export function synthesise(config: StepwatchConfig = exampleConfig(), options: { local?: boolean } = {}): Synthesised {
  const app = new App({ context: NO_LIMIT_OF_CDK });
  const stack = new StepwatchStack(app, {
    config,
    local: options.local ?? false,
    functionCode: () => Code.fromInline("export const handler = () => {};"),
    image: () => ContainerImage.fromRegistry(IMAGE),
  });
  return { app, stack, template: Template.fromStack(stack) };
}

interface Resource {
  readonly Type: string;
  readonly Properties: Record<string, never>;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
}

export const resourcesOf = (template: Template): Record<string, Resource> => template.toJSON().Resources;

/** A value with its CloudFormation functions written as text: `<LogicalId>`, `<LogicalId.Arn>`. */
export function asText(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  const [[name, argument] = ["", undefined]] = Object.entries(value);
  if (name === "Ref") return `<${argument}>`;
  if (name === "Fn::GetAtt") return `<${(argument as string[]).join(".")}>`;
  if (name === "Fn::Join") {
    const [separator, parts] = argument as unknown as [string, unknown[]];
    return parts.map(asText).join(separator);
  }
  return JSON.stringify(value);
}

export interface Statement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

export const listOf = <T>(value: T | T[]): T[] => (Array.isArray(value) ? value : [value]);

/** All statements of inline and attached policies, with the logical id that they belong to. */
export function statementsOf(template: Template): { owner: string; statement: Statement }[] {
  return Object.entries(resourcesOf(template)).flatMap(([id, { Type, Properties }]) => {
    const properties = Properties as {
      Policies?: { PolicyDocument: { Statement: Statement[] } }[];
      PolicyDocument?: { Statement: Statement[] };
    };
    const inline = Type === "AWS::IAM::Role" ? (properties.Policies ?? []).map((policy) => policy.PolicyDocument) : [];
    const attached = Type === "AWS::IAM::Policy" && properties.PolicyDocument ? [properties.PolicyDocument] : [];
    return [...inline, ...attached].flatMap((document) =>
      document.Statement.map((statement) => ({
        owner: id,
        statement: { ...statement, Action: statement.Action ?? [] },
      })),
    );
  });
}
