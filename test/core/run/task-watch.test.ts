import { describe, expect, it } from "vitest";
import type { TaskDescription } from "#core/run/watching/task-stop.ts";
import {
  asksEcs,
  MISSING_GRACE_MS,
  nextLaunchAtMs,
  START_PATIENCE_MS,
  taskMove,
} from "#core/run/watching/task-watch.ts";
import { taskRow } from "../../support/ledger-rows.ts";
import { NOW, policyOf } from "../../support/run-builders.ts";

const arn = "arn:aws:ecs:us-east-1:000000000000:task/stepwatch/1";
const running = (silentMs: number) =>
  taskRow(2, { state: "running", taskArn: arn, fencedBy: arn, launchedAtMs: 0, heartbeatAtMs: NOW - silentMs });
const launching = (forMs: number) => taskRow(2, { state: "launching", taskArn: arn, launchedAtMs: NOW - forMs });
const stopped = (neverStarted: boolean): TaskDescription => ({
  state: "stopped",
  stopCode: "TaskFailedToStart",
  stoppedReason: "no image",
  stoppedAtMs: 7,
  exitCode: null,
  outOfMemory: false,
  neverStarted,
});

describe("what becomes of a live task", () => {
  it("D10: a heartbeat that stops while the task runs changes nothing", () => {
    expect(asksEcs(running(61_000), policyOf(), NOW)).toBe(true);
    expect(taskMove(running(61_000), { state: "running" }, NOW)).toEqual({ move: "none" });
  });

  it("D10: a container whose clock runs ahead is asked about as well: its last heartbeat would hide its death", () => {
    expect(asksEcs(running(-3_600_000), policyOf(), NOW)).toBe(true);
    expect(asksEcs(running(-59_000), policyOf(), NOW)).toBe(false);
  });

  it("D10: a task that ECS stopped is over, however fresh its heartbeat", () => {
    expect(taskMove(running(1), stopped(false), NOW)).toMatchObject({ move: "over", stop: { stoppedAtMs: 7 } });
    expect(asksEcs(running(59_000), policyOf(), NOW)).toBe(false);
  });

  it("D10: MISSING means wait, then over", () => {
    expect(taskMove(launching(1_000), { state: "missing" }, NOW)).toEqual({ move: "none" });
    expect(taskMove(running(MISSING_GRACE_MS - 1), { state: "missing" }, NOW)).toEqual({ move: "none" });
    expect(taskMove(running(24 * 3_600_000), { state: "missing" }, NOW)).toMatchObject({
      move: "over",
      stop: { stoppedReason: "ECS no longer knows the task." },
    });
  });

  it("D11: a task that stops before its container starts is a launch that failed, not a task that ended", () => {
    expect(asksEcs(launching(1), policyOf(), NOW)).toBe(true);
    expect(taskMove(launching(1), stopped(true), NOW)).toEqual({ move: "launch_failed", reason: "no image" });
    expect(taskMove(launching(1), stopped(false), NOW).move).toBe("over");
  });

  it("D11: a task whose container passed the fence did start, whatever ECS says of it", () => {
    expect(taskMove(running(1), stopped(true), NOW)).toMatchObject({ move: "over", stop: { neverStarted: false } });
  });

  it("D11: a task that does not come up is given up after a while", () => {
    expect(taskMove(launching(START_PATIENCE_MS), { state: "starting" }, NOW).move).toBe("none");
    expect(taskMove(launching(START_PATIENCE_MS + 1), { state: "starting" }, NOW).move).toBe("launch_failed");
  });

  it("D11: launches back off, at most five minutes", () => {
    const delays = [1, 2, 3, 10].map((failures) => nextLaunchAtMs(failures, policyOf(), 0));
    expect(delays).toEqual([5_000, 10_000, 20_000, 300_000]);
  });

  it("does not ask about a task that was never launched", () => {
    expect(asksEcs(taskRow(2, { state: "launching" }), policyOf(), NOW)).toBe(false);
  });
});
