import { describe, expect, it } from "vitest";
import { type Consumption, PRICES, priceOf } from "#core/prices.ts";

const NOTHING: Consumption = {
  transitions: 0,
  calls: [],
  writeUnits: 0,
  readUnits: 0,
  s3Puts: 0,
  s3Gets: 0,
  logBytes: 0,
  events: 0,
  tasks: [],
};

describe("the price of a run", () => {
  it("is nothing for nothing", () => {
    expect(Object.values(priceOf(NOTHING)).every((part) => part === 0)).toBe(true);
  });

  it("is orchestration, which adds up its parts, and the tasks apart from it", () => {
    const price = priceOf({
      transitions: 1_000,
      calls: [{ count: 1_000, memoryMiB: 512, seconds: 100 }],
      writeUnits: 1_000,
      readUnits: 1_000,
      s3Puts: 10,
      s3Gets: 100,
      logBytes: 1e6,
      events: 10,
      tasks: [{ seconds: 1_800, vcpu: 1, gib: 2, publicAddress: true }],
    });
    expect(price.stepFunctions).toBeCloseTo(0.025, 8);
    expect(price.lambda).toBeCloseTo(0.0002 + 50 * PRICES.lambdaGibSecond, 8);
    expect(price.dynamo).toBeCloseTo(0.00075, 8);
    expect(price.s3).toBeCloseTo(0.00009, 8);
    expect(price.logs).toBeCloseTo(0.0005, 8);
    const { stepFunctions, lambda, dynamo, s3, logs, events } = price;
    expect(price.orchestration).toBeCloseTo(stepFunctions + lambda + dynamo + s3 + logs + events, 12);
    expect(price.fargate).toBeCloseTo(0.5 * (0.04048 + 2 * 0.004445), 8);
    expect(price.publicAddress).toBeCloseTo(0.0025, 8);
    expect(price.tasks).toBeCloseTo(price.fargate + price.publicAddress, 12);
  });

  it("bills a task for a minute at least, and no address where the network is the user's own", () => {
    const task = { seconds: 5, vcpu: 1, gib: 2, publicAddress: false };
    expect(priceOf({ ...NOTHING, tasks: [task] })).toMatchObject({
      fargate: (0.04048 + 2 * 0.004445) / 60,
      publicAddress: 0,
    });
  });
});
