import {
  DescribeExecutionCommand,
  GetExecutionHistoryCommand,
  RedriveExecutionCommand,
  SendTaskFailureCommand,
  SendTaskSuccessCommand,
  StartExecutionCommand,
  StopExecutionCommand,
} from "@aws-sdk/client-sfn";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EmbeddedAwsFixture, eventually } from "./embedded-aws-fixture.ts";

/** Throws the error whose name it is given, `failures` times; keeps the events it has seen. */
const NODE = `
const seen = new Map();
class NodeFailed extends Error { name = "NodeFailed"; }
export async function handler(event) {
  const times = (seen.get(event.key) ?? 0) + 1;
  seen.set(event.key, times);
  if (times <= (event.failures ?? 0)) throw new NodeFailed("the node failed, try " + times);
  return { times, ...event };
}`;

let aws: EmbeddedAwsFixture;
let nodeArn: string;

beforeAll(async () => {
  aws = await EmbeddedAwsFixture.start();
  nodeArn = await aws.deployFunction("node", NODE);
}, 120_000);
afterAll(() => aws?.end());

function invokeState(more: object) {
  return {
    Type: "Task",
    Resource: "arn:aws:states:::lambda:invoke",
    Parameters: { FunctionName: nodeArn, "Payload.$": "$" },
    ResultSelector: { "answer.$": "$.Payload" },
    End: true,
    ...more,
  };
}

function waitState(more: object) {
  return {
    Type: "Task",
    Resource: "arn:aws:states:::lambda:invoke.waitForTaskToken",
    Parameters: {
      FunctionName: nodeArn,
      Payload: { "token.$": "$$.Task.Token", "key.$": "$.key", "failures.$": "$.failures" },
    },
    TimeoutSeconds: 60,
    End: true,
    ...more,
  };
}

async function start(stateMachineArn: string, input: object, name?: string): Promise<string> {
  const { executionArn } = await aws.sfn.send(
    new StartExecutionCommand({ stateMachineArn, input: JSON.stringify(input), ...(name && { name }) }),
  );
  return executionArn ?? "";
}

async function eventTypes(executionArn: string): Promise<(string | undefined)[]> {
  const { events = [] } = await aws.sfn.send(new GetExecutionHistoryCommand({ executionArn, maxResults: 1000 }));
  return events.map((event) => event.type);
}

async function tokensSeen(machine: string, count: number): Promise<string[]> {
  return eventually(async () => {
    const lines = await aws.logLines(`/aws/lambda/${machine}`).catch(() => []);
    const tokens = lines.flatMap((line) => /token=(\S+)/.exec(line)?.slice(1) ?? []);
    return tokens.length >= count ? tokens : undefined;
  });
}

describe("errors that functions throw", () => {
  test("an execution fails with the name of the error and Lambda's body as its cause", async () => {
    const machine = await aws.createStateMachine("named-error", {
      StartAt: "Watch",
      States: { Watch: invokeState({}) },
    });
    const failed = await aws.ended(await start(machine, { key: "named", failures: 1 }));
    expect(failed.status).toBe("FAILED");
    expect(failed.error).toBe("NodeFailed");
    expect(JSON.parse(failed.cause ?? "")).toMatchObject({
      errorType: "NodeFailed",
      errorMessage: "the node failed, try 1",
      trace: expect.any(Array),
    });
  });

  test("Retry and Catch see the name", async () => {
    const retry = [{ ErrorEquals: ["NodeFailed"], IntervalSeconds: 1, MaxAttempts: 1 }];
    const machine = await aws.createStateMachine("retry", {
      StartAt: "Watch",
      States: { Watch: invokeState({ Retry: retry }) },
    });
    const green = await aws.ended(await start(machine, { key: "retried", failures: 1 }));
    expect(JSON.parse(green.output ?? "")).toMatchObject({ answer: { times: 2 } });
  });

  test("a function that exits or times out fails with the name that AWS gives it", async () => {
    const source = `export async function handler({ how }) {
      if (how === "exit") process.exit(7);
      if (how === "throw") setImmediate(() => { throw new Error("outside"); });
      await new Promise(() => setTimeout(() => {}, 60000));
    }`;
    const arn = await aws.deployFunction("dying", source, { Timeout: 1 });
    const state = invokeState({ Parameters: { FunctionName: arn, "Payload.$": "$" } });
    const machine = await aws.createStateMachine("dying", { StartAt: "Watch", States: { Watch: state } });
    const ends = await Promise.all(
      ["exit", "throw", "wait"].map(async (how) => (await aws.ended(await start(machine, { how }))).error),
    );
    expect(ends.slice(0, 2)).toEqual(["Runtime.ExitError", "Runtime.ExitError"]);
    // It shared its thread with those that died, so on a slow machine it may have died with them.
    expect(["Sandbox.Timedout", "Runtime.ExitError"]).toContain(ends[2]);
    expect((await aws.ended(await start(machine, { how: "wait" }))).error).toBe("Sandbox.Timedout");
  });
});

