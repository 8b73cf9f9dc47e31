import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import { RowMissing } from "#core/errors.ts";
import { watchNode } from "../../functions/watch-node/watch-node.ts";
import { FakeExecutions } from "../support/fake-clients.ts";
import { runRow, taskRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { dataTest, planOf, vertex } from "../support/run-builders.ts";

const key = { project: "shop", runId: "run-1", round: 1 };
const consumer = { contract: 1 as const, ...key, round: 1, uniqueId: "a", part: "node" as const };
const plan = planOf([vertex("a"), dataTest("test.a", ["a"])]);

let ledger: Ledger;
let executions: FakeExecutions;

beforeEach(async () => {
  ledger = memoryLedger();
  executions = new FakeExecutions();
  await ledger.createRun(runRow(key));
  await ledger.createTask(key, 0, taskRow(1));
  await ledger.markClaimed(key, 1);
  await ledger.passFence(key, 1, { taskArn: "arn:1", startedAtMs: 1 });
  await ledger.setPlan(key, { planKey: "plan", plannedVertices: 2, plannedNodes: 1 });
});

const watch = (token = "token") =>
  watchNode(token, consumer, { ledger, executions, readPlan: async () => plan, nowMs: () => 9 });
const say = (uniqueId: string, status: string) =>
  ledger.writeVertex(key, 1, {
    uniqueId,
    status,
    evidence: true,
    startedAtMs: 1,
    ...(status === "started" ? {} : { endedAtMs: 2 }),
  });
const outcome = async () => (await ledger.readSomeVertices(key, ["a"]))[0]?.outcome;

describe("one turn of a consumer", () => {
  it("waits while there is nothing to say, and leaves the token alone", async () => {
    expect(await watch()).toBe("waiting");
    await say("a", "started");
    expect(await watch()).toBe("waiting");
    await say("a", "success");
    expect(await watch()).toBe("waiting");
    expect(executions.answered).toEqual([]);
    expect(await outcome()).toBeUndefined();
  });

  it("F1: ends green as soon as node and tests are good", async () => {
    await say("a", "success");
    await say("test.a", "warn");
    expect(await watch()).toBe("green");
    expect(executions.answered).toMatchObject([
      { taskToken: "token", output: { uniqueId: "a", outcome: "green", status: "success", tries: 1 } },
    ]);
    expect(await outcome()).toBe("green");
  });

  it("F5: fails with NodeFailed and dbt's message", async () => {
    await say("a", "error");
    await ledger.setFinal(key, 1, {
      uniqueId: "a",
      final: "dead",
      finalReason: "Its tries are used up: 2 of 2.",
      rootCause: "a",
    });
    expect(await watch()).toBe("red");
    expect(executions.answered).toMatchObject([
      { error: { name: "NodeFailed", cause: "a: Its tries are used up: 2 of 2." } },
    ]);
    expect(await outcome()).toBe("red");
  });

  it("F13: ends red, with the run's verdict, when the run has ended and its plan can not be read", async () => {
    const blind = () =>
      watchNode("token", consumer, { ledger, executions, readPlan: async () => null, nowMs: () => 9 });
    await say("a", "success");
    expect(await blind()).toBe("waiting");
    await ledger.endRun(key, { state: "red", verdict: "The plan is gone.", summaryKey: null, endedAtMs: 9 });
    expect(await blind()).toBe("red");
    expect(executions.answered).toMatchObject([{ error: { name: "NodeFailed", cause: "a: The plan is gone." } }]);
  });

  it("C3: a late token is no error, and the outcome is the same", async () => {
    await say("a", "success");
    await say("test.a", "pass");
    executions.close("late");
    expect(await watch("late")).toBe("green");
    expect(await watch("next")).toBe("green");
    expect(executions.answered.map((one) => one.taskToken)).toEqual(["next"]);
    expect(await outcome()).toBe("green");
  });

  it("F13: an answer that came too late for its turn is given again at once, from the node's row alone", async () => {
    await say("a", "error");
    await ledger.setFinal(key, 1, { uniqueId: "a", final: "dead", finalReason: "Its tries are used up: 2 of 2." });
    executions.close("late");
    expect(await watch("late")).toBe("red");
    const blind = { ...ledger, readTasks: () => Promise.reject(new Error("read")) };
    const deps = { ledger: blind, executions, readPlan: async () => null, nowMs: () => 9 };
    expect(await watchNode("next", consumer, deps)).toBe("red");
    expect(executions.answered).toMatchObject([
      { taskToken: "next", error: { name: "NodeFailed", cause: "a: Its tries are used up: 2 of 2." } },
    ]);
  });

  it("F17: a turn whose node is being built notes its token and looks once: neither plan, tasks nor other rows are read", async () => {
    await say("a", "started");
    const calls: string[] = [];
    const counted = new Proxy(ledger, {
      get(of, name: keyof Ledger) {
        calls.push(name);
        return of[name];
      },
    });
    const deps = { ledger: counted, executions, readPlan: () => Promise.reject(new Error("read")), nowMs: () => 9 };
    expect(await watchNode("token", consumer, deps, 0, "patiently")).toBe("waiting");
    expect(calls).toEqual(["keepConsumerWait", "glanceAtVertex"]);
    expect(await watchNode("token", consumer, deps)).toBe("waiting");
    expect(calls.slice(2)).toEqual(["glanceAtVertex"]);
  });

  it("F11: an answer that was refused is given by the next turn", async () => {
    await say("a", "success");
    await say("test.a", "pass");
    executions.failNext("succeed");
    await expect(watch()).rejects.toThrow("call again");
    expect(await watch()).toBe("green");
  });

  it("ends red when the run is over without a word on its node, and names a run that is not there", async () => {
    await say("a", "started");
    await ledger.endRun(key, { state: "stopped", verdict: "Stopped: enough", summaryKey: null, endedAtMs: 3 });
    expect(await watch()).toBe("red");
    expect(executions.answered).toMatchObject([
      { error: { cause: "a: The run ended (stopped) before its node had a result. Stopped: enough" } },
    ]);
    await expect(
      watchNode(
        "token",
        { ...consumer, runId: "none" },
        { ledger, executions, readPlan: async () => plan, nowMs: () => 9 },
      ),
    ).rejects.toThrow(RowMissing);
  });
});

it("F14: of hundreds of consumers that are redriven at once the first ask for their nodes, and one for all that is not good", async () => {
  await say("a", "error");
  const final = { uniqueId: "a", final: "dead", finalReason: "Its tries are used up: 2 of 2." } as const;
  await ledger.setFinal(key, 1, final);
  const deps = { ledger, executions, readPlan: async () => plan, nowMs: () => 9 };
  for (let redrives = 1; redrives <= 300; redrives++) await watchNode("token", consumer, deps, redrives);
  const { requests = [] } = (await ledger.readRun(key))!;
  expect(requests).toHaveLength(201);
  expect(requests[199]).toMatchObject({ by: "consumer", nodes: ["a"] });
  expect(requests[200]).not.toHaveProperty("nodes");
  expect((await ledger.readSomeVertices(key, ["a"]))[0]!.redriven).toEqual({ redrives: 300, round: 1 });
});
