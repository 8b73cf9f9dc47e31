import { describe, expect, it } from "vitest";
import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { NET_SECONDS, TURN_BUDGET } from "../../infra/state-machines/turns.ts";
import type { Execution } from "../support/asl-interpreter.ts";
import { dataTest, vertex } from "../support/run-builders.ts";
import { type ClientsOf, SimulatedAws } from "../support/simulated-aws.ts";
import type { SimulatedVertex } from "../support/simulated-dbt.ts";
import { projectOf } from "../support/simulated-project.ts";

const HOUR = 3_600_000;

const shop = (behaviour: Record<string, Partial<SimulatedVertex>>) =>
  projectOf(
    [
      vertex("model_a"),
      vertex("model_x"),
      dataTest("test.a", ["model_a"]),
      vertex("model_b", ["model_a", "test.a"]),
      vertex("model_c", ["model_b", "model_x"]),
    ],
    behaviour,
  );

const once = { failures: 1, message: "Database Error" };
const always = { failures: Number.POSITIVE_INFINITY, message: "Database Error: no table" };

async function run(
  behaviour: Record<string, Partial<SimulatedVertex>>,
  meanwhile: (aws: SimulatedAws) => void = () => undefined,
  aws = new SimulatedAws(shop(behaviour), 7),
  policy: Readonly<Record<string, unknown>> = {},
) {
  const execution = await aws.start("run-1", policy);
  meanwhile(aws);
  await aws.clock.advance(4 * HOUR, () => execution.status !== "RUNNING");
  await aws.clock.advance(60_000);
  expect(aws.errors).toEqual([]);
  expect(aws.warehouse.violations).toEqual([]);
  expect(await aws.ledger.readLock("shop", "prod")).toBeNull();
  expect(await aws.ledger.readLock("shop", "default")).toBeNull();
  const consumers = Object.fromEntries([...aws.consumers()].map(([id, one]) => [id, one.failure?.name ?? one.status]));
  return { aws, execution, consumers };
}

/** A ledger that is listened to: each word of a container on a vertex. */
const withWords = <T extends object>(ledger: T, hear: (word: VertexWrite) => void): T =>
  new Proxy(ledger, {
    get(of, name) {
      const call = Reflect.get(of, name) as (...given: unknown[]) => unknown;
      return (...given: unknown[]) => {
        const words = name === "writeVertex" ? [given[2]] : name === "writeEnds" ? given[2] : [];
        for (const word of words as VertexWrite[]) hear(word);
        return call.apply(of, given);
      };
    },
  });

const turnsOf = ({ history }: Execution): number =>
  history.filter(({ type, state }) => type === "TaskStateEntered" && /^(Watch node|Check run)/.test(state ?? ""))
    .length;