describe("RedriveExecution", () => {
  test("runs on from the state that failed, with its input, under the same ARN", async () => {
    const machine = await aws.createStateMachine("redrive", {
      StartAt: "Prepare",
      States: {
        Prepare: { Type: "Pass", Parameters: { "key.$": "$.key", failures: 1, prepared: true }, Next: "Watch" },
        Watch: invokeState({
          Parameters: {
            FunctionName: nodeArn,
            Payload: {
              "key.$": "$.key",
              "failures.$": "$.failures",
              "prepared.$": "$.prepared",
              "redrives.$": "$$.Execution.RedriveCount",
            },
          },
        }),
      },
    });
    const arn = await start(machine, { key: "redriven" });
    const failed = await aws.ended(arn);
    expect(failed).toMatchObject({ status: "FAILED", redriveCount: 0, redriveStatus: "REDRIVABLE" });
    const { redriveDate } = await aws.sfn.send(new RedriveExecutionCommand({ executionArn: arn }));
    expect(redriveDate).toBeInstanceOf(Date);
    const green = await aws.ended(arn);
    expect(green).toMatchObject({ executionArn: arn, status: "SUCCEEDED", redriveCount: 1, redriveDate });
    expect(JSON.parse(green.input ?? "")).toEqual({ key: "redriven" });
    expect(green.error).toBeUndefined();
    expect(JSON.parse(green.output ?? "").answer).toEqual({
      times: 2,
      key: "redriven",
      failures: 1,
      prepared: true,
      redrives: 1,
    });
    const types = await eventTypes(arn);
    expect(types.filter((type) => type === "PassStateEntered")).toHaveLength(1);
    expect(types).toContain("ExecutionRedriven");
  });

  test("a succeeded and a running execution are refused, an aborted one is not", async () => {
    const machine = await aws.createStateMachine("redrivable", {
      StartAt: "Hold",
      States: { Hold: { Type: "Wait", SecondsPath: "$.seconds", End: true } },
    });
    const green = await start(machine, { seconds: 0 });
    await aws.ended(green);
    const refusal = { name: "ExecutionNotRedrivable" };
    await expect(aws.sfn.send(new RedriveExecutionCommand({ executionArn: green }))).rejects.toMatchObject(refusal);
    const running = await start(machine, { seconds: 2 });
    await expect(aws.sfn.send(new RedriveExecutionCommand({ executionArn: running }))).rejects.toMatchObject(refusal);
    await aws.sfn.send(new StopExecutionCommand({ executionArn: running }));
    await aws.sfn.send(new RedriveExecutionCommand({ executionArn: running }));
    expect((await aws.ended(running)).status).toBe("SUCCEEDED");
  });
});

