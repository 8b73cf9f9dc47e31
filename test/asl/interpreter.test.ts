import { describe, expect, test } from "vitest";
import { CLOSELY, PATIENTLY, WOKEN } from "../../core/contracts/payloads.ts";
import { NodeFailed } from "../../core/errors.ts";
import {
  CONSUMER_NET_SECONDS,
  EVENTS_PER_TIMED_TURN,
  EVENTS_PER_TURN,
  QUEUE_TURN_SECONDS,
} from "../../infra/state-machines/turns.ts";
import { AslInterpreter, type TaskFunction } from "../support/asl-interpreter.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { consumerMachine, FUNCTION_ARNS, runMachine } from "./machines.ts";

/** Turns of five seconds: what is tested here are the interpreter's waits, errors and refusals. */
const RUN_MACHINE = runMachine("poll");
const CONSUMER_MACHINE = consumerMachine("poll");

type Payload = { taskToken: string; run: unknown; input: unknown; consumer: unknown };

const HOUR = 3_600_000;

function setUp(
  functions: Record<string, (payload: Payload) => Promise<unknown>>,
  random?: () => number,
  machines = [RUN_MACHINE, CONSUMER_MACHINE],
) {
  const clock = new VirtualClock();
  const byArn = Object.fromEntries(
    Object.entries(functions).map(([name, body]) => [FUNCTION_ARNS[name as "startRun"], body]),
  );
  const interpreter = new AslInterpreter({
    clock,
    machines,
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
    const reference = { runId: "r1", round: 1, waitSeconds: 5 };
    const answerThirdTime = (list: unknown[], token: string, output: unknown) => {
      if (list.length === 3) void interpreter.succeed(token, output);
    };
    const { clock, interpreter } = setUp({
      startRun: async (payload) => {
        seen.start!.push(payload.input);
        answerThirdTime(seen.start!, payload.taskToken, reference);
      },
      checkRun: async (payload) => {
        seen.check!.push(payload.run);
        answerThirdTime(seen.check!, payload.taskToken, { ...reference, next: "settle" });
      },
      settleRun: async (payload) => {
        seen.settle!.push(payload.run);
        return { state: "green" };
      },
    });
    const { executionArn } = await interpreter.start(RUN_MACHINE.arn, "r1", { project: "shop" });
    await clock.advance(HOUR);
    expect(seen.start).toEqual(Array(3).fill({ project: "shop" }));
    expect(seen.check).toEqual(Array(3).fill(reference));
    expect(seen.settle).toEqual([{ ...reference, next: "settle" }]);
    const execution = interpreter.executions.get(executionArn)!;
    expect(execution).toMatchObject({ status: "SUCCEEDED", output: { state: "green" } });
    expect(execution.stoppedAtMs! - execution.startedAtMs).toBe(2 * QUEUE_TURN_SECONDS * 1_000 + 2 * 5_000);
  });

  /** Answers of the check's turns, one after the other; `states` are those that were entered. */
  async function checked(answers: readonly ((token: string, interpreter: AslInterpreter) => unknown)[]) {
    const at: number[] = [];
    let begunMs = 0;
    const { clock, interpreter } = setUp(
      {
        startRun: async ({ taskToken }) => void interpreter.succeed(taskToken, { runId: "r1", waitSeconds: 60 }),
        checkRun: async ({ taskToken }) => {
          at.push(clock.nowMs() - begunMs);
          void answers[at.length - 1]?.(taskToken, interpreter);
        },
        settleRun: async () => ({ state: "green" }),
      },
      undefined,
      [runMachine("wake"), consumerMachine("wake")],
    );
    begunMs = clock.nowMs();
    const { executionArn } = await interpreter.start(RUN_MACHINE.arn, "r1", { project: "shop" });
    const execution = interpreter.executions.get(executionArn)!;
    await clock.advance(HOUR);
    return { at, execution };
  }

  test("F13: a check waits as long as it says itself, a minute at most, and no longer once it is woken", async () => {
    const again = (waitSeconds: number) => (token: string, interpreter: AslInterpreter) =>
      interpreter.clock.after(0, () => void interpreter.succeed(token, { runId: "r1", next: "check", waitSeconds }));
    const { at, execution } = await checked([
      () => undefined,
      again(7),
      () => undefined,
      (token, interpreter) => interpreter.fail(token, { name: WOKEN, cause: "" }),
      (token, interpreter) => interpreter.succeed(token, { runId: "r1", next: "settle", waitSeconds: 7 }),
    ]);
    expect(at).toEqual([0, 60_000, 60_000, 67_000, 67_000]);
    expect(execution.status).toBe("SUCCEEDED");
    const from = execution.history.findIndex(
      (event) => event.type === "TaskSucceeded" && event.atMs > execution.startedAtMs,
    );
    const timed = execution.history.slice(from - 4, from - 4 + EVENTS_PER_TIMED_TURN).map((event) => event.type);
    expect(timed).toEqual([
      "TaskStateEntered",
      "TaskScheduled",
      "TaskStarted",
      "TaskSubmitted",
      "TaskSucceeded",
      "TaskStateExited",
      "ChoiceStateEntered",
      "ChoiceStateExited",
    ]);
  });

  test("state data without a wait, or with one that is no number of seconds, end the execution as on AWS", async () => {
    for (const waitSeconds of [undefined, 0, 1.5, "5"]) {
      const { execution } = await checked([(token, aws) => aws.succeed(token, { next: "check", waitSeconds })]);
      expect(execution).toMatchObject({ status: "FAILED", failure: { name: "States.Runtime" } });
    }
  });

  test("F14: a consumer goes to turns of seconds and back", async () => {
    const at: number[] = [];
    let begunMs = 0;
    const leave = [CLOSELY, "", PATIENTLY, ""];
    const { clock, interpreter } = setUp(
      {
        watchNode: async ({ taskToken }) => {
          at.push(clock.nowMs() - begunMs);
          const name = leave[at.length - 1];
          if (name) void interpreter.fail(taskToken, { name, cause: "" });
        },
      },
      undefined,
      [runMachine("wake"), consumerMachine("wake")],
    );
    begunMs = clock.nowMs();
    await startConsumer(interpreter);
    await clock.advance(2 * CONSUMER_NET_SECONDS * 1_000 - 1);
    expect(at).toEqual([0, 0, 5_000, 5_000, 5_000 + CONSUMER_NET_SECONDS * 1_000]);
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
    expect(await interpreter.redrive(execution.arn)).toBe(true);
    await clock.advance(1_000);
    expect(execution).toMatchObject({ status: "SUCCEEDED", redriveCount: 1, failure: null });
    expect(seen).toEqual(Array(2).fill({ uniqueId: "model.shop.orders" }));
    expect(await interpreter.redrive(execution.arn)).toBe(false);
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
    return {
      ...CONSUMER_MACHINE.definition,
      States: { ...states, "Watch node": { ...states["Watch node"]!, ...change } },
    };
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
    const interpreter = interpret({ ...CONSUMER_MACHINE.definition, TimeoutSeconds: 1_000_000 });
    await interpreter.start(CONSUMER_MACHINE.arn, "n", {});
    const [execution] = interpreter.executions.values();
    await interpreter.clock.advance(7 * HOUR, () => execution!.status !== "RUNNING");
    expect(execution).toMatchObject({ status: "FAILED", failure: { cause: "The history has 25000 events." } });
  });
});
