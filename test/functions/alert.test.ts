import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import type { RunEndedDetail, WarningDetail } from "#core/contracts/events.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { ownLockKey } from "#core/names.ts";
import type { Alert } from "#core/run/alerts/alert.ts";
import { runEndedEvent } from "#core/run/events/run-events.ts";
import { summarise } from "#core/run/reporting/summary.ts";
import { type AlertDeps, alert, type Send } from "../../functions/alert/alert.ts";
import { FakeArtefacts, warningEvent } from "../support/fake-clients.ts";
import { runRow, taskRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { dataTest, over, planOf, row, vertex } from "../support/run-builders.ts";

const ORDERS = "model.shop.orders";
const UNIQUE = "test.shop.unique_orders.1";
const plan = planOf([vertex(ORDERS), dataTest(UNIQUE, [ORDERS]), vertex("model.shop.days", [ORDERS, UNIQUE])]);
const executionArn = "arn:aws:states:eu-west-1:123456789012:execution:stepwatch-run:run-1";
const HOUR = 3_600_000;

let ledger: Ledger;
let artefacts: FakeArtefacts;
let told: Record<string, Alert[]>;
let nowMs: number;
let broken: Set<string>;
const send =
  (channel: string): Send =>
  async (one) => {
    if (broken.has(channel)) throw new Error(`${channel} is away`);
    told[channel] = [...(told[channel] ?? []), one];
  };
const deps = (changes: Partial<AlertDeps> = {}): AlertDeps => ({
  ledger,
  artefacts,
  readFacts: async () => ({
    contract: 1,
    vertices: { [UNIQUE]: { owner: { name: "Finance", email: null, group: null } } },
  }),
  channels: { slack: send("slack"), sns: send("sns") },
  on: ["failed", "recovered", "warned"],
  repeatHours: 24,
  nowMs: () => nowMs,
  warn: () => undefined,
  ...changes,
});

beforeEach(() => {
  ledger = memoryLedger();
  artefacts = new FakeArtefacts();
  told = {};
  broken = new Set();
  nowMs = 1_800_000_000_000;
});

/** A run that has ended like this, and the event that tells of it. */
async function ended(runId: string, testStatus: "fail" | "pass", more: Partial<RunRow> = {}) {
  const key = { project: "shop", runId, round: 1 };
  const state = testStatus === "pass" ? ("green" as const) : ("red" as const);
  const summaryKey = `runs/shop/${runId}/summary-1.json`;
  const made = runRow(key, { executionArn, planKey: "plan", ...more });
  await ledger.createRun(made);
  await ledger.createTask(key, 0, taskRow(1));
  await ledger.markClaimed(key, 1);
  await ledger.passFence(key, 1, { taskArn: "arn:1", startedAtMs: 1 });
  const failed = { failures: 2, relation: '"audit"."unique_orders"', message: "Got 2 results", resourceType: "test" };
  const bad = testStatus === "fail";
  await ledger.writeVertex(key, 1, {
    uniqueId: UNIQUE,
    status: testStatus,
    evidence: true,
    endedAtMs: 9,
    ...(bad && failed),
  });
  const rows = [
    row(ORDERS, "success"),
    {
      ...row(UNIQUE, testStatus),
      ...(bad && { ...failed, final: "dead" as const, finalReason: "no use", finalRound: 1 }),
    },
    bad
      ? { ...row("model.shop.days", "skipped"), final: "doomed" as const, rootCause: UNIQUE, finalRound: 1 }
      : row("model.shop.days", "success"),
  ];
  const run = { ...made, state, verdict: "Over.", endedAtMs: nowMs, summaryKey };
  const summary = summarise({ run, plan, rows, tasks: [over(1)], nowMs });
  await artefacts.putJson(summaryKey, summary);
  await artefacts.putJson(`runs/shop/${runId}/tasks/1/failing_rows.json`, {
    [UNIQUE]: { columns: ["id"], rows: [["7"]] },
  });
  const { detail } = runEndedEvent(run, { stack: "stepwatch", consumerMachineArn: "" }, { summary, facts: null });
  return { "detail-type": "Run ended" as const, detail: detail as RunEndedDetail };
}

describe("H4: alerts", () => {
  it("one for a root cause to each channel, with owner, rows, commands and link; none for what is below it", async () => {
    await alert(await ended("run-1", "fail"), deps());
    expect(Object.keys(told).toSorted()).toEqual(["slack", "sns"]);
    expect(told.slack).toHaveLength(1);
    expect(told.slack![0]).toMatchObject({
      kind: "failed",
      uniqueId: UNIQUE,
      owner: { name: "Finance" },
      gates: 1,
      failures: 2,
      relation: '"audit"."unique_orders"',
      rows: { columns: ["id"], rows: [["7"]] },
      commands: ["npx stepwatch why run-1 --stack stepwatch", "npx stepwatch retry run-1 --stack stepwatch"],
      url: expect.stringContaining("/v2/executions/details/"),
    });
  });

  it("a failure that stays is not told each hour; it is after a day, and its recovery is told once", async () => {
    for (let hour = 0; hour < 25; hour += 1) {
      await alert(await ended(`run-${hour}`, "fail"), deps());
      nowMs += HOUR;
    }
    expect(told.slack!.map(({ again }) => again)).toEqual([false, true]);
    for (const runId of ["good-1", "good-2"]) {
      await alert(await ended(runId, "pass"), deps());
      nowMs += HOUR;
    }
    expect(told.slack!.slice(2)).toMatchObject([{ kind: "recovered", uniqueId: UNIQUE, commands: [] }]);
    expect(told.slack![2]!.since).toBe(new Date(1_800_000_000_000).toISOString());
  });

  it("H4: what recovered and fails again is told again where recoveries are left out", async () => {
    for (const [runId, status] of [
      ["bad-1", "fail"],
      ["good", "pass"],
      ["bad-2", "fail"],
    ] as const) {
      await alert(await ended(runId, status), deps({ on: ["failed"] }));
      nowMs += HOUR;
    }
    expect(told.slack).toMatchObject([
      { kind: "failed", runId: "bad-1", again: false },
      { kind: "failed", runId: "bad-2", again: false },
    ]);
  });

  it("H4: where recoveries alone are told, what had failed is", async () => {
    await alert(await ended("bad", "fail"), deps({ on: ["recovered"] }));
    expect(told).toEqual({});
    nowMs += HOUR;
    await alert(await ended("good", "pass"), deps({ on: ["recovered"] }));
    expect(told.slack).toMatchObject([{ kind: "recovered", uniqueId: UNIQUE }]);
  });

  it("H4 H7 H13: a run that broke as a whole is no better by a command, or another job, that went well", async () => {
    const broken = await ended("bad", "fail");
    const causes = [{ uniqueId: null, sentence: "dbt could not parse the project.", gates: 0, owner: null }];
    await alert({ ...broken, detail: { ...broken.detail, causes, causeCount: 1, summaryKey: null } }, deps());
    expect(told.slack).toHaveLength(1);
    const good = async (runId: string, more: Partial<RunRow>) => {
      nowMs += HOUR;
      await alert(await ended(runId, "pass", more), deps());
    };
    await good("command", { input: { project: "shop", command: ["seed"] } });
    const { settings } = runRow({ project: "shop", runId: "any" });
    await good("hourly", { settings: { ...settings, job: { name: "hourly", lock: "target" } } as RunRow["settings"] });
    expect(told.slack).toHaveLength(1);
    await good("whole", {});
    expect(told.slack!.slice(1)).toMatchObject([{ kind: "recovered", uniqueId: null }]);
  });

  it("a failure under another lock is another one", async () => {
    await alert(await ended("run-1", "fail"), deps());
    nowMs += 1;
    await alert(await ended("run-2", "fail", { lockKey: "dev" }), deps());
    expect(told.slack).toHaveLength(2);
  });

  it("H4 H13: a job whose runs have a lock each is told of a failure once, and of its recovery", async () => {
    const { settings } = runRow({ project: "shop", runId: "any" });
    const job = { name: "hourly", lock: "none" };
    for (const [runId, status] of [
      ["run-1", "fail"],
      ["run-2", "fail"],
      ["run-3", "pass"],
    ] as const) {
      const own = { lockKey: ownLockKey(runId), settings: { ...settings, job } as RunRow["settings"] };
      await alert(await ended(runId, status, own), deps());
      nowMs += HOUR;
    }
    expect(told.slack!.map(({ kind, runId }) => `${kind} ${runId}`)).toEqual(["failed run-1", "recovered run-3"]);
  });

  it("a channel that is away keeps none of the others from theirs, and is told alone when the call is repeated", async () => {
    broken.add("slack");
    const event = await ended("run-1", "fail");
    await expect(alert(event, deps())).rejects.toThrow("slack is away");
    broken.clear();
    await alert(event, deps());
    await alert(event, deps());
    expect([told.slack?.length, told.sns?.length]).toEqual([1, 1]);
  });

  it("a death between a message and its note tells that one again, and none before it", async () => {
    const dying = { ...ledger, putAlert: () => Promise.reject(new Error("died")) };
    const event = await ended("run-1", "fail");
    await expect(alert(event, deps({ ledger: dying, channels: { slack: send("slack") } }))).rejects.toThrow("died");
    await alert(event, deps({ channels: { slack: send("slack") } }));
    expect(told.slack).toHaveLength(2);
  });

  it("many causes are ten messages, the last of which names the rest", async () => {
    const event = await ended("run-1", "fail");
    const causes = Array.from({ length: 40 }, (_, n) => ({
      uniqueId: `model.shop.m${n}`,
      sentence: `m${n} failed`,
      gates: 0,
      owner: null,
    }));
    await alert({ ...event, detail: { ...event.detail, causes, causeCount: 40, summaryKey: null } }, deps());
    expect(told.slack).toHaveLength(10);
    expect(told.slack!.at(-1)!.words).toContain("And 31 more");
    await alert({ ...event, detail: { ...event.detail, causes, causeCount: 40, summaryKey: null } }, deps());
    expect(told.slack).toHaveLength(10);
  });

  it("a warning is told where that is asked for, once a day", async () => {
    await ended("run-1", "pass");
    const detail = warningEvent(UNIQUE).detail as WarningDetail;
    const event = { "detail-type": "Warning" as const, detail };
    await alert(event, deps({ on: ["failed"] }));
    expect(told).toEqual({});
    await alert(event, deps());
    await alert(event, deps());
    nowMs += 24 * HOUR;
    await alert(event, deps());
    expect(told.slack!.map(({ kind }) => kind)).toEqual(["warned", "warned"]);
    nowMs += HOUR;
    await alert(await ended("run-2", "pass"), deps());
    expect(told.slack).toHaveLength(2);
  });
});
