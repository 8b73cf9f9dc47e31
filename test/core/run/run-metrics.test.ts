import { describe, expect, test } from "vitest";
import type { TaskRow } from "#core/contracts/ledger.ts";
import { taskMetrics, verdictMetrics } from "#core/run/reporting/run-metrics.ts";
import { summarise } from "#core/run/reporting/summary.ts";
import { buildEnd, taskRow } from "../../support/ledger-rows.ts";
import { killed, NOW, over, planOf, row, runOf, vertex } from "../../support/run-builders.ts";

const counted = (tasks: readonly TaskRow[], round = 1, wasStopped = false) =>
  Object.fromEntries(Object.entries(taskMetrics(tasks, round, wasStopped)).filter(([, value]) => value > 0));

const cause = (kind: "killed" | "out_of_memory" | "terminated" | "stopped") => ({ kind, sentence: "", lines: [] });

describe("tasks that did not end by themselves", () => {
  test("one that ended in order, or whose dbt failed, counts for nothing", () => {
    expect(counted([over(1), over(2, { exitCode: 1 })])).toEqual({});
  });

  test.each([
    ["its host is gone, or its supervisor was killed", killed(1), { TasksKilled: 1 }],
    ["ECS says that it ran out of memory", killed(1, { outOfMemory: true }), { TasksKilled: 1, TasksOutOfMemory: 1 }],
    ["its dbt was killed", over(1, { cause: cause("killed"), signal: "SIGKILL" }), { TasksKilled: 1 }],
    ["its dbt ran out of memory", over(1, { cause: cause("out_of_memory") }), { TasksKilled: 1, TasksOutOfMemory: 1 }],
    ["its container was told to end", over(1, { cause: cause("terminated") }), { TasksInterrupted: 1 }],
    ["a Spot interruption left it no time", killed(1, { stopCode: "SpotInterruption" }), { TasksInterrupted: 1 }],
  ])("%s", (_, task, expected) => {
    expect(counted([{ ...task, fencedBy: "arn:task" }])).toEqual(expected);
  });

  test("a launch that was given up counts as not started; one that lost its vertices to another does not", () => {
    const stop = { ...killed(1).stop!, neverStarted: true };
    expect(counted([taskRow(1, { state: "over", stop, launchFailures: 6 })])).toEqual({ TasksNotStarted: 1 });
    expect(counted([taskRow(1, { state: "over", stop })])).toEqual({});
  });

  test("a stop of the run ends its tasks: none of them was killed", () => {
    const tasks = [{ ...killed(1), fencedBy: "arn:task" }, over(2, { cause: cause("terminated") })];
    expect(counted(tasks, 1, true)).toEqual({});
  });

  test("G23: each round counts its own", () => {
    const tasks = [{ ...killed(1), fencedBy: "arn:task" }, over(2, {}, { round: 2 })];
    expect(counted(tasks, 2)).toEqual({});
    expect(counted(tasks, 1)).toEqual({ TasksKilled: 1 });
  });
});

test("a run counts once, by its verdict, with its time and what is not good of it", () => {
  const plan = planOf([vertex("a"), vertex("b", ["a"]), vertex("c", ["b"])]);
  const tasks = [taskRow(1, { state: "over", end: buildEnd() })];
  const run = runOf({ state: "red", startedAtMs: NOW - 90_000, endedAtMs: NOW });
  const rows = [row("a", "success"), row("b", "error", { final: "dead" }), row("c", "skipped", { final: "doomed" })];
  expect(verdictMetrics(summarise({ run, plan, rows, tasks, nowMs: NOW }))).toEqual({
    RunsGreen: 0,
    RunsRed: 1,
    RunsStopped: 0,
    RunSeconds: 90,
    NodesNotGood: 2,
  });
});
