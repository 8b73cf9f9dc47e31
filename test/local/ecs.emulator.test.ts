import { existsSync, readFileSync } from "node:fs";
import { CreateLogGroupCommand, DescribeLogStreamsCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  CreateClusterCommand,
  CreateServiceCommand,
  DescribeTaskDefinitionCommand,
  DescribeTasksCommand,
  ListTasksCommand,
  RegisterTaskDefinitionCommand,
  type RegisterTaskDefinitionCommandInput,
  RunTaskCommand,
  type RunTaskCommandInput,
  StopTaskCommand,
  type Task,
} from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { taskLogPath } from "#local/ecs/container-launch.ts";
import { writeLocalImage } from "#local/ecs/local-image.ts";
import { EmbeddedAwsFixture, eventually } from "./embedded-aws-fixture.ts";

const IMAGE = "example/dbt@sha256:0123";
const GROUP = "/example/tasks";
const NETWORK = { awsvpcConfiguration: { subnets: ["subnet-1"] } };

let aws: EmbeddedAwsFixture;

beforeAll(async () => {
  aws = await EmbeddedAwsFixture.start();
  writeLocalImage(aws.stateDir, IMAGE, {
    Entrypoint: ["/bin/sh", "-c"],
    Cmd: ["echo from the image"],
    Env: { FROM_IMAGE: "image", BOTH: "image" },
    WorkingDir: aws.stateDir,
  });
  await aws.ecs.send(new CreateClusterCommand({ clusterName: "dbt" }));
  await aws.logs.send(new CreateLogGroupCommand({ logGroupName: GROUP }));
  await define("runner", {});
}, 120_000);
afterAll(() => aws?.end());
beforeEach(() => control({ failNextRunTasks: [], startDelayMs: 0, missingDescribes: 0 }));

type Container = NonNullable<RegisterTaskDefinitionCommandInput["containerDefinitions"]>[number];

async function define(family: string, container: Partial<Container>, others: Container[] = []): Promise<void> {
  const logConfiguration = {
    logDriver: "awslogs" as const,
    options: { "awslogs-group": GROUP, "awslogs-stream-prefix": "run", "awslogs-region": "us-east-1" },
  };
  const runner = { name: "runner", image: IMAGE, essential: true, logConfiguration, ...container };
  const containerDefinitions = [runner, ...others];
  await aws.ecs.send(
    new RegisterTaskDefinitionCommand({
      family,
      networkMode: "awsvpc",
      cpu: "512",
      memory: "1024",
      containerDefinitions,
    }),
  );
}

async function run(more: Partial<RunTaskCommandInput> = {}): Promise<Task> {
  const { tasks = [], failures } = await aws.ecs.send(
    new RunTaskCommand({ cluster: "dbt", taskDefinition: "runner", networkConfiguration: NETWORK, ...more }),
  );
  const [task] = tasks;
  if (task === undefined) throw new Error(`Nothing was started: ${JSON.stringify(failures)}`);
  return task;
}

function command(script: string, environment: Record<string, string> = {}): Partial<RunTaskCommandInput> {
  const pairs = Object.entries(environment).map(([name, value]) => ({ name, value }));
  return { overrides: { containerOverrides: [{ name: "runner", command: [script], environment: pairs }] } };
}

async function describeOne(taskArn: string | undefined): Promise<Task | undefined> {
  const { tasks } = await aws.ecs.send(
    new DescribeTasksCommand({ cluster: "dbt", tasks: [taskArn ?? ""], include: ["TAGS"] }),
  );
  return tasks?.[0];
}

function when(task: Task, status: string): Promise<Task> {
  return eventually(async () => {
    const described = await describeOne(task.taskArn);
    return described?.lastStatus === status ? described : undefined;
  });
}

function printed(task: Task): string {
  const path = taskLogPath(aws.stateDir, task.taskArn?.split("/").at(-1) ?? "");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

async function control(faults: object): Promise<void> {
  const answer = await fetch(`${aws.endpoints.ecsEndpointUrl}/_control`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(faults),
  });
  expect(answer.status).toBe(200);
}

function isAlive(pid: string | undefined): boolean {
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
}

