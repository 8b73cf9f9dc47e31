import { describe, expect, it } from "vitest";
import type { Cause } from "#core/contracts/cause.ts";
import {
  claimed,
  dataTest,
  decide,
  finalsOf,
  killed,
  launchesOf,
  live,
  NOW,
  nodeFailed,
  over,
  planOf,
  row,
  vertex,
} from "../../support/run-builders.ts";

const CUT = "Database Error in model a (models/a.sql)\n  server closed the connection unexpectedly";
const cut = (id: string, changes: Parameters<typeof row>[2] = {}) => row(id, "error", { message: CUT, ...changes });
const fallback = { kind: "fallback" } as const;

describe("what may kill builds", () => {
  const world = planOf([vertex("k"), vertex("y")]);

  it("G21: while its first lone retry runs, the rest waits for it, however long that takes", () => {
    const rows = [claimed(row("k", "started", { lostTasks: [1] }), 2)];
    const decision = decide({ plan: world, rows, tasks: [killed(1), live(2, fallback)], heldSinceMs: 0 });
    expect(decision.launches).toEqual([]);
    expect(decision.settle).toBe(false);
  });

  it("G21: once that has ended, the rest waits no more, whether it failed or is built again", () => {
    const failed = row("k", "error", { task: 2, tryTasks: [1, 2], lostTasks: [1], endedAtMs: NOW });
    const tasks = [killed(1), over(2, nodeFailed(), fallback)];
    const policy = { retries: { node: 3 } };
    const after = decide({ plan: world, rows: [failed], tasks, policy, heldSinceMs: 0 });
    expect(launchesOf(after)).toEqual([{ kind: "recovery", set: ["y"] }]);
    const again = claimed({ ...failed, tryTasks: [1, 2, 3] }, 3);
    const meanwhile = decide({
      plan: world,
      rows: [again],
      tasks: [...tasks, live(3, fallback)],
      policy,
      heldSinceMs: 0,
    });
    expect(launchesOf(meanwhile)).toEqual([{ kind: "recovery", set: ["y"] }]);
  });
});

describe("what one outage struck", () => {
  it("G26: what has no further try of its own keeps nobody waiting", () => {
    const plan = planOf([vertex("a"), vertex("b"), vertex("spent", [], { overrides: { retries: 0 } })]);
    const decision = decide({ plan, rows: [cut("a"), cut("b"), cut("spent")] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["a", "b"] }]);
    expect(finalsOf(decision)).toEqual({ spent: "dead" });
  });

  it("G26: a moment is told by its time, in whatever order the rows come", () => {
    const plan = planOf([vertex("a"), vertex("early"), vertex("b")]);
    const rows = [
      cut("a", { endedAtMs: NOW - 600_000 }),
      cut("early", { endedAtMs: NOW - 3_600_000 }),
      cut("b", { endedAtMs: NOW - 599_000 }),
    ];
    expect(launchesOf(decide({ plan, rows }))).toEqual([
      { kind: "fallback", set: ["early"] },
      { kind: "recovery", set: ["a", "b"] },
    ]);
  });

  it("G26 G21: what was cut off by two outages is built alone", () => {
    const cause: Cause = { kind: "connection", sentence: "It went.", lines: [] };
    const gone = (task: number) =>
      over(task, { inOrder: false, cause, lostWarehouse: true }, { kind: task === 1 ? "producer" : "recovery" });
    const twice = (id: string) => row(id, "started", { task: 2, tryTasks: [1, 2], lostTasks: [1] });
    const plan = planOf([vertex("a"), vertex("b")]);
    const decision = decide({ plan, rows: [twice("a"), twice("b")], tasks: [gone(1), gone(2)] });
    expect(launchesOf(decision).map((one) => one.kind)).toEqual(["fallback", "fallback"]);
  });

  it("G26: the cause of the build's end is enough, also where the ledger has no word of a lost warehouse", () => {
    const plan = planOf([vertex("a"), vertex("b")]);
    const rows = [row("a", "started"), row("b", "started")];
    const cause: Cause = { kind: "killed", sentence: "It died.", lines: [] };
    const lost = over(1, { inOrder: false, cause, lostWarehouse: true });
    expect(launchesOf(decide({ plan, rows, tasks: [lost] }))).toEqual([{ kind: "recovery", set: ["a", "b"] }]);
  });

  it("B5 G26: a unit test is in no common build, also under fallbacks: together", () => {
    const plan = planOf([
      vertex("unit_test.a", [], { on: ["a"] }),
      vertex("a", ["unit_test.a"]),
      vertex("b"),
      vertex("c"),
    ]);
    const rows = [row("unit_test.a", "fail"), row("a", "skipped"), row("b", "error"), row("c", "error")];
    const decision = decide({ plan, rows, policy: { fallbacks: "together", retryOn: "all" } });
    expect(launchesOf(decision)).toEqual([
      { kind: "fallback", set: ["unit_test.a"] },
      { kind: "recovery", set: ["b", "c"] },
    ]);
  });

  it("G4 G26: their build has its place among the execution queue's, which fallbacks do not take", () => {
    const plan = planOf([vertex("a"), vertex("b"), vertex("x"), vertex("y")]);
    const rows = [cut("a"), cut("b"), row("x", "error"), row("y", "error")];
    expect(launchesOf(decide({ plan, rows, maxTasks: 2 })).map((one) => one.kind)).toEqual(["fallback", "recovery"]);
    expect(launchesOf(decide({ plan, rows, maxTasks: 1 }))).toEqual([{ kind: "recovery", set: ["a", "b"] }]);
  });
});

describe("a fallback's set", () => {
  it("C13: takes along no test that has had its last word", () => {
    const tests = ["test.open", "test.dead"].map((id) => dataTest(id, ["a"]));
    const rows = [
      row("a", "error"),
      row("test.open", "skipped"),
      row("test.dead", "skipped", { final: "not_built", finalReason: "left out" }),
    ];
    const decision = decide({ plan: planOf([vertex("a"), ...tests]), rows });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a", "test.open"] }]);
  });
});
