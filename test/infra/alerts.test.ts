import { describe, expect, test } from "vitest";
import { exampleConfig } from "../support/projects.ts";
import { DeployedRole, roleIdOf } from "../support/roles.ts";
import { asText, resourcesOf, synthesise } from "./example-stack.ts";

const TOPIC = "arn:aws:sns:us-east-1:123456789012:data";
const ACCOUNT = "arn:aws:secretsmanager:us-east-1:123456789012:secret";
const stackWith = (alerts: Record<string, unknown>) => synthesise(exampleConfig({ alerts })).template;
const alertFunction = (template: ReturnType<typeof stackWith>) =>
  Object.values(resourcesOf(template)).find(({ Properties }) => Properties?.FunctionName === "stepwatch-alert");

describe("H4: alerts", () => {
  test("have a function, a rule and a topic only where somebody is to be told", () => {
    const plain = synthesise().template;
    expect(alertFunction(plain)).toBeUndefined();
    const rules = (template: typeof plain) => Object.keys(template.findResources("AWS::Events::Rule")).length;
    const told = stackWith({ slack: { webhookSecret: "stepwatch/slack" } });
    expect(rules(told)).toBe(rules(plain) + 1);
    told.resourceCountIs("AWS::SNS::Topic", 0);
    stackWith({ email: "data@example.com" }).resourceCountIs("AWS::SNS::Topic", 1);
  });

  test("hear of this stack's runs alone, and of warnings where these are asked for", () => {
    const slack = { webhookSecret: "stepwatch/slack" };
    const patterns = (on?: string[]) =>
      Object.values(stackWith({ slack, ...(on && { on }) }).findResources("AWS::Events::Rule"))
        .map(({ Properties }) => Properties.EventPattern)
        .filter((pattern) => pattern?.detail?.stack);
    expect(patterns()).toEqual([
      { source: ["stepwatch"], "detail-type": ["Run ended"], detail: { stack: ["stepwatch"] } },
    ]);
    expect(patterns(["failed", "warned"])[0]["detail-type"]).toEqual(["Run ended", "Warning"]);
  });

  test("the function's environment names secrets and holds none; what it can not tell is kept", () => {
    const template = stackWith({ slack: { webhookSecret: "stepwatch/slack" }, teams: { webhookSecret: "teams:url" } });
    const { Environment, DeadLetterConfig } = alertFunction(template)!.Properties as unknown as {
      Environment: { Variables: Record<string, unknown> };
      DeadLetterConfig: { TargetArn: unknown };
    };
    expect(JSON.parse(asText(Environment.Variables.STEPWATCH_ALERTS))).toEqual({
      slackSecret: "stepwatch/slack",
      teamsSecret: "teams:url",
      on: ["failed", "recovered"],
      repeatHours: 24,
    });
    expect(asText(DeadLetterConfig.TargetArn)).toMatch(/^<Functionsalertfailed/);
  });

  test("it may publish to that topic, read those secrets, and note what it has told; nothing else of them", () => {
    const template = stackWith({ snsTopicArn: TOPIC, slack: { webhookSecret: "stepwatch/slack" } });
    const role = new DeployedRole(template, roleIdOf(template, "alert"));
    const may = (action: string, resource: string, context: Record<string, string | string[]> = {}) =>
      role.decide({ action, resource, context } as never);
    expect(may("sns:Publish", TOPIC)).toBe("allowed");
    expect(may("sns:Publish", `${TOPIC}-other`)).not.toBe("allowed");
    expect(may("secretsmanager:GetSecretValue", `${ACCOUNT}:stepwatch/slack-AbCdEf`)).toBe("allowed");
    expect(may("secretsmanager:GetSecretValue", `${ACCOUNT}:stepwatch/warehouse-AbCdEf`)).not.toBe("allowed");
  });

  test.each([
    [{}, /names nobody to tell/],
    [{ snsTopicArn: TOPIC, email: "data@example.com" }, /names both snsTopicArn and email/],
    [{ slack: { webhookSecret: "/ssm/parameter" } }, /is a parameter/],
    [{ slack: { webhookSecret: "" } }, /neither a secret's name/],
    [{ slack: { webhookSecret: "https://hooks.slack.com/services/T0/B0/x" } }, /neither a secret's name/],
    [{ email: "data@example.com", on: ["everything"] }, /alerts/],
    [{ email: "data@example.com", repeatHours: 0 }, /alerts/],
  ])("%j is refused by its reason", (alerts, reason) => {
    expect(() => exampleConfig({ alerts })).toThrow(reason);
  });

  test("and do not go without the events that they are made of", () => {
    const alerts = { email: "data@example.com" };
    expect(() => exampleConfig({ alerts, events: { publish: "warnings" } })).toThrow(/alerts are made of the events/);
  });
});
