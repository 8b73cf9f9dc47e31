import { CloudFormationClient, CreateStackCommand, waitUntilStackCreateComplete } from "@aws-sdk/client-cloudformation";
import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";
import {
  DescribeExecutionCommand,
  ListExecutionsCommand,
  ListStateMachinesCommand,
  SFNClient,
} from "@aws-sdk/client-sfn";
import { App, DefaultStackSynthesizer, type IStackSynthesizer, Stack } from "aws-cdk-lib";
import { Queue } from "aws-cdk-lib/aws-sqs";
import { DefinitionBody, Pass, StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { StartAfter } from "#core/start-after.ts";
import { EventStarts } from "../../infra/event-starts.ts";
import { EmbeddedAwsFixture, eventually } from "../local/embedded-aws-fixture.ts";

let aws: EmbeddedAwsFixture;
let client: { region: string; endpoint: string; credentials: { accessKeyId: string; secretAccessKey: string } };

beforeAll(async () => {
  aws = await EmbeddedAwsFixture.start();
  const { region, awsEndpointUrl: endpoint } = aws.endpoints;
  client = { region, endpoint, credentials: { accessKeyId: "test", secretAccessKey: "test" } };
  const app = new App();
  const synthesizer = new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }) as IStackSynthesizer;
  const stack = new Stack(app, "starts", { synthesizer });
  const runMachine = new StateMachine(stack, "Run", {
    stateMachineName: "heard",
    definitionBody: DefinitionBody.fromChainable(new Pass(stack, "Heard")),
  });
  const own: StartAfter = { event: { source: ["my.app"], "detail-type": ["Loaded"] } };
  new EventStarts(stack, "EventStarts", {
    stackName: "starts",
    starts: [
      { project: "shop", startAfter: [{ project: "raw" }] },
      { project: "mart", job: "daily", startAfter: [own] },
    ],
    runMachine,
    deadLetters: new Queue(stack, "DeadLetters"),
  });
  const StackName = "starts";
  const TemplateBody = JSON.stringify(app.synth().getStackByName(StackName).template);
  const templates = new CloudFormationClient(client);
  await templates.send(new CreateStackCommand({ StackName, TemplateBody, Capabilities: ["CAPABILITY_IAM"] }));
  await waitUntilStackCreateComplete({ client: templates, maxWaitTime: 60, minDelay: 1 }, { StackName });
}, 120_000);
afterAll(() => aws?.end());

it("a green run of another project and an event of one's own start runs that know their event; nothing else does", async () => {
  const events = new EventBridgeClient(client);
  const ended = (state: string, more: object = {}) => ({
    Source: "stepwatch",
    DetailType: "Run ended",
    Detail: JSON.stringify({
      project: "raw",
      state,
      stack: "starts",
      id: `id of ${state}`,
      kind: "build",
      asConfigured: true,
      ...more,
    }),
  });
  const Entries = [
    ended("red"),
    ended("green", { stack: "another" }),
    ended("green", { project: "other" }),
    ended("green", { kind: "command" }),
    ended("green", { asConfigured: false }),
    ended("green"),
    { Source: "my.app", DetailType: "Loaded", Detail: "{}" },
  ];
  await events.send(new PutEventsCommand({ Entries }));
  const machines = new SFNClient(client);
  const { stateMachines = [] } = await machines.send(new ListStateMachinesCommand({}));
  const { stateMachineArn } = stateMachines.find(({ name }) => name === "heard")!;
  const inputs = await eventually(async () => {
    const { executions = [] } = await machines.send(new ListExecutionsCommand({ stateMachineArn }));
    if (executions.length < 2) return undefined;
    const read = executions.map(({ executionArn }) => machines.send(new DescribeExecutionCommand({ executionArn })));
    return (await Promise.all(read)).map(({ input }) => JSON.parse(input!));
  });
  const byProject = (a: { project: string }, b: { project: string }) => a.project.localeCompare(b.project);
  expect(inputs.sort(byProject)).toEqual([
    { project: "mart", job: "daily", dedupeKey: expect.stringMatching(/^job daily [0-9a-f-]{36}$/) },
    { project: "shop", dedupeKey: "id of green" },
  ]);
});
