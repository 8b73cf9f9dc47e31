import { beforeEach, expect, test } from "vitest";
import { functionLog } from "#clients/function-log.ts";
import type { Ledger } from "#clients/ledger.ts";
import { executionArn } from "#core/names.ts";
import { sweep } from "../../functions/stop-run/sweep.ts";
import { FakeArtefacts, FakeEvents, FakeExecutions, FakeTasks } from "../support/fake-clients.ts";
import { runRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";

const key = { project: "shop", runId: "run-1" };
const arn = executionArn("arn:aws:states:us-east-1:000000000000:stateMachine:stepwatch-run", key.runId);
const NIGHTLY = { shop: "cron(0 3 * * ? *) UTC" };
const minutes = (n: number) => n * 60_000;
const DUE = Date.parse("2026-11-29T03:00:00Z");

let ledger: Ledger;
let executions: FakeExecutions;
beforeEach(() => {
  ledger = memoryLedger();
  executions = new FakeExecutions();
});

/** What a sweep at that time counts, as `metric of project`. */
async function sweptAt(nowMs: number, schedules: Record<string, string> = {}): Promise<string[]> {
  const lines: Record<string, unknown>[] = [];
  const log = functionLog("stop-run", "stepwatch", (line) => void lines.push(JSON.parse(line)));
  const deps = {
    ledger,
    executions,
    tasks: new FakeTasks(),
    events: new FakeEvents(),
    artefacts: new FakeArtefacts(),
    readPlan: async () => null,
    consumerMachineArn: "arn:aws:states:us-east-1:000000000000:stateMachine:stepwatch-consumer",
    nowMs: () => nowMs,
    warn: () => undefined,
    pause: async () => undefined,
  };
  await log.about({}, () => sweep(["shop"], deps, schedules));
  return lines.flatMap((line) => {
    const metrics = (line._aws as { CloudWatchMetrics: { Metrics: { Name: string }[] }[] } | undefined)
      ?.CloudWatchMetrics[0]?.Metrics;
    return (metrics ?? []).map(({ Name }) => `${Name} of ${line.project}`);
  });
}

async function begun(startedAtMs: number): Promise<void> {
  const deadlineAtMs = startedAtMs + minutes(240);
  await ledger.takeLock({ ...key, lockKey: "default", executionArn: arn, takenAtMs: startedAtMs });
  await ledger.createRun(runRow(key, { executionArn: arn, startedAtMs, deadlineAtMs }));
  await ledger.putRunIndex({ ...key, executionArn: arn, startedAtMs, state: "running" }, 60);
  executions.set(arn, { status: "RUNNING", input: { project: "shop" } });
}

test("a run that goes on past its deadline is overdue, and its lock held long, with each sweep until it ends", async () => {
  await begun(DUE);
  expect(await sweptAt(DUE + minutes(239))).toEqual([]);
  const both = ["RunsOverdue of shop", "LocksHeldLong of shop"];
  expect(await sweptAt(DUE + minutes(256))).toEqual(both);
  expect(await sweptAt(DUE + minutes(271))).toEqual(both);
});

test("a schedule that nobody has seen before is not held to have missed anything", async () => {
  expect(await sweptAt(DUE + minutes(40), NIGHTLY)).toEqual([]);
  expect(await sweptAt(DUE + minutes(55), NIGHTLY)).toEqual([]);
});

test("a schedule that was due and started nothing is counted until its hour is over; a run, or one in the queue, answers it", async () => {
  expect(await sweptAt(DUE - minutes(60), NIGHTLY)).toEqual([]);
  expect(await sweptAt(DUE + minutes(10), NIGHTLY)).toEqual([]);
  expect(await sweptAt(DUE + minutes(40), NIGHTLY)).toEqual(["SchedulesMissed of shop"]);
  expect(await sweptAt(DUE + minutes(180), NIGHTLY)).toEqual([]);
  const waits = { runId: "late", atMs: DUE + minutes(41), executionArn: `${arn}-late` };
  await ledger.joinQueue("shop", "default", waits);
  executions.set(waits.executionArn, { status: "RUNNING" });
  expect(await sweptAt(DUE + minutes(45), NIGHTLY)).toEqual([]);
});

test("H13: a job's schedule is answered by a run of that job, and by no other run of the project", async () => {
  const ofJob = { "shop/nightly": NIGHTLY.shop };
  expect(await sweptAt(DUE - minutes(60), { ...NIGHTLY, ...ofJob })).toEqual([]);
  await ledger.putRunIndex({ ...key, executionArn: arn, startedAtMs: DUE, endedAtMs: DUE, state: "green" }, 60);
  expect(await sweptAt(DUE + minutes(40), { ...NIGHTLY, ...ofJob })).toEqual(["SchedulesMissed of shop"]);
  const nightly = { project: "shop", runId: "run-2", executionArn: arn, startedAtMs: DUE, job: "nightly" };
  await ledger.putRunIndex({ ...nightly, endedAtMs: DUE, state: "green" }, 60);
  expect(await sweptAt(DUE + minutes(40), { ...NIGHTLY, ...ofJob })).toEqual([]);
});

test("G25: a run that was left out, of a paused project for example, answers its schedule", async () => {
  expect(await sweptAt(DUE - minutes(60), NIGHTLY)).toEqual([]);
  await ledger.putRunIndex({ ...key, executionArn: arn, startedAtMs: DUE, endedAtMs: DUE, state: "skipped" }, 60);
  expect(await sweptAt(DUE + minutes(40), NIGHTLY)).toEqual([]);
});