describe("the rendered machines, turn by turn", () => {
  it("F13: a run whose root fails once ends green, every wait by its timeout or its answer, far within the history", async () => {
    const { execution, consumers } = await run({ model_a: once });
    expect(execution).toMatchObject({
      status: "SUCCEEDED",
      output: { state: "green", verdict: "Every one of 5 vertices is good, 1 after a retry." },
    });
    expect(consumers).toEqual({
      model_a: "SUCCEEDED",
      model_x: "SUCCEEDED",
      model_b: "SUCCEEDED",
      model_c: "SUCCEEDED",
    });
    expect(execution.history.some((event) => event.type === "TaskTimedOut")).toBe(true);
    expect(execution.history.length).toBeLessThan(TURN_BUDGET / 10);
  });

  it("F13 F17: with the stream each consumer takes one turn, whatever it waits for, and the run a dozen", async () => {
    const { aws, execution } = await run({ model_a: once });
    for (const [id, consumer] of aws.consumers()) expect(turnsOf(consumer), id).toBe(1);
    expect(turnsOf(execution)).toBeLessThan(20);
  });

  it.each([1, 2, 3])(
    "F13: a retry is launched within a quarter of a second of its moment, what it gates as soon as it is good (seed %s)",
    async (seed) => {
      const said: (VertexWrite & { readonly toldAtMs: number })[] = [];
      const hear = (word: VertexWrite) => said.push({ ...word, toldAtMs: aws.clock.nowMs() });
      const listening: ClientsOf = (caller, service, shared) =>
        caller !== "container" || service !== "ledger" ? shared : withWords(shared, hear);
      const aws: SimulatedAws = new SimulatedAws(shop({ model_a: once }), seed, listening);
      const retryDelaySeconds = 20;
      await run({ model_a: once }, undefined, aws, { retryDelaySeconds });
      const [, fallback, recovery] = await aws.ledger.readTasks({ project: "shop", runId: "run-1" });
      const wordOn = (id: string, status: string) =>
        said.find((word) => word.uniqueId === id && word.status === status)!;
      const retryLateMs = fallback!.claimedAtMs - (wordOn("model_a", "error").endedAtMs! + retryDelaySeconds * 1_000);
      expect(retryLateMs).toBeGreaterThanOrEqual(0);
      expect(retryLateMs).toBeLessThanOrEqual(250);
      expect(fallback!.setSample).toEqual(["model_a", "test.a"]);
      expect(recovery!.claimedAtMs - wordOn("test.a", "pass").toldAtMs).toBeLessThanOrEqual(500);
    },
  );

  it("F13: with the stream taken away the run and each consumer end the same, and no later than the net's turns make it", async () => {
    const behaviour = { model_a: once, model_b: always };
    const woken = await run(behaviour);
    const alone = await run(behaviour, undefined, new SimulatedAws(shop(behaviour), 7, undefined, undefined, false));
    expect(alone.execution.failure).toEqual(woken.execution.failure);
    expect(alone.consumers).toEqual(woken.consumers);
    const seconds = ({ execution: { startedAtMs, stoppedAtMs } }: typeof alone) => (stoppedAtMs! - startedAtMs) / 1_000;
    const builds = (await alone.aws.ledger.readTasks({ project: "shop", runId: "run-1" })).length;
    // Each build's end, and its plan, are seen by the net's next turn.
    expect(seconds(alone)).toBeLessThan(seconds(woken) + (builds + 2) * NET_SECONDS);
    for (const [id, consumer] of alone.aws.consumers())
      expect(consumer.stoppedAtMs! - alone.execution.stoppedAtMs!, id).toBeLessThan(NET_SECONDS * 1_000);
  });

  it("G7: a model that always fails: it red with dbt's message, siblings green, the unreached have no execution, the run red", async () => {
    const { aws, execution, consumers } = await run({ model_b: always });
    expect(execution).toMatchObject({ status: "FAILED", failure: { name: "RunFailed" } });
    expect(execution.failure!.cause).toContain("model_b failed: Database Error: no table");
    expect(consumers).toEqual({ model_a: "SUCCEEDED", model_x: "SUCCEEDED", model_b: "NodeFailed" });
    expect(aws.consumers().get("model_b")!.failure!.cause).toContain("Database Error: no table");
  });

  it("D4: a model that kills its build once: green, without a hand", async () => {
    const { execution, consumers } = await run({ model_x: { kills: 1 } });
    expect(execution.status).toBe("SUCCEEDED");
    expect(new Set(Object.values(consumers))).toEqual(new Set(["SUCCEEDED"]));
  });

  it("F16: a consumer that is stopped by hand: the run goes on and its verdict is right", async () => {
    const { execution, consumers } = await run({ model_a: once }, (aws) => {
      const abort = () => {
        const consumer = aws.consumers().get("model_a");
        if (consumer) void aws.machines.stop(consumer.arn, "by hand");
        else aws.clock.after(500, abort);
      };
      abort();
    });
    expect(execution.status).toBe("SUCCEEDED");
    expect(consumers).toMatchObject({ model_a: "", model_b: "SUCCEEDED", model_c: "SUCCEEDED" });
  });
});

