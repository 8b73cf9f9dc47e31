import { DescribeLogStreamsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { StopTaskCommand } from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { command, EcsFixture, GROUP, IMAGE } from "./ecs-fixture.ts";
import { eventually } from "./embedded-aws-fixture.ts";

let ecs: EcsFixture;

beforeAll(async () => {
  ecs = await EcsFixture.start();
}, 120_000);
afterAll(() => ecs?.aws.end());
beforeEach(() => ecs.control({ failNextRunTasks: [], startDelayMs: 0, missingDescribes: 0 }));

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
    const started = await ecs.run({
      ...command("exit 3"),
      startedBy: "test",
      group: "mine",
      tags: [{ key: "a", value: "1" }],
    });
    expect(started).toMatchObject({ lastStatus: "PROVISIONING", desiredStatus: "RUNNING", startedBy: "test" });
    const stopped = await ecs.when(started, "STOPPED");
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

  test("inherits its definition's tags where that is asked for; the call's own go first", async () => {
    await ecs.define(
      "tagged",
      {},
      [],
      [
        { key: "team", value: "data" },
        { key: "a", value: "definition's" },
      ],
    );
    const own = { taskDefinition: "tagged", tags: [{ key: "a", value: "call's" }] };
    const inherited = await ecs.when(await ecs.run({ ...own, propagateTags: "TASK_DEFINITION" }), "STOPPED");
    expect(inherited.tags).toEqual([{ key: "team", value: "data" }, ...own.tags]);
    expect((await ecs.when(await ecs.run(own), "STOPPED")).tags).toEqual(own.tags);
  });

  test("the image's entry point runs the image's command, or the override's", async () => {
    const own = await ecs.when(await ecs.run(), "STOPPED");
    expect(ecs.printed(own)).toBe("from the image\n");
    const overridden = await ecs.when(
      await ecs.run(command("echo $FROM_IMAGE $BOTH", { BOTH: "override" })),
      "STOPPED",
    );
    expect(ecs.printed(overridden)).toBe("image override\n");
  });

  test("it reads its own task from the metadata address", async () => {
    const task = await ecs.run(command(`echo "$ECS_CONTAINER_METADATA_URI_V4"; sleep 60`));
    await ecs.when(task, "RUNNING");
    const uri = await eventually(async () => /http\S+/.exec(ecs.printed(task))?.[0]);
    expect(await (await fetch(`${uri}/task`)).json()).toMatchObject({
      TaskARN: task.taskArn,
      Family: "runner",
      Cluster: expect.stringContaining("cluster/dbt"),
      Containers: [{ Name: "runner" }],
      Limits: { CPU: 0.5, Memory: 1024 },
    });
    await ecs.stop(task);
  });

  test("what it prints goes to its log stream, whole when the task is STOPPED", async () => {
    const task = await ecs.when(
      await ecs.run(command("for n in $(seq 1 2000); do echo line $n; done; echo oops >&2")),
      "STOPPED",
    );
    const id = task.taskArn?.split("/").at(-1);
    const { logStreams = [] } = await ecs.aws.logs.send(new DescribeLogStreamsCommand({ logGroupName: GROUP }));
    expect(logStreams.map((stream) => stream.logStreamName)).toContain(`run/runner/${id}`);
    expect(
      ecs
        .printed(task)
        .split("\n")
        .filter((line) => line.startsWith("line ")),
    ).toHaveLength(2000);
    const lines = await ecs.aws.logLines(GROUP);
    expect(lines).toContain("oops");
  });

  test("an essential container's end stops the others, another one's does not", async () => {
    await ecs.define("pair", { command: ["sleep 0.3; exit 5"] }, [
      { name: "side", image: IMAGE, essential: false, command: ["exit 9"] },
      { name: "rest", image: IMAGE, essential: false, command: ["sleep 60"], stopTimeout: 1 },
    ]);
    const stopped = await ecs.when(await ecs.run({ taskDefinition: "pair" }), "STOPPED");
    expect(stopped.containers?.map(({ name, exitCode }) => [name, exitCode])).toEqual([
      ["runner", 5],
      ["side", 9],
      ["rest", 143],
    ]);
  });
});

describe("StopTask", () => {
  test("SIGTERM goes to the first process alone, which may end in its own way", async () => {
    const task = await ecs.run(command(`trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done`));
    await ecs.when(task, "RUNNING");
    await eventually(async () => (ecs.printed(task).includes("up") ? true : undefined));
    await ecs.stop(task, "enough");
    const stopped = await ecs.when(task, "STOPPED");
    expect(stopped).toMatchObject({ stopCode: "UserInitiated", stoppedReason: "enough", desiredStatus: "STOPPED" });
    expect(stopped.containers?.[0]?.exitCode).toBe(0);
    expect(ecs.printed(task)).toContain("bye");
  });

  test("a container that ignores it is killed after its stop timeout, with all its processes", async () => {
    await ecs.define("stubborn", { stopTimeout: 1 });
    const script = `trap "" TERM; sleep 300 & echo child $!; while :; do sleep 0.05; done`;
    const task = await ecs.run({ ...command(script), taskDefinition: "stubborn" });
    await ecs.when(task, "RUNNING");
    const child = await eventually(async () => /child (\d+)/.exec(ecs.printed(task))?.[1]);
    const asked = Date.now();
    await ecs.stop(task);
    await ecs.stop(task, "again");
    const stopped = await ecs.when(task, "STOPPED");
    expect(Date.now() - asked).toBeGreaterThan(900);
    expect(stopped).toMatchObject({ stoppedReason: "Task stopped by user", containers: [{ exitCode: 137 }] });
    await eventually(async () => (isAlive(child) ? undefined : true));
  });

  test("a task that has not started yet never starts", async () => {
    await ecs.control({ startDelayMs: 60_000 });
    const task = await ecs.run(command("echo never"));
    await ecs.stop(task);
    const stopped = await ecs.when(task, "STOPPED");
    expect(stopped.stopCode).toBe("UserInitiated");
    expect(stopped.containers?.[0]?.exitCode).toBeUndefined();
    expect(stopped.startedAt).toBeUndefined();
  });

  test("an unknown task is refused", async () => {
    const stop = ecs.aws.ecs.send(new StopTaskCommand({ cluster: "dbt", task: "0".repeat(32) }));
    await expect(stop).rejects.toMatchObject({ name: "InvalidParameterException" });
  });
});