describe("a task that runs", () => {
  test("goes from PROVISIONING to STOPPED, with times, exit code and stop code", async () => {
    const started = await run({
      ...command("exit 3"),
      startedBy: "test",
      group: "mine",
      tags: [{ key: "a", value: "1" }],
    });
    expect(started).toMatchObject({ lastStatus: "PROVISIONING", desiredStatus: "RUNNING", startedBy: "test" });
    const stopped = await when(started, "STOPPED");
    expect(stopped).toMatchObject({
      stopCode: "EssentialContainerExited",
      stoppedReason: "Essential container in task exited",
      group: "mine",
      tags: [{ key: "a", value: "1" }],
      cpu: "512",
      memory: "1024",
      containers: [{ name: "runner", exitCode: 3, lastStatus: "STOPPED", runtimeId: expect.stringMatching(/^\d+$/) }],
    });
    const times = [
      stopped.createdAt,
      stopped.startedAt,
      stopped.stoppingAt,
      stopped.executionStoppedAt,
      stopped.stoppedAt,
    ];
    expect(times.map((time) => time instanceof Date)).toEqual(times.map(() => true));
    expect([...times].sort((a, b) => Number(a) - Number(b))).toEqual(times);
  });

  test("the image's entry point runs the image's command, or the override's", async () => {
    const own = await when(await run(), "STOPPED");
    expect(printed(own)).toBe("from the image\n");
    const overridden = await when(await run(command("echo $FROM_IMAGE $BOTH", { BOTH: "override" })), "STOPPED");
    expect(printed(overridden)).toBe("image override\n");
  });

  test("it reads its own task from the metadata address", async () => {
    const task = await run(command(`echo "$ECS_CONTAINER_METADATA_URI_V4"; sleep 60`));
    await when(task, "RUNNING");
    const uri = await eventually(async () => /http\S+/.exec(printed(task))?.[0]);
    expect(await (await fetch(`${uri}/task`)).json()).toMatchObject({
      TaskARN: task.taskArn,
      Family: "runner",
      Cluster: expect.stringContaining("cluster/dbt"),
      Containers: [{ Name: "runner" }],
      Limits: { CPU: 0.5, Memory: 1024 },
    });
    await aws.ecs.send(new StopTaskCommand({ cluster: "dbt", task: task.taskArn }));
  });

  test("what it prints goes to its log stream, whole when the task is STOPPED", async () => {
    const task = await when(
      await run(command("for n in $(seq 1 2000); do echo line $n; done; echo oops >&2")),
      "STOPPED",
    );
    const id = task.taskArn?.split("/").at(-1);
    const { logStreams = [] } = await aws.logs.send(new DescribeLogStreamsCommand({ logGroupName: GROUP }));
    expect(logStreams.map((stream) => stream.logStreamName)).toContain(`run/runner/${id}`);
    expect(
      printed(task)
        .split("\n")
        .filter((line) => line.startsWith("line ")),
    ).toHaveLength(2000);
    const lines = await aws.logLines(GROUP);
    expect(lines).toContain("oops");
  });

  test("an essential container's end stops the others, another one's does not", async () => {
    await define("pair", { command: ["sleep 0.3; exit 5"] }, [
      { name: "side", image: IMAGE, essential: false, command: ["exit 9"] },
      { name: "rest", image: IMAGE, essential: false, command: ["sleep 60"], stopTimeout: 1 },
    ]);
    const stopped = await when(await run({ taskDefinition: "pair" }), "STOPPED");
    expect(stopped.containers?.map(({ name, exitCode }) => [name, exitCode])).toEqual([
      ["runner", 5],
      ["side", 9],
      ["rest", 143],
    ]);
  });
});

describe("StopTask", () => {
  test("SIGTERM goes to the first process alone, which may end in its own way", async () => {
    const task = await run(command(`trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done`));
    await when(task, "RUNNING");
    await eventually(async () => (printed(task).includes("up") ? true : undefined));
    await aws.ecs.send(new StopTaskCommand({ cluster: "dbt", task: task.taskArn, reason: "enough" }));
    const stopped = await when(task, "STOPPED");
    expect(stopped).toMatchObject({ stopCode: "UserInitiated", stoppedReason: "enough", desiredStatus: "STOPPED" });
    expect(stopped.containers?.[0]?.exitCode).toBe(0);
    expect(printed(task)).toContain("bye");
  });

  test("a container that ignores it is killed after its stop timeout, with all its processes", async () => {
    await define("stubborn", { stopTimeout: 1 });
    const script = `trap "" TERM; sleep 300 & echo child $!; while :; do sleep 0.05; done`;
    const task = await run({ ...command(script), taskDefinition: "stubborn" });
    await when(task, "RUNNING");
    const child = await eventually(async () => /child (\d+)/.exec(printed(task))?.[1]);
    const asked = Date.now();
    await aws.ecs.send(new StopTaskCommand({ cluster: "dbt", task: task.taskArn }));
    await aws.ecs.send(new StopTaskCommand({ cluster: "dbt", task: task.taskArn, reason: "again" }));
    const stopped = await when(task, "STOPPED");
    expect(Date.now() - asked).toBeGreaterThan(900);
    expect(stopped).toMatchObject({ stoppedReason: "Task stopped by user", containers: [{ exitCode: 137 }] });
    await eventually(async () => (isAlive(child) ? undefined : true));
  });

  test("a task that has not started yet never starts", async () => {
    await control({ startDelayMs: 60_000 });
    const task = await run(command("echo never"));
    await aws.ecs.send(new StopTaskCommand({ cluster: "dbt", task: task.taskArn }));
    const stopped = await when(task, "STOPPED");
    expect(stopped.stopCode).toBe("UserInitiated");
    expect(stopped.containers?.[0]?.exitCode).toBeUndefined();
    expect(stopped.startedAt).toBeUndefined();
  });

  test("an unknown task is refused", async () => {
    const stop = aws.ecs.send(new StopTaskCommand({ cluster: "dbt", task: "0".repeat(32) }));
    await expect(stop).rejects.toMatchObject({ name: "InvalidParameterException" });
  });
});

