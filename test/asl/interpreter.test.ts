import { describe, expect, test } from "vitest";
import { NodeFailed } from "../../core/errors.ts";
import { EVENTS_PER_TURN } from "../../infra/state-machines/turns.ts";
import { AslInterpreter, type TaskFunction } from "../support/asl-interpreter.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { CONSUMER_MACHINE, FUNCTION_ARNS, RUN_MACHINE } from "./machines.ts";

type Payload = { taskToken: string; run: unknown; input: unknown; consumer: unknown };

const HOUR = 3_600_000;

function setUp(functions: Record<string, (payload: Payload) => Promise<unknown>>, random?: () => number) {
  const clock = new VirtualClock();
  const byArn = Object.fromEntries(
    Object.entries(functions).map(([name, body]) => [FUNCTION_ARNS[name as "startRun"], body]),
  );
  const interpreter = new AslInterpreter({
    clock,
    machines: [RUN_MACHINE, CONSUMER_MACHINE],
    functions: byArn as Record<string, TaskFunction>,
    ...(random && { random }),
  });
  return { clock, interpreter };
}

async function startConsumer(interpreter: AslInterpreter) {
  const { executionArn } = await interpreter.start(CONSUMER_MACHINE.arn, "orders", { uniqueId: "model.shop.orders" });
  return interpreter.executions.get(executionArn)!;
}

const named = (name: string) => Object.assign(new Error(`a ${name}`), { name });

describe("waits", () => {
  test("F13: a wait ends by a wake, at once, with the answer as output", async () => {
    let token = "";
    const { clock, interpreter } = setUp({
      watchNode: async ({ taskToken }) => {
        token = taskToken;
      },
    });
    const execution = await startConsumer(interpreter);
    await clock.advance(2_000);
    expect(await interpreter.succeed(token, { outcome: "green" })).toBe(true);
    expect(execution).toMatchObject({ status: "SUCCEEDED", output: { outcome: "green" } });
    expect(execution.stoppedAtMs! - execution.startedAtMs).toBe(2_000);
  });

  test("F13: a wait that nobody ends is ended by its timeout; the next turn has a new token and the same input", async () => {
    const calls: Payload[] = [];
    const { clock, interpreter } = setUp({ watchNode: async (payload) => void calls.push(payload) });
    const execution = await startConsumer(interpreter);
    await clock.advance(12_000);
    expect(calls.map((call) => call.consumer)).toEqual(Array(3).fill({ uniqueId: "model.shop.orders" }));
    expect(new Set(calls.map((call) => call.taskToken)).size).toBe(3);
    expect(await interpreter.succeed(calls[0]!.taskToken, {})).toBe(false);
    expect(execution.status).toBe("RUNNING");
    expect(await interpreter.succeed(calls[2]!.taskToken, {})).toBe(true);
    expect(await interpreter.succeed(calls[2]!.taskToken, {})).toBe(false);
  });

  test("a turn that times out writes as many events as the budget counts", async () => {
    const { clock, interpreter } = setUp({ watchNode: async () => undefined });
    const execution = await startConsumer(interpreter);
    await clock.advance(5_000);
    const before = execution.history.length;
    await clock.advance(50_000);
    expect(execution.history.length - before).toBe(10 * EVENTS_PER_TURN);
    expect(execution.history.slice(-EVENTS_PER_TURN).map((event) => event.type)).toEqual([
      "TaskTimedOut",
      "TaskStateExited",
      "TaskStateEntered",
      "TaskScheduled",
      "TaskStarted",
      "TaskSubmitted",
    ]);
  });

  test("F13: the run's timeout ends everything, before the history is full", async () => {
    const { clock, interpreter } = setUp({ watchNode: async () => undefined });
    const execution = await startConsumer(interpreter);
    await clock.advance(5 * HOUR);
    expect(execution).toMatchObject({ status: "TIMED_OUT", failure: { name: "States.Timeout" } });
    expect(execution.history.length).toBeLessThan(20_000);
    expect(execution.stoppedAtMs! - execution.startedAtMs).toBe(4.5 * HOUR);
  });
});

