import { DescribeTasksCommand, RunTaskCommand } from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeLocalImage } from "#local/ecs/local-image.ts";
import { EmbeddedAwsFixture, eventually } from "./embedded-aws-fixture.ts";

let aws: EmbeddedAwsFixture;

beforeAll(async () => {
  aws = await EmbeddedAwsFixture.start();
}, 120_000);
afterAll(() => aws?.end());

const containerDefinition = {
  Name: "runner",
  Image: "example/deployed",
  Command: ["test $GREETING = hello && test $PASSWORD = s3cret && test $TOKEN = t0ken && echo all there"],
  Environment: [{ Name: "GREETING", Value: "hello" }],
  Secrets: [
    { Name: "PASSWORD", ValueFrom: { Ref: "Secret" } },
    {
      Name: "TOKEN",
      ValueFrom: { "Fn::Join": ["", ["arn:aws:ssm:us-east-1:000000000000:parameter", { Ref: "Parameter" }]] },
    },
  ],
  StopTimeout: 100,
  LogConfiguration: {
    LogDriver: "awslogs",
    Options: { "awslogs-group": { Ref: "Log" }, "awslogs-stream-prefix": "run", "awslogs-region": "us-east-1" },
  },
};

const template = {
  Resources: {
    Cluster: { Type: "AWS::ECS::Cluster", Properties: { ClusterName: "deployed" } },
    Log: { Type: "AWS::Logs::LogGroup", Properties: { LogGroupName: "/deployed" } },
    Secret: { Type: "AWS::SecretsManager::Secret", Properties: { Name: "deployed-secret", SecretString: "s3cret" } },
    Parameter: { Type: "AWS::SSM::Parameter", Properties: { Name: "/deployed/token", Type: "String", Value: "t0ken" } },
    Task: {
      Type: "AWS::ECS::TaskDefinition",
      Properties: {
        Family: "deployed",
        NetworkMode: "awsvpc",
        RequiresCompatibilities: ["FARGATE"],
        Cpu: "256",
        Memory: "512",
        ContainerDefinitions: [containerDefinition],
      },
    },
  },
};

/** Answers as the CDK's own functions do: by HTTPS to the host of the URL, without its port. */
const CUSTOM_RESOURCE = `
const https = require("node:https");
exports.handler = async (event) => {
  const body = JSON.stringify({ Status: "SUCCESS", PhysicalResourceId: "made", StackId: event.StackId,
    RequestId: event.RequestId, LogicalResourceId: event.LogicalResourceId, Data: { Answer: "42" } });
  const { hostname, pathname, search } = new URL(event.ResponseURL);
  await new Promise((resolve, reject) => {
    const headers = { "content-type": "", "content-length": Buffer.byteLength(body) };
    https.request({ hostname, path: pathname + search, method: "PUT", headers }, resolve).on("error", reject).end(body);
  });
};`;

async function deploy(name: string, resources: object): Promise<string> {
  await cloudFormation({ Action: "CreateStack", StackName: name, TemplateBody: JSON.stringify(resources) });
  return eventually(async () => {
    const stack = await cloudFormation({ Action: "DescribeStacks", StackName: name });
    if (/FAILED|ROLLBACK/.test(stack)) throw new Error(stack);
    return stack.includes("CREATE_COMPLETE") ? stack : undefined;
  });
}

async function cloudFormation(parameters: Record<string, string>): Promise<string> {
  const body = new URLSearchParams({ Version: "2010-05-15", ...parameters });
  const answer = await fetch(aws.endpoints.awsEndpointUrl, { method: "POST", body });
  return answer.text();
}

test("a task definition that CloudFormation has deployed runs, with its secrets and its log", async () => {
  writeLocalImage(aws.stateDir, "example/deployed", { Entrypoint: ["/bin/sh", "-c"] });
  await deploy("deployed", template);
  const { tasks = [] } = await aws.ecs.send(
    new RunTaskCommand({
      cluster: "arn:aws:ecs:us-east-1:000000000000:cluster/deployed",
      taskDefinition: "arn:aws:ecs:us-east-1:000000000000:task-definition/deployed:1",
      launchType: "FARGATE",
      networkConfiguration: { awsvpcConfiguration: { subnets: ["subnet-1"] } },
    }),
  );
  const stopped = await eventually(async () => {
    const described = await aws.ecs.send(
      new DescribeTasksCommand({ cluster: "deployed", tasks: [tasks[0]?.taskArn ?? ""] }),
    );
    return described.tasks?.[0]?.lastStatus === "STOPPED" ? described.tasks[0] : undefined;
  });
  expect(stopped).toMatchObject({
    stopCode: "EssentialContainerExited",
    containers: [{ name: "runner", exitCode: 0 }],
  });
  expect(await aws.logLines("/deployed")).toEqual(["all there"]);
});

test("a custom resource is made by its function", async () => {
  const stack = await deploy("custom", {
    Resources: {
      Provider: {
        Type: "AWS::Lambda::Function",
        Properties: {
          Runtime: "nodejs24.x",
          Handler: "index.handler",
          Role: "arn:aws:iam::000000000000:role/provider",
          Code: { ZipFile: CUSTOM_RESOURCE },
        },
      },
      Made: { Type: "Custom::Thing", Properties: { ServiceToken: { "Fn::GetAtt": ["Provider", "Arn"] } } },
    },
    Outputs: { Answer: { Value: { "Fn::GetAtt": ["Made", "Answer"] } } },
  });
  expect(stack).toContain("<OutputValue>42</OutputValue>");
});