describe("a Lambda behind a task token", () => {
  test("what it throws fails the state at once, so that Retry applies, with a new token for each attempt", async () => {
    const source = `
      const seen = new Map();
      export async function handler({ token, key }) {
        const times = (seen.get(key) ?? 0) + 1;
        seen.set(key, times);
        console.log("token=" + token);
        if (times === 1) throw new TypeError("first");
      }`;
    const arn = await aws.deployFunction("watcher", source);
    const payload = { "token.$": "$$.Task.Token", "key.$": "$.key" };
    const retry = [{ ErrorEquals: ["TypeError"], IntervalSeconds: 0, MaxAttempts: 1 }];
    const state = waitState({ Parameters: { FunctionName: arn, Payload: payload }, Retry: retry });
    const machine = await aws.createStateMachine("token-retry", { StartAt: "Watch", States: { Watch: state } });
    const execution = await start(machine, { key: "a" });
    const [first = "", second = ""] = await tokensSeen("watcher", 2);
    expect(second).not.toBe(first);
    const late = aws.sfn.send(new SendTaskSuccessCommand({ taskToken: first, output: "1" }));
    await expect(late).rejects.toMatchObject({ name: "TaskTimedOut" });
    await aws.sfn.send(new SendTaskSuccessCommand({ taskToken: second, output: '{"done":true}' }));
    const green = await aws.ended(execution);
    expect(JSON.parse(green.output ?? "")).toEqual({ done: true });
  });

  test("without a Retry it fails the execution, by name", async () => {
    const machine = await aws.createStateMachine("token-error", { StartAt: "Watch", States: { Watch: waitState({}) } });
    const failed = await aws.ended(await start(machine, { key: "token-error", failures: 1 }));
    expect(failed).toMatchObject({ status: "FAILED", error: "NodeFailed" });
  });

  test("a timeout is caught and leads back to the state, turn after turn", async () => {
    const states = {
      Watch: waitState({
        TimeoutSeconds: 1,
        Catch: [{ ErrorEquals: ["States.Timeout"], ResultPath: null, Next: "Watch" }],
      }),
    };
    const machine = await aws.createStateMachine("token-loop", { StartAt: "Watch", States: states });
    const execution = await start(machine, { key: "loop", failures: 0 });
    await eventually(async () => {
      const turns = (await eventTypes(execution)).filter((type) => type === "TaskStateEntered").length;
      return turns >= 3 ? turns : undefined;
    });
    await aws.sfn.send(new StopExecutionCommand({ executionArn: execution }));
    expect((await aws.ended(execution)).status).toBe("ABORTED");
  });

  test("F13: a wait lasts as many seconds as the state data say, and a path that leads to no number ends the execution", async () => {
    const { TimeoutSeconds: _, ...timed } = waitState({
      TimeoutSecondsPath: "$.waitSeconds",
      Catch: [{ ErrorEquals: ["States.Timeout"], ResultPath: null, Next: "Over" }],
    });
    const states = { Watch: timed, Over: { Type: "Pass", End: true } };
    const machine = await aws.createStateMachine("token-timed", { StartAt: "Watch", States: states });
    const input = { key: "timed", failures: 0, waitSeconds: 1 };
    const over = await aws.ended(await start(machine, input));
    expect(JSON.parse(over.output ?? "")).toEqual(input);
    for (const waitSeconds of [0, "1", null]) {
      const broken = await aws.ended(await start(machine, { ...input, waitSeconds }));
      expect(broken).toMatchObject({ status: "FAILED", error: "States.Runtime" });
    }
  });

  test("a wait that is failed from outside, by a name that is caught, leads back to the state at once, under a new token", async () => {
    const arn = await aws.deployFunction(
      "waiter",
      'export async function handler({ token }) { console.log("token=" + token); }',
    );
    const catchers = [{ ErrorEquals: ["States.Timeout", "LockFree"], ResultPath: null, Next: "Wait" }];
    const parameters = { FunctionName: arn, Payload: { "token.$": "$$.Task.Token" } };
    const states = { Wait: waitState({ Parameters: parameters, Catch: catchers }) };
    const machine = await aws.createStateMachine("handed-over", { StartAt: "Wait", States: states });
    const execution = await start(machine, { key: "kept" });
    const [first = ""] = await tokensSeen("waiter", 1);
    const hand = { taskToken: first, error: "LockFree", cause: "next" };
    await aws.sfn.send(new SendTaskFailureCommand(hand));
    const [, second = ""] = await tokensSeen("waiter", 2);
    expect(second).not.toBe(first);
    await expect(aws.sfn.send(new SendTaskFailureCommand(hand))).rejects.toMatchObject({ name: "TaskTimedOut" });
    await aws.sfn.send(new SendTaskSuccessCommand({ taskToken: second, output: '{"begun":true}' }));
    const green = await aws.ended(execution);
    expect(JSON.parse(green.output ?? "")).toEqual({ begun: true });
  });

  test("a token that never was is refused as invalid", async () => {
    const never = aws.sfn.send(new SendTaskSuccessCommand({ taskToken: "never", output: "1" }));
    await expect(never).rejects.toMatchObject({ name: "InvalidToken" });
  });
});

