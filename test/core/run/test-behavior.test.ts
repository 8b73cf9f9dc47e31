import { describe, expect, it } from "vitest";
import { consumerAnswer, consumersDue } from "#core/run/watching/consumer.ts";
import {
  dataTest,
  decide,
  launchesOf,
  live,
  nodeFailed,
  over,
  planOf,
  policyOf,
  row,
  runOf,
  verdictAfter,
  vertex,
} from "../../support/run-builders.ts";

describe("testBehavior: build", () => {
  const plan = planOf([vertex("a"), dataTest("test.a", ["a"])]);

  it("C5: one consumer a node, green only when node and planned tests are good", () => {
    const rows = [row("a", "success"), row("test.a", "started")];
    expect(consumersDue(plan, rows, "build")).toEqual([{ uniqueId: "a", part: "node" }]);
    expect(consumerAnswer(plan, "a", rows, [live(1)], runOf()).state).toBe("waiting");
  });
});

describe("testBehavior: after_each", () => {
  const behavior = { policy: policyOf({ testBehavior: "after_each" }) };
  const run = (changes: Parameters<typeof runOf>[0] = {}) =>
    runOf({ ...changes, settings: { ...runOf().settings, ...behavior } });
  const plan = planOf([
    vertex("a", ["unit_test.a"]),
    vertex("b"),
    vertex("unit_test.a", [], { on: ["a"] }),
    dataTest("test.a", ["a"]),
    dataTest("test.ab", ["a", "b"]),
  ]);
  const good = [row("unit_test.a", "pass"), row("a", "success"), row("b", "success")];
  const dead = { final: "dead" as const, finalReason: "Its tries are used up: 2 of 2." };

  it("C6: a tested node's data tests have a consumer of their own, due when the first of them is reached", () => {
    const both = consumersDue(plan, [...good, row("test.ab", "started")], "after_each");
    expect(both).toEqual([
      { uniqueId: "a", part: "node" },
      { uniqueId: "b", part: "node" },
      { uniqueId: "a", part: "tests" },
      { uniqueId: "b", part: "tests" },
    ]);
    expect(consumersDue(plan, good, "after_each").map((due) => due.part)).toEqual(["node", "node"]);
    const begun = good.map((one) => ({ ...one, consumerStartedAtMs: 1, testsConsumerStartedAtMs: 1 }));
    expect(consumersDue(plan, [...begun, row("test.ab", "started")], "after_each")).toEqual([]);
  });

  it("C6: is red alone when only tests fail: the node's own consumer is green", () => {
    const rows = [...good, { ...row("test.a", "fail", { message: "3 rows" }), ...dead }, row("test.ab", "pass")];
    expect(consumerAnswer(plan, "a", rows, [over(1)], run(), "node").state).toBe("green");
    expect(consumerAnswer(plan, "a", rows, [over(1)], run(), "tests")).toMatchObject({
      state: "red",
      message: expect.stringContaining("test.a"),
    });
    expect(consumerAnswer(plan, "b", rows, [over(1)], run(), "tests").state).toBe("green");
  });

  it("C6: the unit test stays with its node, and an open data test holds only its own consumer", () => {
    const rows = [...good.slice(1), { ...row("unit_test.a", "fail"), ...dead }, row("test.a", "started")];
    expect(consumerAnswer(plan, "a", rows, [live(1)], run(), "node").state).toBe("red");
    const open = [...good, row("test.a", "started")];
    expect(consumerAnswer(plan, "a", open, [live(1)], run(), "node").state).toBe("green");
    expect(consumerAnswer(plan, "a", open, [live(1)], run(), "tests").state).toBe("waiting");
  });

  it("C6: a data test gates children as in dbt, and is retried alone", () => {
    const chain = planOf([vertex("a"), dataTest("test.a", ["a"]), vertex("c", ["a", "test.a"])]);
    const rows = [row("a", "success"), row("test.a", "fail"), row("c", "skipped")];
    const decision = decide({
      plan: chain,
      rows,
      tasks: [over(1, nodeFailed())],
      policy: { testBehavior: "after_each", retryOn: "all" },
    });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["test.a"] }]);
  });
});

describe("testBehavior: after_all", () => {
  const policy = { testBehavior: "after_all" };
  const deferred = { deferred: true };
  const plan = planOf([
    vertex("a"),
    vertex("b"),
    vertex("c", ["a"]),
    dataTest("test.a", ["a"], deferred),
    dataTest("test.b", ["b"], deferred),
    dataTest("test.c", ["c"], deferred),
  ]);

  it("C7: no test runs before every node is good or given up, then all of them in one build", () => {
    const rows = [row("a", "error"), row("b", "success"), row("c", "skipped")];
    const early = decide({ plan, rows, policy, heldSinceMs: 0 });
    expect(launchesOf(early)).toEqual([{ kind: "fallback", set: ["a"] }]);
    const built = [row("a", "success"), row("b", "success"), row("c", "success")];
    const late = decide({ plan, rows: built, policy, tasks: [over(1)] });
    expect(launchesOf(late)).toEqual([{ kind: "recovery", set: ["test.a", "test.b", "test.c"] }]);
  });

  it("C7: a selection of tests alone leaves the producer nothing to build: they run all the same", () => {
    const alone = planOf([dataTest("test.a", [], deferred)]);
    const cause = { kind: "empty_selection" as const, sentence: "The selection found nothing to build.", lines: [] };
    const tasks = [over(1, { cause })];
    expect(launchesOf(decide({ plan: alone, tasks, policy }))).toEqual([{ kind: "recovery", set: ["test.a"] }]);
    const rows = [row("test.a", "pass", { task: 2 })];
    const situation = { plan: alone, rows, tasks: [...tasks, over(2, {}, { kind: "recovery" })], policy };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(verdictAfter(situation, decision).state).toBe("green");
  });

  it("C7: tests whose parents are not good are left out, the others run, and a test gates nothing", () => {
    const dead = { final: "dead" as const, finalReason: "Its tries are used up: 2 of 2.", rootCause: "a" };
    const rows = [{ ...row("a", "error", { tryTasks: [1, 2] }), ...dead }, row("b", "success"), row("c", "skipped")];
    const decision = decide({ plan, rows, policy });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["test.b"] }]);
    expect(decision.finals.map((final) => [final.uniqueId, final.final])).toEqual([
      ["c", "doomed"],
      ["test.a", "doomed"],
      ["test.c", "doomed"],
    ]);
  });

  it("C7: the producer's silence about tests means nothing, and a node is green without them", () => {
    const rows = [row("a", "success"), row("b", "success"), row("c", "success")];
    expect(decide({ plan, rows, policy, tasks: [over(1)] }).settle).toBe(false);
    const run = runOf({ settings: { ...runOf().settings, policy: policyOf(policy) } });
    expect(consumerAnswer(plan, "a", rows, [live(1)], run).state).toBe("green");
  });

  it("C7: a failed test is tried again alone, and then the run is red by it", () => {
    const rows = ["a", "b", "c"].map((id) => row(id, "success"));
    const tests = [
      row("test.a", "pass", { task: 2 }),
      row("test.b", "fail", { task: 2 }),
      row("test.c", "pass", { task: 2 }),
    ];
    const tasks = [over(1), over(2, nodeFailed(), { kind: "recovery" })];
    const tried = decide({ plan, rows: [...rows, ...tests], policy: { ...policy, retryOn: "all" }, tasks });
    expect(launchesOf(tried)).toEqual([{ kind: "fallback", set: ["test.b"] }]);
  });
});