describe("G10: several runs of one lock", () => {
  it("G10: each begins within two seconds after the one before it ended, though a turn in the queue is a minute", async () => {
    const aws = new SimulatedAws(shop({ model_a: once }), 7);
    const runs: Execution[] = [];
    for (const runId of ["run-1", "run-2", "run-3"]) {
      runs.push(await aws.start(runId));
      await aws.clock.advance(1_000);
    }
    await aws.clock.advance(4 * HOUR, () => runs.every((one) => one.status !== "RUNNING"));
    expect(runs.map((one) => one.status)).toEqual(["SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]);
    const rows = await Promise.all(runs.map(({ name }) => aws.ledger.readRun({ project: "shop", runId: name })));
    for (const [n, row] of rows.slice(1).entries()) {
      const waitedMs = row!.startedAtMs - rows[n]!.endedAtMs!;
      expect(waitedMs, `from the end of ${rows[n]!.runId} to the start of ${row!.runId}`).toBeGreaterThanOrEqual(0);
      expect(waitedMs).toBeLessThan(2_000);
    }
    expect(runs[1]!.history.filter((event) => event.error === "LockFree")).toHaveLength(1);
    expect(await aws.ledger.readQueue("shop", "default")).toEqual([]);
  });

  it("G10: a hand-over that is refused costs a turn in the queue and nothing else", async () => {
    const aws = new SimulatedAws(shop({}), 7);
    aws.refuses = (name) => name === "fail";
    const first = await aws.start("run-1");
    const second = await aws.start("run-2");
    await aws.clock.advance(4 * HOUR, () => second.status !== "RUNNING");
    expect([first.status, second.status]).toEqual(["SUCCEEDED", "SUCCEEDED"]);
    const begun = (await aws.ledger.readRun({ project: "shop", runId: "run-2" }))!.startedAtMs;
    expect(begun - first.stoppedAtMs!).toBeLessThan(60_000);
  });
});

describe("D19: an error of AWS that nobody foresaw", () => {
  const rough = { model_a: once, model_x: { kills: 1 } };

  /** Refused from its nth call on, for good. */
  async function refusedFrom(method: string, nth: number) {
    const aws = new SimulatedAws(shop(rough), 7);
    let calls = 0;
    aws.refuses = (name) => name === method && ++calls >= nth;
    const execution = await aws.start("run-1");
    await aws.clock.advance(6 * HOUR, () => execution.status !== "RUNNING");
    await aws.clock.advance(HOUR);
    return { aws, execution, calls };
  }

  it.each([
    ["describe", 1],
    ["putJson", 1],
    ["getJson", 1],
    ["start", 1],
    ["start", 3],
    ["createTask", 1],
    ["createTask", 2],
    ["claimVertex", 1],
    ["claimVertex", 2],
    ["markLaunched", 1],
    ["markConsumerStarted", 2],
    ["setHeldSince", 1],
    ["setFinal", 1],
    ["readVertices", 1],
    ["putRunIndex", 1],
    ["putRunIndex", 2],
    ["releaseLock", 1],
    ["markEventsSent", 1],
    ["setOutcome", 1],
    ["readSomeVertices", 2],
  ])(
    "D19: %s refused from call %i on: the run is settled, red by that if it could not go on, with nothing left alive",
    async (method, nth) => {
      const { aws, execution, calls } = await refusedFrom(method, nth);
      const key = { project: "shop", runId: "run-1" };
      expect(execution.status, `${calls} calls`).not.toBe("RUNNING");
      const row = (await aws.ledger.readRun(key))!;
      if (execution.status !== "SUCCEEDED" && method !== "readVertices") {
        expect(calls).toBeGreaterThanOrEqual(nth);
        expect(execution.failure?.name).toBe("RunFailed");
        expect(row.state).toBe("red");
        expect(row.verdict).toContain(`AccessDeniedException: not allowed: ${method}`);
      }
      expect((await aws.ledger.readTasks(key)).filter((task) => task.state !== "over")).toEqual([]);
      for (const [id, consumer] of aws.consumers()) expect(consumer.status, id).not.toBe("RUNNING");
      // A lock that can not be given back is taken over by the next run: its execution has ended.
      for (const target of ["prod", "default"])
        if (method !== "readVertices" && method !== "releaseLock")
          expect(await aws.ledger.readLock("shop", target)).toBeNull();
    },
  );

  it("D19: a permission that is there again within a minute costs nothing", async () => {
    const aws = new SimulatedAws(shop({}), 7);
    let refused = 0;
    aws.refuses = (name) => name === "createTask" && ++refused <= 2;
    const execution = await aws.start("run-1");
    await aws.clock.advance(4 * HOUR, () => execution.status !== "RUNNING");
    expect(execution.status).toBe("SUCCEEDED");
  });

  it("D19: a run that can not even be written fails with the error, and its lock is the next run's", async () => {
    const { aws, execution } = await refusedFrom("createRun", 1);
    expect(execution).toMatchObject({ status: "FAILED", failure: { name: "Unforeseen" } });
    aws.refuses = () => false;
    const next = await aws.start("run-2");
    await aws.clock.advance(4 * HOUR, () => next.status !== "RUNNING");
    expect(next.status).toBe("SUCCEEDED");
  });
});
