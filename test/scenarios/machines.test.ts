import { describe, expect, it } from "vitest";
import { TURN_BUDGET } from "../../infra/state-machines/turns.ts";
import { dataTest, vertex } from "../support/run-builders.ts";
import { SimulatedAws } from "../support/simulated-aws.ts";
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
) {
  const aws = new SimulatedAws(shop(behaviour), 7);
  const execution = await aws.start("run-1");
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