describe("the run machine", () => {
  test("keeps its input through the queue, its reference through the checks, and ends with settle's answer", async () => {
    const seen: Record<string, unknown[]> = { start: [], check: [], settle: [] };
    const answerThirdTime = (list: unknown[], token: string, output: unknown) => {
      if (list.length === 3) void interpreter.succeed(token, output);
    };
    const { clock, interpreter } = setUp({
      startRun: async (payload) => {
        seen.start!.push(payload.input);
        answerThirdTime(seen.start!, payload.taskToken, { runId: "r1", round: 1 });
      },
      checkRun: async (payload) => {
        seen.check!.push(payload.run);
        answerThirdTime(seen.check!, payload.taskToken, { anything: true });
      },
      settleRun: async (payload) => {
        seen.settle!.push(payload.run);
        return { state: "green" };
      },
    });
    const { executionArn } = await interpreter.start(RUN_MACHINE.arn, "r1", { project: "shop" });
    await clock.advance(HOUR);
    expect(seen.start).toEqual(Array(3).fill({ project: "shop" }));
    expect(seen.check).toEqual(Array(3).fill({ runId: "r1", round: 1 }));
    expect(seen.settle).toEqual([{ runId: "r1", round: 1 }]);
    const execution = interpreter.executions.get(executionArn)!;
    expect(execution).toMatchObject({ status: "SUCCEEDED", output: { state: "green" } });
    expect(execution.stoppedAtMs! - execution.startedAtMs).toBe(2 * 60_000 + 2 * 5_000);
  });

  test("the same name twice is one execution; a name that Step Functions refuses is refused", async () => {
    const { interpreter } = setUp({ startRun: async () => undefined });
    expect(await interpreter.start(RUN_MACHINE.arn, "r1", {})).toMatchObject({ started: true });
    expect(await interpreter.start(RUN_MACHINE.arn, "r1", {})).toMatchObject({ started: false });
    await expect(interpreter.start(RUN_MACHINE.arn, "a b", {})).rejects.toThrow("refused");
    await expect(interpreter.start(RUN_MACHINE.arn, "x".repeat(81), {})).rejects.toThrow("refused");
  });
});

describe("errors", () => {
  test("F11: a transient error is retried by its name, with back-off, and leaves nothing behind", async () => {
    const at: number[] = [];
    const { clock, interpreter } = setUp({
      watchNode: async (payload) => {
        at.push(clock.nowMs());
        if (at.length < 4) throw named("LedgerUnavailable");
        void interpreter.succeed(payload.taskToken, {});
      },
    });
    const execution = await startConsumer(interpreter);
    await clock.advance(60_000);
    expect(at.map((ms) => ms - at[0]!)).toEqual([0, 2_000, 6_000, 14_000]);
    expect(execution.status).toBe("SUCCEEDED");
  });

  test("F11: jitter spreads the attempts between nothing and the whole delay", async () => {
    const at: number[] = [];
    const { clock, interpreter } = setUp(
      {
        watchNode: async () => {
          at.push(clock.nowMs());
          throw named("TaskStillBuilds");
        },
      },
      () => 0.25,
    );
    await startConsumer(interpreter);
    await clock.advance(2_000);
    expect(at.map((ms) => ms - at[0]!)).toEqual([0, 500, 1_500]);
  });

  test("F11: a transient error that does not end fails the execution under its name, after more than an hour of full delays", async () => {
    const { clock, interpreter } = setUp({ watchNode: async () => Promise.reject(named("Lambda.Unknown")) });
    const execution = await startConsumer(interpreter);
    await clock.advance(2 * HOUR);
    expect(execution).toMatchObject({ status: "FAILED", failure: { name: "Lambda.Unknown" } });
    expect(execution.stoppedAtMs! - execution.startedAtMs).toBeGreaterThan(HOUR);
  });

  test.each(["InputError", "RowMissing", "TypeError"])("F11: %s is not retried", async (name) => {
    let calls = 0;
    const { interpreter, clock } = setUp({
      watchNode: async () => {
        calls += 1;
        throw named(name);
      },
    });
    const execution = await startConsumer(interpreter);
    await clock.advance(60_000);
    expect(calls).toBe(1);
    expect(execution).toMatchObject({ status: "FAILED", failure: { name, cause: `a ${name}` } });
  });

  test("F14: a consumer that failed is redriven from its failed state with the same input, others untouched", async () => {
    const seen: unknown[] = [];
    const { clock, interpreter } = setUp({
      watchNode: async (payload) => {
        seen.push(payload.consumer);
        const { name, message: cause } = new NodeFailed("orders is red");
        if (seen.length === 1) void interpreter.fail(payload.taskToken, { name, cause });
        else void interpreter.succeed(payload.taskToken, {});
      },
    });
    const execution = await startConsumer(interpreter);
    await clock.advance(1_000);
    expect(execution).toMatchObject({ status: "FAILED", failure: { name: "NodeFailed", cause: "orders is red" } });
    interpreter.redrive(execution.arn);
    await clock.advance(1_000);
    expect(execution).toMatchObject({ status: "SUCCEEDED", redriveCount: 1, failure: null });
    expect(seen).toEqual(Array(2).fill({ uniqueId: "model.shop.orders" }));
    expect(() => interpreter.redrive(execution.arn)).toThrow("ExecutionNotRedrivable");
  });

  test("a stopped execution takes no answer and calls nothing more", async () => {
    const tokens: string[] = [];
    const { clock, interpreter } = setUp({ watchNode: async (payload) => void tokens.push(payload.taskToken) });
    const execution = await startConsumer(interpreter);
    await clock.advance(1_000);
    await interpreter.stop(execution.arn, "a person said so");
    expect(await interpreter.succeed(tokens[0]!, {})).toBe(false);
    await clock.advance(60_000);
    expect(tokens).toHaveLength(1);
    expect(await interpreter.describe(execution.arn)).toMatchObject({ status: "ABORTED", cause: "a person said so" });
  });
});

