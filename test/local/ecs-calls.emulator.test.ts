import { readFileSync } from "node:fs";
import {
  CreateClusterCommand,
  CreateServiceCommand,
  DescribeTaskDefinitionCommand,
  DescribeTasksCommand,
  ListTasksCommand,
} from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { command, EcsFixture } from "./ecs-fixture.ts";

let ecs: EcsFixture;

beforeAll(async () => {
  ecs = await EcsFixture.start();
}, 120_000);
afterAll(() => ecs?.aws.end());
beforeEach(() => ecs.control({ failNextRunTasks: [], startDelayMs: 0, missingDescribes: 0 }));

describe("RunTask", () => {
  test("the same client token is the same task; with other parameters it is a conflict that names it", async () => {
    const request = { ...command("true"), clientToken: "token-1" };
    const [first, second] = await Promise.all([ecs.run(request), ecs.run(request)]);
    expect(second.taskArn).toBe(first.taskArn);
    await ecs.when(first, "STOPPED");
    expect((await ecs.run(request)).taskArn).toBe(first.taskArn);
    await expect(ecs.run({ ...command("false"), clientToken: "token-1" })).rejects.toMatchObject({
      name: "ConflictException",
      resourceIds: [first.taskArn],
    });
  });

  test("what ECS refuses is refused", async () => {
    const refused = { name: "InvalidParameterException" };
    await expect(ecs.run(command("x".repeat(8192)))).rejects.toMatchObject(refused);
    await expect(ecs.run({ overrides: { containerOverrides: [{ name: "nobody" }] } })).rejects.toMatchObject(refused);
    await expect(ecs.run({ startedBy: "s".repeat(129) })).rejects.toMatchObject(refused);
    await expect(ecs.run({ networkConfiguration: undefined })).rejects.toMatchObject(refused);
    await expect(ecs.run({ taskDefinition: "nothing" })).rejects.toMatchObject({ name: "ClientException" });
    await expect(ecs.run({ cluster: "nowhere" })).rejects.toMatchObject({ name: "ClusterNotFoundException" });
  });

  test("D21: Spot runs where the cluster has it, is said in DescribeTasks, and may be taken away", async () => {
    const capacityProviderStrategy = [{ capacityProvider: "FARGATE_SPOT", weight: 1 }];
    const refused = { name: "InvalidParameterException" };
    await ecs.aws.ecs.send(new CreateClusterCommand({ clusterName: "plain" }));
    await expect(ecs.run({ cluster: "plain", capacityProviderStrategy })).rejects.toMatchObject(refused);
    await expect(ecs.run({ launchType: "FARGATE", capacityProviderStrategy })).rejects.toMatchObject(refused);
    const sleeping = { ...command("trap 'exit 143' TERM; while :; do sleep 0.1; done"), capacityProviderStrategy };
    const task = await ecs.run(sleeping);
    expect(task.capacityProviderName).toBe("FARGATE_SPOT");
    await ecs.when(task, "RUNNING");
    await ecs.control({ takeSpotAway: task.taskArn });
    expect(await ecs.when(task, "STOPPED")).toMatchObject({
      stopCode: "SpotInterruption",
      stoppedReason: "Your Spot Task was interrupted.",
      containers: [{ exitCode: 143 }],
    });
  });

  test("an image that is not there, a secret that is not there, a program that is not there", async () => {
    await ecs.define("no-image", { image: "example/none:1" });
    await ecs.define("no-secret", { secrets: [{ name: "PASSWORD", valueFrom: "none" }] });
    await ecs.define("no-program", { entryPoint: ["/no/such/program"] });
    const reasons = await Promise.all(
      ["no-image", "no-secret", "no-program"].map(async (taskDefinition) => {
        const stopped = await ecs.when(await ecs.run({ taskDefinition }), "STOPPED");
        expect(stopped.stopCode).toBe("TaskFailedToStart");
        expect(stopped.startedAt).toBeUndefined();
        return stopped.stoppedReason;
      }),
    );
    expect(reasons[0]).toMatch(/^CannotPullContainerError: .*example\/none:1/);
    expect(reasons[1]).toMatch(/^ResourceInitializationError: .*none/);
    expect(reasons[2]).toMatch(/^CannotStartContainerError: .*ENOENT/);
  });

  test("secrets reach the container by name or ARN, and nothing else", async () => {
    const secret = JSON.stringify({ user: "u", password: "very-secret" });
    const arn = await createSecret("warehouse", secret);
    await putParameter("/dbt/token", "parameter-secret");
    await ecs.define("secrets", {
      secrets: [
        { name: "BY_NAME", valueFrom: "warehouse" },
        { name: "BY_KEY", valueFrom: `${arn}:password::` },
        { name: "BY_PARAMETER", valueFrom: "arn:aws:ssm:us-east-1:000000000000:parameter//dbt/token" },
      ],
    });
    const lengthIs = (name: string, length: number) => `test $(printf %s "$${name}" | wc -c) = ${length}`;
    const script = [lengthIs("BY_NAME", secret.length), lengthIs("BY_KEY", 11), lengthIs("BY_PARAMETER", 16)].join(
      " && ",
    );
    const stopped = await ecs.when(await ecs.run({ ...command(script), taskDefinition: "secrets" }), "STOPPED");
    expect(stopped.containers?.[0]?.exitCode).toBe(0);
    const log = readFileSync(`${ecs.aws.stateDir}/logs/embedded-aws.log`, "utf8");
    expect(JSON.stringify(stopped) + ecs.printed(stopped) + log).not.toMatch(/very-secret|parameter-secret/);
  });
});