describe("StartExecution", () => {
  test("the same name and input while it runs is the same execution; another input is refused", async () => {
    const hold = { StartAt: "Hold", States: { Hold: { Type: "Wait", Seconds: 2, End: true } } };
    const machine = await aws.createStateMachine("idempotent", hold);
    const first = await start(machine, { a: 1, b: 2 }, "same");
    expect(await start(machine, { a: 1, b: 2 }, "same")).toBe(first);
    await expect(start(machine, { a: 2 }, "same")).rejects.toMatchObject({ name: "ExecutionAlreadyExists" });
    await aws.ended(first);
    await expect(start(machine, { a: 1, b: 2 }, "same")).rejects.toMatchObject({ name: "ExecutionAlreadyExists" });
  });

  test("long names, bad characters and large inputs are refused", async () => {
    const machine = await aws.createStateMachine("refusals", { StartAt: "End", States: { End: { Type: "Succeed" } } });
    await expect(start(machine, {}, "n".repeat(81))).rejects.toMatchObject({ name: "ValidationException" });
    await expect(start(machine, {}, "a.b:c")).rejects.toMatchObject({ name: "InvalidName" });
    await expect(start(machine, { x: "y".repeat(262_144) })).rejects.toMatchObject({ name: "ValidationException" });
    expect((await aws.ended(await start(machine, {}, "n".repeat(80)))).status).toBe("SUCCEEDED");
  });
});

describe("StopExecution", () => {
  test("it stays ABORTED, and nothing is called for it any more", async () => {
    const retry = [{ ErrorEquals: ["States.ALL"], IntervalSeconds: 1, MaxAttempts: 5, BackoffRate: 1 }];
    const states = { Watch: waitState({ Retry: retry }) };
    const machine = await aws.createStateMachine("stopped", { StartAt: "Watch", States: states });
    const execution = await start(machine, { key: "stopped", failures: 2 });
    await eventually(async () => ((await eventTypes(execution)).includes("TaskFailed") ? true : undefined));
    await aws.sfn.send(new StopExecutionCommand({ executionArn: execution, error: "Stopped", cause: "by a person" }));
    // The retry would have come within a second; a later execution passes through the same engine meanwhile.
    const later = await aws.createStateMachine("later", {
      StartAt: "Hold",
      States: { Hold: { Type: "Wait", Seconds: 2, End: true } },
    });
    await aws.ended(await start(later, {}));
    const stopped = await aws.sfn.send(new DescribeExecutionCommand({ executionArn: execution }));
    expect(stopped).toMatchObject({ status: "ABORTED", error: "Stopped", cause: "by a person" });
    expect((await eventTypes(execution)).at(-1)).toBe("ExecutionAborted");
    expect((await aws.invoke("node", { key: "stopped", failures: 0 })).payload).toMatchObject({ times: 2 });
  });
});
