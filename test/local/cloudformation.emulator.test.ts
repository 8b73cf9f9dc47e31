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

async function cloudFormation(parameters: Record<string, string>): Promise<string> {
  const body = new URLSearchParams({ Version: "2010-05-15", ...parameters });
  const answer = await fetch(aws.endpoints.awsEndpointUrl, { method: "POST", body });
  return answer.text();
}

test("a task definition that CloudFormation has deployed runs, with its secrets and its log", async () => {
  writeLocalImage(aws.stateDir, "example/deployed", { Entrypoint: ["/bin/sh", "-c"] });
  await cloudFormation({ Action: "CreateStack", StackName: "deployed", TemplateBody: JSON.stringify(template) });
  await eventually(async () => {
    const stack = await cloudFormation({ Action: "DescribeStacks", StackName: "deployed" });
    if (/FAILED|ROLLBACK/.test(stack)) throw new Error(stack);
    return stack.includes("CREATE_COMPLETE") ? true : undefined;
  });
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
