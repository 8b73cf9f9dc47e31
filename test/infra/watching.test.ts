import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import { Queue } from "aws-cdk-lib/aws-sqs";
import { StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { describe, expect, test } from "vitest";
import { METRICS, type MetricName } from "#core/contracts/metrics.ts";
import { InputError } from "#core/errors.ts";
import { metricFields } from "#core/metric-line.ts";
import { FUNCTION_NAMES, RUN_FUNCTIONS } from "../../infra/deployed-names.ts";
import { Alarms } from "../../infra/watching/alarms.ts";
import { type AlarmMetric, alarmsOf, metricsOf, ownMetricsOf } from "../support/alarms.ts";
import { exampleConfig } from "../support/projects.ts";
import { asText, resourcesOf, synthesise } from "./example-stack.ts";

const TOPIC = "arn:aws:sns:us-east-1:123456789012:on-call";
const { template } = synthesise(exampleConfig({ alarms: { topicArn: TOPIC } }, { schedule: "rate(1 day)" }));
const alarms = alarmsOf(template);
const runbook = readFileSync(join(import.meta.dirname, "../../docs/runbook.md"), "utf8");

describe("alarms", () => {
  test("are made only where somebody is named to be told: an alarm has a price", () => {
    synthesise().template.resourceCountIs("AWS::CloudWatch::Alarm", 0);
    synthesise().template.resourceCountIs("AWS::SNS::Topic", 0);
    template.resourceCountIs("AWS::SNS::Topic", 0);
    for (const { AlarmActions } of alarms) expect(AlarmActions).toEqual([TOPIC]);
  });

  test("an address gets a topic of its own, which takes alarms of this account alone", () => {
    const { template: mailed } = synthesise(exampleConfig({ alarms: { email: "night@example.com" } }));
    mailed.hasResourceProperties("AWS::SNS::Subscription", { Protocol: "email", Endpoint: "night@example.com" });
    const [policy] = Object.values(mailed.findResources("AWS::SNS::TopicPolicy"));
    const [secure, publish] = policy!.Properties.PolicyDocument.Statement;
    expect(secure).toMatchObject({ Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } });
    expect(publish).toMatchObject({ Principal: { Service: "cloudwatch.amazonaws.com" }, Action: "sns:Publish" });
    expect(asText(publish.Condition.StringEquals["aws:SourceAccount"])).toBe("<AWS::AccountId>");
  });

  test("a topic and an address, or neither, is refused by its reason", () => {
    const both = { alarms: { topicArn: TOPIC, email: "night@example.com" } };
    for (const top of [both, { alarms: {} }])
      expect(() => exampleConfig(top)).toThrow(/alarms.*names whom to tell: one of topicArn and email/s);
    expect(() => exampleConfig({ alarms: { topicArn: "on-call" } })).toThrow(InputError);
  });

  test("each has its article in the runbook, and each article of an alarm its alarm", () => {
    const articles = [...runbook.matchAll(/^## (Alarm: .+)$/gm)].map(([, title = ""]) => anchorOf(title));
    const linked = allAlarms().map(({ AlarmDescription }) => /docs\/runbook\.md#(\S+)/.exec(AlarmDescription)?.[1]);
    expect(linked.sort()).toEqual(articles.sort());
    expect(articles.length).toBeGreaterThan(0);
  });

  test("say nothing where nothing is written, and begin with the stack's name", () => {
    for (const alarm of alarms) {
      expect(alarm.TreatMissingData).toBe("notBreaching");
      expect(alarm.ComparisonOperator).toBe("GreaterThanOrEqualToThreshold");
      expect(alarm.AlarmName).toMatch(/^stepwatch-/);
    }
  });

  test("their number does not grow with the projects", () => {
    const projects = Object.fromEntries(["a", "b", "c", "d"].map((name) => [name, { projectDir: name }]));
    const many = alarmsOf(synthesise(exampleConfig({ alarms: { topicArn: TOPIC }, projects })).template);
    expect(many.length).toBeLessThanOrEqual(alarms.length);
  });

  test("of our own metrics watch what a function's line makes: namespace, name and dimensions", () => {
    const own = ownMetricsOf(alarms);
    expect(own.length).toBeGreaterThan(0);
    for (const { name, dimensions } of own) {
      expect(Object.keys(METRICS)).toContain(name);
      const line = metricFields({ [name as MetricName]: 1 }, { stack: "stepwatch", project: "shop" }, 1)!;
      expect(metricsOf(line)).toContainEqual({ name, dimensions });
    }
  });

  test("of functions count the errors of each but settle-run, which throws red verdicts, and the throttles of all", () => {
    const functions = (id: string) =>
      (alarms.find(({ AlarmName }) => AlarmName === `stepwatch-${id}`)!.Metrics as AlarmMetric[]).flatMap(
        ({ MetricStat }) => MetricStat?.Metric.Dimensions?.map(({ Value }) => asText(Value)) ?? [],
      );
    const all = Object.keys(template.findResources("AWS::Lambda::Function")).filter((id) => id.startsWith("Functions"));
    expect(functions("function-throttles").sort()).toEqual(all.map((id) => `<${id}>`).sort());
    const throwing = all.filter((id) => !id.startsWith("Functionssettlerun"));
    expect(functions("function-errors").sort()).toEqual(throwing.map((id) => `<${id}>`).sort());
  });
});

/** Of a stack with everything that an alarm may watch. */
function allAlarms() {
  const stack = new Stack();
  const functionOf = (name: string) =>
    LambdaFunction.fromFunctionArn(stack, name, `arn:aws:lambda:us-east-1:123456789012:function:${name}`);
  new Alarms(stack, "Alarms", {
    stackName: "stepwatch",
    settings: { topicArn: TOPIC },
    runMachine: StateMachine.fromStateMachineName(stack, "Run", "stepwatch-run"),
    functions: Object.fromEntries(FUNCTION_NAMES.map((name) => [name, functionOf(name)])) as never,
    deadLetters: [new Queue(stack, "Starts"), new Queue(stack, "Events")],
  });
  return alarmsOf(Template.fromStack(stack));
}

const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");

describe("the dashboard and the saved queries", () => {
  test("a dashboard is made where one is wanted, of metrics that exist", () => {
    synthesise().template.resourceCountIs("AWS::CloudWatch::Dashboard", 0);
    const wanted = synthesise(exampleConfig({ dashboard: true })).template;
    const [dashboard] = Object.values(wanted.findResources("AWS::CloudWatch::Dashboard"));
    const body = JSON.parse(asText(dashboard!.Properties.DashboardBody));
    const shown = body.widgets.flatMap(({ properties }: { properties: { metrics: unknown[][] } }) =>
      properties.metrics.filter(([namespace]) => namespace === "stepwatch").map(([, name]) => name),
    );
    expect(new Set(shown)).toEqual(new Set(Object.keys(METRICS)));
  });

  test("every saved query reads log groups that the stack makes, and fields that its lines have", () => {
    const made = new Set(
      Object.values(resourcesOf(template))
        .filter(({ Type }) => Type === "AWS::Logs::LogGroup")
        .map(({ Properties }) => String(Properties.LogGroupName)),
    );
    const queries = Object.values(template.findResources("AWS::Logs::QueryDefinition"));
    expect(queries.length).toBeGreaterThan(0);
    for (const { Properties } of queries) {
      expect(Properties.Name).toMatch(/^stepwatch\/stepwatch\//);
      expect(Properties.LogGroupNames.filter((group: string) => !made.has(group))).toEqual([]);
    }
  });

  test("functions log as JSON", () => {
    const named = Object.values(template.findResources("AWS::Lambda::Function"))
      .map(({ Properties }) => Properties)
      .filter(({ FunctionName }) => FunctionName !== undefined);
    expect(named).toHaveLength(RUN_FUNCTIONS.length + 1);
    for (const { LoggingConfig } of named) expect(LoggingConfig).toMatchObject({ LogFormat: "JSON" });
  });
});
