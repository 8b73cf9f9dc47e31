import { describe, expect, it } from "vitest";
import { PRICES, priceOf } from "#core/prices.ts";
import {
  consumptionOf,
  costOf,
  ESTIMATED_MEMORY_MIB,
  estimateRun,
  type RunFacts,
} from "#core/run/reporting/estimate.ts";
import { type ModelFigures, modelRun } from "../../../bench/scale/model.ts";
import { consumptionOfModel } from "../../../bench/scale/model-tables.ts";
import { scaleProject } from "../../../bench/scale/project.ts";
import { FUNCTION_SIZES } from "../../../infra/function-sizes.ts";
import { buildEnd, runRow, taskRow } from "../../support/ledger-rows.ts";

/** What the rows of the model's run would tell. */
function factsOf(figures: ModelFigures, watch: "wake" | "poll"): RunFacts {
  const { vertices, consumers, transitions, functions, tasks } = figures;
  const size = { vcpu: 1, gib: 2, publicAddress: true };
  return {
    ...{ consumers, vertices, events: 0 },
    buildSeconds: tasks.reduce((sum, { seconds }) => sum + seconds - 40, 0),
    turns: functions.get("check-run")!.invocations,
    consumerTurns: watch === "poll" ? transitions.consumers : null,
    tasks: tasks.map(({ seconds }) => ({ seconds, ...size })),
  };
}

describe("the estimated cost of a run", () => {
  it.each([
    { nodes: 30, tests: 30, nodeSeconds: 5, failing: "none", watch: "wake" },
    { nodes: 185, tests: 0, nodeSeconds: 13.5, failing: "none", watch: "wake" },
    { nodes: 150, tests: 600, nodeSeconds: 6, failing: "none", watch: "wake" },
    { nodes: 150, tests: 600, nodeSeconds: 6, failing: "tenth", watch: "wake" },
    { nodes: 150, tests: 150, nodeSeconds: 13.5, failing: "none", watch: "poll" },
  ] as const)("is within a quarter of what the model of the real functions counts: %j", async (shape) => {
    const { watch, ...sizes } = shape;
    const project = scaleProject({ ...sizes, shared: 0, testSeconds: 1 });
    const figures = await modelRun({ project, threads: 8, pollSeconds: 5, watch });
    const counted = priceOf(consumptionOfModel(figures));
    const estimated = priceOf(consumptionOf(factsOf(figures, watch)));
    const ratio = (part: "orchestration" | "stepFunctions" | "dynamo" | "tasks") => estimated[part] / counted[part];
    expect(ratio("stepFunctions")).toBeCloseTo(1, 1);
    expect(ratio("tasks")).toBeCloseTo(1, 6);
    expect(ratio("orchestration")).toBeGreaterThan(0.75);
    expect(ratio("orchestration")).toBeLessThan(1.25);
    expect(ratio("dynamo")).toBeGreaterThan(0.6);
    expect(ratio("dynamo")).toBeLessThan(1.6);
  });

  it("counts functions of the sizes that are deployed", () => {
    const { small, whole } = ESTIMATED_MEMORY_MIB;
    for (const name of ["watch-node", "wake"] as const) expect(FUNCTION_SIZES[name].memoryMiB).toBe(small);
    for (const name of ["check-run", "settle-run"] as const) expect(FUNCTION_SIZES[name].memoryMiB).toBe(whole);
  });

  it("is the sum of its parts, and says whose prices of when they are", () => {
    const size = { vcpu: 1, gib: 2, publicAddress: true };
    const facts = { consumers: 10, vertices: 20, buildSeconds: 100, turns: 5, consumerTurns: null, events: 0 };
    const cost = costOf({ ...facts, tasks: [{ seconds: 3_600, ...size }] });
    const { stepFunctions, lambda, dynamo, s3, logs, events, fargate, publicAddress, total } = cost;
    expect(stepFunctions + lambda + dynamo + s3 + logs + events + fargate + publicAddress).toBeCloseTo(total, 12);
    expect(fargate).toBeCloseTo(PRICES.fargateVcpuHour + 2 * PRICES.fargateGibHour, 12);
    expect(cost).toMatchObject({ currency: "USD", region: "us-east-1", asOf: PRICES.asOf, spot: false });
  });

  const key = { project: "shop", runId: "run-1", round: 1 };
  const sized = (target: object = {}) => {
    const run = runRow(key, { endedAtMs: 2_000_000 });
    const size = { cpu: 2_048, memoryMiB: 4_096, assignPublicIp: false, ...target };
    const { producer, executionQueue } = run.settings;
    const settings = {
      ...run.settings,
      producer: { ...producer, ...size },
      executionQueue: { ...executionQueue, ...size },
    };
    return { ...run, startedAtMs: 1_000, settings };
  };
  const task = (number: number, more: object = {}) =>
    taskRow(number, { launchedAtMs: 10_000, state: "over", end: buildEnd({ endedAtMs: 1_810_000 }), ...more });
  const estimate = (run: ReturnType<typeof sized>, tasks: readonly ReturnType<typeof task>[]) =>
    estimateRun({ run, rows: [], tasks, warnings: 0, nowMs: 3_000_000 });

  it("bills a task from its launch to its end, by its own size; one that never began and one of another run cost nothing here", () => {
    const half = PRICES.fargateVcpuHour + 2 * PRICES.fargateGibHour;
    const never = { stop: { ...NEVER, neverStarted: true } };
    const cost = estimate(sized(), [task(1), task(2, { round: 0 }), task(3, never)]);
    expect(cost?.fargate).toBeCloseTo(half, 9);
    expect(cost?.publicAddress).toBe(0);
  });

  it("bills a task that goes on to this moment, says where Spot is cheaper, and nothing where the size is not known", () => {
    const { end: _, ...live } = task(1);
    const goesOn = estimate(sized(), [{ ...live, state: "running" }]);
    expect(goesOn?.fargate).toBeGreaterThan(estimate(sized(), [task(1)])!.fargate);
    expect(estimate(sized({ capacity: "spot" }), [task(1)])).toMatchObject({ spot: true });
    expect(estimate(sized({ capacity: "spot" }), [task(1, { onDemand: true })])).toMatchObject({ spot: false });
    expect(estimate(sized({ cpu: undefined }), [task(1)])).toBeNull();
  });
});

const NEVER = { stoppedAtMs: 1_810_000, stopCode: null, stoppedReason: null, exitCode: null, outOfMemory: false };
