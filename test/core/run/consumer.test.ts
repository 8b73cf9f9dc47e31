import { describe, expect, it } from "vitest";
import { consumerAnswer, rowsOfConsumer } from "#core/run/watching/consumer.ts";
import { claimed, dataTest, killed, live, over, planOf, row, runOf, vertex } from "../../support/run-builders.ts";

const plan = planOf([vertex("a"), vertex("b"), dataTest("test.a", ["a"]), dataTest("test.ab", ["a", "b"])]);
const ended = { state: "red" as const, verdict: "Red." };
const dead = { final: "dead" as const, finalReason: "Its tries are used up: 2 of 2." };

describe("a consumer", () => {
  it("F1, C1: is green when node and planned tests are good, while the producer still runs", () => {
    const rows = [row("a", "success"), row("test.a", "pass"), row("test.ab", "warn", { message: "2 rows" })];
    expect(consumerAnswer(plan, "a", rows, [live(1)], runOf())).toEqual({
      state: "green",
      status: "success",
      tries: 1,
      notes: ["Warning of test.ab: 2 rows"],
    });
  });

  it("C1, C3: stays open while a test has not ended, and answers the same however often it is asked", () => {
    const rows = [row("a", "success"), row("test.a", "pass"), row("test.ab", "started")];
    expect(consumerAnswer(plan, "a", rows, [live(1)], runOf())).toEqual({ state: "waiting" });
    expect(consumerAnswer(plan, "a", rows.slice(0, 2), [live(1)], runOf())).toEqual({ state: "waiting" });
  });

  it("C1: waits while a failed test may still be tried, and is red once it is dead", () => {
    const rows = [row("a", "success"), row("test.a", "fail", { message: "3 rows" }), row("test.ab", "pass")];
    expect(consumerAnswer(plan, "a", rows, [over(1)], runOf())).toEqual({ state: "waiting" });
    const answer = consumerAnswer(plan, "a", [rows[0]!, { ...rows[1]!, ...dead }, rows[2]!], [over(1)], runOf());
    expect(answer).toEqual({
      state: "red",
      status: "success",
      tries: 1,
      message: "Its test test.a is not good: 3 rows\nIts tries are used up: 2 of 2.",
    });
  });

  it("C1: a failed test whose run was given up is red, not a test that was never run", () => {
    const rows = [
      row("a", "success"),
      row("test.a", "fail", { final: "not_built", finalReason: "Stopped." }),
      row("test.ab", "pass"),
    ];
    expect(consumerAnswer(plan, "a", rows, [over(1)], runOf(ended)).state).toBe("red");
  });

  it("C1: a test that is dead is red also where the tasks were read before its last build was over", () => {
    const rows = [row("a", "success"), row("test.ab", "pass"), { ...row("test.a", "started", { task: 2 }), ...dead }];
    const tasks = [over(1), live(2, { kind: "fallback" })];
    expect(consumerAnswer(plan, "a", rows, tasks, runOf())).toMatchObject({ state: "red" });
  });

  it("C1, C2: a test that can never run because of another parent does not hold the node: green, and says so", () => {
    const doomed = row("test.ab", "skipped", { final: "doomed", finalReason: "Upstream failed: b", rootCause: "b" });
    const rows = [row("a", "success"), row("test.a", "pass"), { ...row("b", "error"), ...dead }, doomed];
    expect(consumerAnswer(plan, "a", rows, [over(1)], runOf())).toMatchObject({
      state: "green",
      notes: ["test.ab was not run: Upstream failed: b"],
    });
    expect(consumerAnswer(plan, "b", rows, [over(1)], runOf()).state).toBe("red");
  });

  it("C2: a test over two nodes counts for each of them", () => {
    const rows = [
      row("a", "success"),
      row("b", "success"),
      row("test.a", "pass"),
      { ...row("test.ab", "fail"), ...dead },
    ];
    expect(["a", "b"].map((id) => consumerAnswer(plan, id, rows, [over(1)], runOf()).state)).toEqual(["red", "red"]);
  });

  it("C4: a test that the selection leaves out is never waited for", () => {
    const without = planOf([vertex("a"), dataTest("test.a", ["a"])]);
    expect(rowsOfConsumer(without, "a").sort()).toEqual(["a", "test.a"]);
    expect(consumerAnswer(without, "a", [row("a", "success"), row("test.a", "pass")], [live(1)], runOf()).state).toBe(
      "green",
    );
  });

  it("C12: a test that is older than its node's last build does not count", () => {
    const rows = [
      row("a", "success", { task: 2, tryTasks: [1, 2] }),
      row("test.a", "pass"),
      row("test.ab", "pass", { task: 2 }),
    ];
    const tasks = [over(1), live(2, { kind: "fallback" })];
    expect(consumerAnswer(plan, "a", rows, tasks, runOf()).state).toBe("waiting");
  });

  it("F3: waits while its failed node may be tried again, and while it is", () => {
    expect(consumerAnswer(plan, "a", [row("a", "error")], [live(1)], runOf()).state).toBe("waiting");
    expect(consumerAnswer(plan, "a", [row("a", "error")], [over(1)], runOf()).state).toBe("waiting");
    expect(consumerAnswer(plan, "a", [claimed(row("a", "error"), 2)], [over(1), live(2)], runOf()).state).toBe(
      "waiting",
    );
  });

  it("F5: fails with dbt's message once its node is dead", () => {
    const rows = [{ ...row("a", "error", { message: "Database Error: no table" }), ...dead }];
    expect(consumerAnswer(plan, "a", rows, [over(1)], runOf())).toEqual({
      state: "red",
      status: "error",
      tries: 1,
      message: "Database Error: no table\nIts tries are used up: 2 of 2.",
    });
  });

  it("F7: fails as upstream failed once its node is doomed", () => {
    const rows = [row("a", "skipped", { final: "doomed", finalReason: "Upstream failed: z", rootCause: "z" })];
    expect(consumerAnswer(plan, "a", rows, [over(1)], runOf())).toMatchObject({
      state: "red",
      message: "Upstream failed: z",
    });
  });

  it("C1: a test that has no result when the run has ended is red", () => {
    const rows = [row("a", "success"), row("test.ab", "pass")];
    expect(consumerAnswer(plan, "a", rows, [killed(1)], runOf()).state).toBe("waiting");
    expect(consumerAnswer(plan, "a", rows, [killed(1)], runOf(ended))).toMatchObject({
      state: "red",
      message: "Its test test.a has no result.",
    });
  });

  it("F9: is never green for a node that nobody reported, also when the run has ended", () => {
    for (const tasks of [[over(1)], [killed(1)]]) {
      expect(consumerAnswer(plan, "a", [], tasks, runOf()).state).toBe("waiting");
      expect(consumerAnswer(plan, "a", [], tasks, runOf(ended)).state).toBe("red");
    }
    expect(consumerAnswer(plan, "gone", [], [over(1)], runOf())).toMatchObject({
      state: "red",
      message: "gone is not in the plan of run run-1.",
    });
  });
});