describe("other calls", () => {
  test("ListTasks filters, and DescribeTasks names what is missing", async () => {
    const task = await ecs.run({ ...command("sleep 60"), startedBy: "lister" });
    const list = (more: object) =>
      ecs.aws.ecs
        .send(new ListTasksCommand({ cluster: "dbt", startedBy: "lister", ...more }))
        .then((answer) => answer.taskArns);
    expect(await list({})).toEqual([task.taskArn]);
    expect(await list({ family: "other" })).toEqual([]);
    await ecs.stop(task);
    await ecs.when(task, "STOPPED");
    expect(await list({})).toEqual([]);
    expect(await list({ desiredStatus: "STOPPED" })).toEqual([task.taskArn]);
    const { failures } = await ecs.aws.ecs.send(new DescribeTasksCommand({ cluster: "dbt", tasks: ["f".repeat(32)] }));
    expect(failures).toMatchObject([{ reason: "MISSING", arn: expect.stringContaining("task/dbt/ffff") }]);
  });

  test("task definitions are the emulator's, its errors included; services are refused", async () => {
    const described = await ecs.aws.ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: "runner" }));
    expect(described.taskDefinition?.family).toBe("runner");
    const none = ecs.aws.ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: "none" }));
    await expect(none).rejects.toMatchObject({ name: "ClientException" });
    const service = ecs.aws.ecs.send(new CreateServiceCommand({ serviceName: "s", taskDefinition: "runner" }));
    await expect(service).rejects.toMatchObject({ name: "UnsupportedFeatureException" });
  });
});

describe("faults for tests", () => {
  test("RunTask with failures, DescribeTasks that miss, a container out of memory", async () => {
    await ecs.control({ failNextRunTasks: [{ reason: "RESOURCE:MEMORY" }] });
    await expect(ecs.run()).rejects.toThrow("RESOURCE:MEMORY");
    const task = await ecs.run(command("sleep 60"));
    await ecs.when(task, "RUNNING");
    await ecs.control({ missingDescribes: 1 });
    expect(await ecs.describe(task)).toBeUndefined();
    expect(await ecs.describe(task)).toBeDefined();
    await ecs.control({ killOutOfMemory: task.taskArn });
    const stopped = await ecs.when(task, "STOPPED");
    expect(stopped.containers?.[0]).toMatchObject({
      exitCode: 137,
      reason: "OutOfMemoryError: Container killed due to memory usage",
    });
    expect(stopped.stopCode).toBe("EssentialContainerExited");
  });
});

async function callEmulator(target: string, input: object): Promise<Record<string, string>> {
  const answer = await fetch(ecs.aws.endpoints.awsEndpointUrl, {
    method: "POST",
    headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": target },
    body: JSON.stringify(input),
  });
  return (await answer.json()) as Record<string, string>;
}

async function createSecret(Name: string, SecretString: string): Promise<string> {
  return (await callEmulator("secretsmanager.CreateSecret", { Name, SecretString })).ARN ?? "";
}

function putParameter(Name: string, Value: string): Promise<object> {
  return callEmulator("AmazonSSM.PutParameter", { Name, Value, Type: "SecureString" });
}
