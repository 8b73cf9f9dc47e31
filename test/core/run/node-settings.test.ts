import { describe, expect, test } from "vitest";
import type { PlanVertex } from "#core/run/planning/plan.ts";
import {
  dataTest,
  decide,
  finalsOf,
  killed,
  LONG_AGO,
  launchesOf,
  NOW,
  nodeFailed,
  over,
  planOf,
  row,
  vertex,
} from "../../support/run-builders.ts";

const own = (overrides: PlanVertex["overrides"]) => planOf([vertex("a", [], { overrides })]);
const compilation = "Compilation Error in model a (models/a.sql)\n  'x' is undefined";
const sizes = (situation: Parameters<typeof decide>[0]) => decide(situation).launches.map((launch) => launch.size);

describe("H5: what a vertex says of itself goes before the policy", () => {
  test("retries: none of its own although the policy has some", () => {
    const failed = [row("a", "error", { message: "lost connection" })];
    expect(finalsOf(decide({ plan: own({ retries: 0 }), rows: failed }))).toEqual({ a: "dead" });
    expect(launchesOf(decide({ plan: own({}), rows: failed }))).toEqual([{ kind: "fallback", set: ["a"] }]);
  });

  test("retryOn: what comes to the same each time is tried for this one alone, or not", () => {
    const failed = [row("a", "error", { message: compilation })];
    expect(launchesOf(decide({ plan: own({ retryOn: "all" }), rows: failed }))).toHaveLength(1);
    expect(launchesOf(decide({ plan: own({}), rows: failed }))).toEqual([]);
    const strict = { plan: own({ retryOn: "transient" }), rows: failed, policy: { retryOn: "all" } };
    expect(finalsOf(decide(strict))).toEqual({ a: "dead" });
  });

  test("retryDelaySeconds: waits its own time", () => {
    const failed = [row("a", "error", { message: "lost connection", endedAtMs: NOW - 60_000 })];
    expect(launchesOf(decide({ plan: own({ retryDelaySeconds: 90 }), rows: failed }))).toEqual([]);
    expect(launchesOf(decide({ plan: own({ retryDelaySeconds: 30 }), rows: failed }))).toHaveLength(1);
  });

  test("onTestFailure of one test builds its node again, and that of another nothing", () => {
    const plan = planOf([
      vertex("a"),
      dataTest("test.again", ["a"], { overrides: { onTestFailure: "node" } }),
      dataTest("test.never", ["a"], { overrides: { onTestFailure: "none" } }),
    ]);
    const rows = [row("a", "success"), row("test.again", "fail"), row("test.never", "error")];
    const decision = decide({ plan, rows });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a", "test.again"] }]);
    expect(finalsOf(decision)).toEqual({ "test.never": "dead" });
  });

  test("size: its fallback runs in the producer's size, a set of several only if all of them ask for it", () => {
    const message = "lost connection";
    const small = { overrides: { size: "producer" } } as const;
    expect(sizes({ plan: own({ size: "producer" }), rows: [row("a", "error", { message })] })).toEqual(["producer"]);
    expect(sizes({ plan: own({ size: "queue" }), rows: [row("a", "error", { message })] })).toEqual(["queue"]);
    const rows = [row("a", "success", { task: 2 }), row("b", "skipped"), row("c", "skipped")];
    const tasks = [over(1, nodeFailed()), over(2)];
    const below = (c: object) => planOf([vertex("a"), vertex("b", ["a"], small), vertex("c", ["a"], c)]);
    expect(sizes({ plan: below({}), rows, tasks })).toEqual(["queue"]);
    expect(sizes({ plan: below(small), rows, tasks })).toEqual(["producer"]);
  });

  test("D4: after a build that ran out of memory no word of its own keeps it from the larger size", () => {
    const tasks = [killed(1, { outOfMemory: true })];
    const rows = [row("a", "started", { startedAtMs: LONG_AGO })];
    expect(sizes({ plan: own({ size: "producer" }), rows, tasks })).toEqual(["queue"]);
  });
});

test("D4: a node that is given up because its builds ran out of memory says what to change", () => {
  const tasks = [1, 2, 3].map((task) =>
    killed(task, { outOfMemory: true }, task > 1 ? { size: "queue", kind: "fallback" } : {}),
  );
  const rows = [row("a", "started", { task: 3, tryTasks: [1, 2, 3], lostTasks: [1, 2] })];
  expect(decide({ plan: own({}), rows, tasks }).finals[0]?.finalReason).toBe(
    "Each of 3 builds that ran it was killed; the last ran out of memory: give executionQueue more memoryMiB.",
  );
});
