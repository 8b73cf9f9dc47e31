import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import {
  CONTRACT,
  checkRunPayloadSchema,
  settleRunPayloadSchema,
  startRunPayloadSchema,
  stopRunPayloadSchema,
  watchNodePayloadSchema,
} from "#core/contracts/payloads.ts";
import { parseRunInput } from "#core/contracts/run-input.ts";
import { planSchema } from "#core/run/planning/plan.ts";
import { summarise } from "#core/run/reporting/summary.ts";
import { CONSUMER_MACHINE, RUN_MACHINE } from "../asl/machines.ts";
import { rowsClient } from "../support/rows-client.ts";
import { dataTest, vertex } from "../support/run-builders.ts";
import { SimulatedAws } from "../support/simulated-aws.ts";
import type { SimulatedVertex } from "../support/simulated-dbt.ts";
import { projectOf } from "../support/simulated-project.ts";

const recorded = (file: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname, "../fixtures/last-release", file), "utf8"));

const SCHEMAS = {
  "start-run": startRunPayloadSchema,
  "check-run": checkRunPayloadSchema,
  "settle-run": settleRunPayloadSchema,
  "watch-node": watchNodePayloadSchema,
  "stop-run": stopRunPayloadSchema,
} as const;

describe("payloads of the last release", () => {
  const payloads = recorded("payloads.json");

  test.each(Object.entries(SCHEMAS))("%s takes them", (name, schema) => {
    for (const payload of payloads[name]) {
      const taken = schema.parse(payload) as Record<string, unknown>;
      const reference = taken.run ?? taken.consumer;
      if (reference !== undefined) expect(reference).toMatchObject({ project: "jaffle", round: 1 });
    }
  });

  test("a run's input is read as it was", () => {
    expect(parseRunInput(payloads.runInput)).toEqual(payloads.runInput);
  });

  test("state data carry a contract number, and one that nobody knows is refused", () => {
    const [{ taskToken, run }] = payloads["check-run"];
    expect(run.contract).toBeLessThanOrEqual(CONTRACT);
    expect(checkRunPayloadSchema.safeParse({ taskToken, run: { ...run, contract: CONTRACT + 1 } }).success).toBe(false);
  });

  test("what a machine's definition and a rule say is numbered too: without a number as before, and an unknown one is refused", () => {
    const [start] = payloads["start-run"];
    const sweep = { sweep: ["jaffle"] };
    for (const [schema, payload] of [[startRunPayloadSchema, start] as const, [stopRunPayloadSchema, sweep] as const]) {
      expect(payload).not.toHaveProperty("contract");
      for (const said of [{}, { contract: CONTRACT }])
        expect(schema.safeParse({ ...payload, ...said }).success).toBe(true);
      expect(schema.safeParse({ ...payload, contract: CONTRACT + 1 }).success).toBe(false);
    }
  });
});

describe("rows of the last release", () => {
  const ledger = dynamoLedger({ table: "ledger", client: rowsClient(recorded("rows.json")) });

  test.each(["green", "red"])("the summary of the %s run says what it said", async (name) => {
    const then = recorded(`summary-${name}.json`);
    const key = { project: "jaffle", runId: then.runId };
    const run = (await ledger.readRun(key))!;
    const tasks = await ledger.readTasks(key);
    const rows = await ledger.readVertices(key);
    const plan = planSchema.parse(recorded(`plan-${name}.json`));
    const now = summarise({ run, plan, rows, tasks, nowMs: run.endedAtMs! });
    const { state, verdict, counts } = now;
    const vertices = [...now.nodes, ...now.tests, ...now.others].map((one) => [
      one.uniqueId,
      [one.class, one.status, one.tries],
    ]);
    expect({
      runId: run.runId,
      state,
      verdict,
      counts,
      tasks: now.tasks.map(({ task, kind }) => [task, kind]),
      vertices: Object.fromEntries(vertices),
      causes: now.causes.map(({ uniqueId }) => uniqueId),
    }).toEqual(then);
    const [id] = vertices[0] as [string, unknown];
    expect(await ledger.readSomeVertices(key, [id])).toEqual(rows.filter(({ uniqueId }) => uniqueId === id));
  });

  test("runs, locks and triggers are listed as they were", async () => {
    const runs = await ledger.listRuns("jaffle", 9);
    expect(runs.map(({ state }) => state)).toEqual(["red", "green"]);
    expect(await ledger.listLocks("jaffle")).toEqual([]);
    expect(await ledger.readTrigger("jaffle", "nightly")).toMatchObject({ runId: runs[0]!.runId });
  });
});