describe("what AWS refuses is refused", () => {
  const withState = (change: Record<string, unknown>) => {
    const states = CONSUMER_MACHINE.definition.States;
    return { ...CONSUMER_MACHINE.definition, States: { "Watch node": { ...states["Watch node"]!, ...change } } };
  };
  const interpret = (
    definition: unknown,
    functions: Record<string, TaskFunction> = { [FUNCTION_ARNS.watchNode]: async () => undefined },
  ) =>
    new AslInterpreter({
      clock: new VirtualClock(),
      machines: [{ arn: CONSUMER_MACHINE.arn, definition: definition as never }],
      functions,
    });

  test.each([
    [{ HeartbeatSeconds: 5 }, "HeartbeatSeconds"],
    [{ Type: "Wait" }, "Wait"],
    [{ ResultPath: "$.result" }, "$.result"],
    [{ Catch: [{ ErrorEquals: ["States.ALL"], ResultPath: null, Next: "Nowhere" }] }, "Nowhere"],
    [{ InputPath: "$.a" }, "InputPath"],
  ])("%j is unknown to the interpreter", (change, named) => {
    expect(() => interpret(withState(change))).toThrow(named);
  });

  test("a path that leads nowhere, and a payload above 256 KiB, fail the execution past every Retry and Catch", async () => {
    const missing = interpret(
      withState({ Parameters: { FunctionName: FUNCTION_ARNS.watchNode, Payload: { "a.$": "$.absent" } } }),
    );
    await missing.start(CONSUMER_MACHINE.arn, "n", {});
    expect([...missing.executions.values()][0]).toMatchObject({
      status: "FAILED",
      failure: { name: "States.Runtime" },
    });
    const large = interpret(CONSUMER_MACHINE.definition);
    await large.start(CONSUMER_MACHINE.arn, "n", { text: "x".repeat(300_000) });
    expect([...large.executions.values()][0]).toMatchObject({
      status: "FAILED",
      failure: { name: "States.DataLimitExceeded" },
    });
  });

  test("25,000 events end an execution", async () => {
    const interpreter = interpret({ ...withState({ TimeoutSeconds: 1 }), TimeoutSeconds: 1_000_000 });
    await interpreter.start(CONSUMER_MACHINE.arn, "n", {});
    const [execution] = interpreter.executions.values();
    await interpreter.clock.advance(2 * HOUR, () => execution!.status !== "RUNNING");
    expect(execution).toMatchObject({ status: "FAILED", failure: { cause: "The history has 25000 events." } });
  });
});
