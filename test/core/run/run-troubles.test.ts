import { describe, expect, test } from "vitest";
import { isHeldLong, overdueSinceMs } from "#core/run/watching/run-troubles.ts";
import { NOW, policyOf, runOf } from "../../support/run-builders.ts";

const minutes = (n: number) => n * 60_000;
const DEADLINE = NOW + minutes(240);

function run(policy: Record<string, unknown> = {}, changes: Parameters<typeof runOf>[0] = {}) {
  const plain = runOf({ startedAtMs: NOW, deadlineAtMs: DEADLINE, ...changes });
  return { ...plain, settings: { ...plain.settings, policy: policyOf(policy) } };
}

describe("a run is overdue", () => {
  test("15 minutes after its deadline, if it has no verdict by then", () => {
    expect(overdueSinceMs(run(), DEADLINE + minutes(15))).toBeNull();
    expect(overdueSinceMs(run(), DEADLINE + minutes(16))).toBe(DEADLINE + minutes(15));
    expect(overdueSinceMs(run({}, { state: "red" }), DEADLINE + minutes(16))).toBeNull();
  });

  test("after its project's overdueMinutes, from the moment it has its lock", () => {
    expect(overdueSinceMs(run({ overdueMinutes: 60 }), NOW + minutes(60))).toBeNull();
    expect(overdueSinceMs(run({ overdueMinutes: 60 }), NOW + minutes(61))).toBe(NOW + minutes(60));
  });

  test("G23: a further round has the time anew", () => {
    const second = run({ overdueMinutes: 60 }, { round: 2, roundStartedAtMs: NOW + minutes(600) });
    expect(overdueSinceMs({ ...second, deadlineAtMs: NOW + minutes(840) }, NOW + minutes(650))).toBeNull();
  });
});

describe("a lock is held long", () => {
  const lock = { project: "shop", lockKey: "default", runId: "run-1", executionArn: "arn", takenAtMs: NOW };

  test("not while its run may run, and 15 minutes after that", () => {
    expect(isHeldLong(lock, run(), DEADLINE + minutes(15))).toBe(false);
    expect(isHeldLong(lock, run(), DEADLINE + minutes(16))).toBe(true);
  });

  test("15 minutes after the verdict of its run, and after it was taken by a run without a row", () => {
    const ended = run({}, { state: "green", endedAtMs: NOW + minutes(5) });
    expect(isHeldLong(lock, ended, NOW + minutes(20))).toBe(false);
    expect(isHeldLong(lock, ended, NOW + minutes(21))).toBe(true);
    expect(isHeldLong(lock, null, NOW + minutes(15))).toBe(false);
    expect(isHeldLong(lock, null, NOW + minutes(16))).toBe(true);
  });
});