describe("an execution that began with the last release's machines", () => {
  const HOUR = 3_600_000;
  const last = {
    run: { arn: RUN_MACHINE.arn, definition: recorded("run-machine.json") },
    consumer: { arn: CONSUMER_MACHINE.arn, definition: recorded("consumer-machine.json") },
  };
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

  /** @param redeployedAtMs when the present machines take the place of the last release's, for what begins later */
  async function run(behaviour: Record<string, Partial<SimulatedVertex>>, redeployedAtMs: number) {
    const aws = new SimulatedAws(shop(behaviour), 7);
    for (const machine of [last.run, last.consumer]) aws.machines.deploy(machine);
    const execution = await aws.start("run-1");
    aws.clock.after(redeployedAtMs, () => {
      for (const machine of [RUN_MACHINE, CONSUMER_MACHINE]) aws.machines.deploy(machine);
    });
    await aws.clock.advance(4 * HOUR, () => execution.status !== "RUNNING");
    await aws.clock.advance(60_000);
    expect(aws.errors).toEqual([]);
    expect(aws.warehouse.violations).toEqual([]);
    expect(await aws.ledger.readLock("shop", "default")).toBeNull();
    const consumers = Object.fromEntries(
      [...aws.consumers()].map(([id, one]) => [id, one.failure?.name ?? one.status]),
    );
    return { aws, execution, consumers };
  }

  /** Before its first node, between its nodes, and never: all consumers, some, or none of a new machine. */
  const moments = [1, 20_000, 60_000, 90_000, 10 * HOUR];

  test.each(moments)("ends green with the functions of this one, a redeploy after %i ms", async (redeployedAtMs) => {
    const { execution, consumers } = await run({ model_a: once, model_x: { kills: 1 } }, redeployedAtMs);
    expect(execution).toMatchObject({ status: "SUCCEEDED", output: { state: "green" } });
    expect(Object.keys(consumers).sort()).toEqual(["model_a", "model_b", "model_c", "model_x"]);
    expect(new Set(Object.values(consumers))).toEqual(new Set(["SUCCEEDED"]));
  });

  test.each(moments)("ends red as it is, a redeploy after %i ms", async (redeployedAtMs) => {
    const { execution, consumers } = await run({ model_b: always }, redeployedAtMs);
    expect(execution).toMatchObject({ status: "FAILED", failure: { name: "RunFailed" } });
    expect(consumers).toEqual({ model_a: "SUCCEEDED", model_x: "SUCCEEDED", model_b: "NodeFailed" });
  });

  test("G10: one that waits for the lock gets it from a run of this version, and the other way round", async () => {
    const aws = new SimulatedAws(shop({ model_a: once }), 7);
    aws.machines.deploy(last.run);
    const runs = [await aws.start("run-1"), await aws.start("run-2")];
    aws.machines.deploy(RUN_MACHINE);
    runs.push(await aws.start("run-3"));
    await aws.clock.advance(8 * HOUR, () => runs.every(({ status }) => status !== "RUNNING"));
    expect(runs.map(({ status }) => status)).toEqual(["SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]);
  });

  test("D14: a run keeps the revision that it began with, whatever is deployed while it runs", async () => {
    const { aws } = await run({ model_a: once }, 20_000);
    const settings = (await aws.ledger.readRun({ project: "shop", runId: "run-1" }))!.settings;
    const { shop: then } = last.run.definition.States["Start run"].Parameters.Payload.projects;
    expect(settings.producer.taskDefinitionArn).toBe(then.producer.taskDefinitionArn);
    expect(settings.executionQueue.taskDefinitionArn).toBe(then.executionQueue.taskDefinitionArn);
  });
});