describe("RunTask", () => {
  test("the same client token is the same task; with other parameters it is a conflict that names it", async () => {
    const request = { ...command("true"), clientToken: "token-1" };
    const [first, second] = await Promise.all([run(request), run(request)]);
    expect(second.taskArn).toBe(first.taskArn);
    await when(first, "STOPPED");
    expect((await run(request)).taskArn).toBe(first.taskArn);
    await expect(run({ ...command("false"), clientToken: "token-1" })).rejects.toMatchObject({
      name: "ConflictException",
      resourceIds: [first.taskArn],
    });
  });

  test("what ECS refuses is refused", async () => {
    const refused = { name: "InvalidParameterException" };
    await expect(run(command("x".repeat(8192)))).rejects.toMatchObject(refused);
    await expect(run({ overrides: { containerOverrides: [{ name: "nobody" }] } })).rejects.toMatchObject(refused);
    await expect(run({ startedBy: "s".repeat(129) })).rejects.toMatchObject(refused);
    await expect(run({ networkConfiguration: undefined })).rejects.toMatchObject(refused);
    await expect(run({ taskDefinition: "nothing" })).rejects.toMatchObject({ name: "ClientException" });
    await expect(run({ cluster: "nowhere" })).rejects.toMatchObject({ name: "ClusterNotFoundException" });
  });

  test("an image that is not there, a secret that is not there, a program that is not there", async () => {
    await define("no-image", { image: "example/none:1" });
    await define("no-secret", { secrets: [{ name: "PASSWORD", valueFrom: "none" }] });
    await define("no-program", { entryPoint: ["/no/such/program"] });
    const reasons = await Promise.all(
      ["no-image", "no-secret", "no-program"].map(async (taskDefinition) => {
        const stopped = await when(await run({ taskDefinition }), "STOPPED");
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
    await define("secrets", {
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
    const stopped = await when(await run({ ...command(script), taskDefinition: "secrets" }), "STOPPED");
    expect(stopped.containers?.[0]?.exitCode).toBe(0);
    const log = readFileSync(`${aws.stateDir}/logs/embedded-aws.log`, "utf8");
    expect(JSON.stringify(stopped) + printed(stopped) + log).not.toMatch(/very-secret|parameter-secret/);
  });
});

describe("other calls", () => {
  test("ListTasks filters, and DescribeTasks names what is missing", async () => {
    const task = await run({ ...command("sleep 60"), startedBy: "lister" });
    const list = (more: object) =>
      aws.ecs
        .send(new ListTasksCommand({ cluster: "dbt", startedBy: "lister", ...more }))
        .then((answer) => answer.taskArns);
    expect(await list({})).toEqual([task.taskArn]);
    expect(await list({ family: "other" })).toEqual([]);
    await aws.ecs.send(new StopTaskCommand({ cluster: "dbt", task: task.taskArn }));
    await when(task, "STOPPED");
    expect(await list({})).toEqual([]);
    expect(await list({ desiredStatus: "STOPPED" })).toEqual([task.taskArn]);
    const { failures } = await aws.ecs.send(new DescribeTasksCommand({ cluster: "dbt", tasks: ["f".repeat(32)] }));
    expect(failures).toMatchObject([{ reason: "MISSING", arn: expect.stringContaining("task/dbt/ffff") }]);
  });

  test("task definitions are the emulator's, its errors included; services are refused", async () => {
    const described = await aws.ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: "runner" }));
    expect(described.taskDefinition?.family).toBe("runner");
    const none = aws.ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: "none" }));
    await expect(none).rejects.toMatchObject({ name: "ClientException" });
    const service = aws.ecs.send(new CreateServiceCommand({ serviceName: "s", taskDefinition: "runner" }));
    await expect(service).rejects.toMatchObject({ name: "UnsupportedFeatureException" });
  });
});

describe("faults for tests", () => {
  test("RunTask with failures, DescribeTasks that miss, a container out of memory", async () => {
    await control({ failNextRunTasks: [{ reason: "RESOURCE:MEMORY" }] });
    await expect(run()).rejects.toThrow("RESOURCE:MEMORY");
    const task = await run(command("sleep 60"));
    await when(task, "RUNNING");
    await control({ missingDescribes: 1 });
    expect(await describeOne(task.taskArn)).toBeUndefined();
    expect(await describeOne(task.taskArn)).toBeDefined();
    await control({ killOutOfMemory: task.taskArn });
    const stopped = await when(task, "STOPPED");
    expect(stopped.containers?.[0]).toMatchObject({
      exitCode: 137,
      reason: "OutOfMemoryError: Container killed due to memory usage",
    });
    expect(stopped.stopCode).toBe("EssentialContainerExited");
  });
});

async function callEmulator(target: string, input: object): Promise<Record<string, string>> {
  const answer = await fetch(aws.endpoints.awsEndpointUrl, {
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
