import { beforeEach, expect, it } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import type { LaunchTarget } from "#core/contracts/settings.ts";
import { checkRun } from "../../functions/check-run/check-run.ts";
import { FakeArtefacts, FakeEvents, FakeExecutions, FakeTasks } from "../support/fake-clients.ts";
import { buildEnd, runRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";

const key = { project: "shop", runId: "run-1", round: 1 };
const NO_ROOM = "Capacity is unavailable at this time. Please try again later or in a different availability zone";

let ledger: Ledger;
let tasks: FakeTasks;
let nowMs: number;

async function begin(target: Partial<LaunchTarget> = {}): Promise<void> {
  ledger = memoryLedger();
  tasks = new FakeTasks();
  const run = runRow(key);
  nowMs = run.startedAtMs;
  const { settings } = run;
  const producer = { ...settings.producer, subnets: ["subnet-a", "subnet-b"], ...target };
  await ledger.createRun({ ...run, settings: { ...settings, producer } });
}
beforeEach(() => begin());

const check = () =>
  checkRun(
    { contract: 1, ...key },
    {
      ledger,
      tasks,
      artefacts: new FakeArtefacts(),
      executions: new FakeExecutions(),
      events: new FakeEvents(),
      readPlan: async () => null,
      consumerMachineArn: "arn:machine",
      warn: () => undefined,
      nowMs: () => nowMs,
      seen: new Map(),
    },
  );

/** A turn each 5 s, for so many minutes. */
async function turns(minutes: number): Promise<void> {
  for (const until = nowMs + minutes * 60_000; nowMs < until; nowMs += 5_000) await check();
}

it("D21: no room for ten minutes: waits, each time under a new token, and no bound is used up", async () => {
  tasks.refuseLaunches(...Array.from({ length: 7 }, () => NO_ROOM));
  await turns(10);
  const [task] = await ledger.readTasks(key);
  expect(task).toMatchObject({
    state: "launching",
    launchFailures: 7,
    capacityRefusals: 7,
    taskArn: expect.any(String),
  });
  expect(tasks.launched).toHaveLength(1);
  expect(tasks.asked).toHaveLength(8);
  expect(new Set(tasks.asked.map(({ clientToken }) => clientToken)).size).toBe(8);
});

it("D21: a task that ECS took and could not place waits in the same way", async () => {
  for (let n = 0; n < 8; n++) {
    await check();
    const { taskArn } = tasks.launched.at(-1)!;
    const stopped = {
      state: "stopped",
      stopCode: "TaskFailedToStart",
      stoppedReason: NO_ROOM,
      stoppedAtMs: nowMs,
    } as const;
    tasks.set(taskArn, { ...stopped, exitCode: null, outOfMemory: false, neverStarted: true });
    await check();
    nowMs += 120_000;
  }
  expect(await ledger.readTasks(key)).toMatchObject([{ state: "launching", capacityRefusals: 8 }]);
});

it("D21, D11: refusals of another kind beside them have their own bound", async () => {
  tasks.refuseLaunches(...Array.from({ length: 6 }, () => [NO_ROOM, "AccessDeniedException: PassRole"]).flat());
  await turns(60);
  expect(await ledger.readTasks(key)).toMatchObject([
    { state: "over", stop: { stoppedReason: "Given up after 6 launches: AccessDeniedException: PassRole" } },
  ]);
});

it("D21: no room until the run's deadline ends the run", async () => {
  tasks.refuseLaunches(...Array.from({ length: 500 }, () => NO_ROOM));
  const { deadlineAtMs } = (await ledger.readRun(key))!;
  nowMs = deadlineAtMs - 60_000;
  await turns(2);
  const stoppedReason = `The run was stopped before the task was launched. The last launch was refused: ${NO_ROOM}`;
  expect(await ledger.readTasks(key)).toMatchObject([{ state: "over", stop: { neverStarted: true, stoppedReason } }]);
  expect(await check()).toBe("settle");
});

it("D21: Spot is left for on-demand at once where there is none", async () => {
  await begin({ capacity: "spot_then_on_demand" });
  tasks.refuseLaunches(NO_ROOM);
  await check();
  await check();
  expect(tasks.asked.map(({ placement }) => placement.provider)).toEqual(["FARGATE_SPOT", "FARGATE"]);
});

it("D21: what is built again after a Spot interruption goes without it, and each zone has its turn", async () => {
  await begin({ capacity: "spot_then_on_demand" });
  await check();
  const { taskArn } = tasks.launched[0]!;
  await ledger.passFence(key, 1, { taskArn, startedAtMs: nowMs, logStream: "s" });
  const cause = { kind: "terminated" as const, sentence: "A Spot interruption.", lines: [] };
  await ledger.endTask(
    key,
    1,
    taskArn,
    { ...buildEnd(), endedAtMs: nowMs, inOrder: false, cause, retryableLaunch: true },
    1,
  );
  nowMs += 60_000;
  tasks.refuseLaunches(NO_ROOM);
  await check();
  nowMs += 15_000;
  await check();
  expect(tasks.asked.map(({ placement }) => [placement.provider, placement.subnets.join()])).toEqual([
    ["FARGATE_SPOT", "subnet-a,subnet-b"],
    ["FARGATE", "subnet-a,subnet-b"],
    ["FARGATE", "subnet-a"],
  ]);
});
