import { describe, expect, it } from "vitest";
import {
  claimed,
  dataTest,
  decide,
  ephemeral,
  finalsOf,
  killed,
  launchesOf,
  live,
  NOW,
  over,
  planOf,
  row,
  vertex,
} from "../../support/run-builders.ts";

const skipped = (...ids: string[]) => ids.map((id) => row(id, "skipped"));
const fallback = (task: number) => over(task, {}, { kind: "fallback" });

describe("tests as vertices", () => {
  const plan = planOf([vertex("a"), dataTest("test.a", ["a"]), vertex("b", ["a", "test.a"])]);
  const failing = [row("a", "success"), row("test.a", "fail"), row("b", "skipped")];

  it("B6: a failed test is the failed vertex, and gates its node's children on the retry too", () => {
    const tried = decide({ plan, rows: failing, policy: { retryOn: "all" } });
    expect(launchesOf(tried)).toEqual([{ kind: "fallback", set: ["test.a"] }]);
    const dead = decide({ plan, rows: failing, policy: { retries: { test: 0 } } });
    expect(finalsOf(dead)).toEqual({ "test.a": "dead", b: "doomed by test.a" });
  });

  it.each([
    ["test", [["test.a"]]],
    ["none", []],
    ["node", [["a", "test.a"]]],
  ])("C12: onTestFailure %s", (onTestFailure, sets) => {
    const decision = decide({ plan, rows: failing, policy: { onTestFailure, retryOn: "all" } });
    expect(decision.launches.map((launch) => [...launch.uniqueIds].sort())).toEqual(sets);
  });

  it("C12: a test whose build was killed has found nothing: its good node is not built again", () => {
    const rows = [row("a", "success"), row("test.a", "started")];
    const decision = decide({ plan, rows, tasks: [killed(1)], policy: { onTestFailure: "node" } });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["test.a"] }]);
  });

  it("C12: onTestFailure node runs every test of the node again, in one build", () => {
    const more = planOf([
      vertex("a"),
      dataTest("test.a", ["a"]),
      dataTest("test.good", ["a"]),
      dataTest("test.too", ["a"]),
    ]);
    const rows = [row("a", "success"), row("test.a", "fail"), row("test.good", "pass"), row("test.too", "fail")];
    const decision = decide({ plan: more, rows, policy: { onTestFailure: "node" } });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a", "test.a", "test.good", "test.too"] }]);
  });

  it("C13: onTestFailure node takes no test along whose other node is not good", () => {
    const two = planOf([vertex("a"), vertex("x"), dataTest("test.a", ["a"]), dataTest("test.ax", ["a", "x"])]);
    const rows = [
      row("a", "success"),
      row("x", "error", { endedAtMs: NOW - 1 }),
      row("test.a", "fail"),
      row("test.ax", "skipped"),
    ];
    const decision = decide({ plan: two, rows, policy: { onTestFailure: "node" } });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a", "test.a"] }]);
  });

  describe("C12: onTestFailure node builds a node again", () => {
    const shared = planOf([vertex("a"), vertex("z"), dataTest("test.az", ["a", "z"]), vertex("b", ["a"])]);
    const tested = [row("a", "success"), row("z", "success"), row("test.az", "fail")];
    const again = { kind: "fallback", set: ["a", "test.az", "z"] };
    const policy = { onTestFailure: "node" };

    it("never beside a build of what it gates that begins at the same moment", () => {
      const failed = decide({ plan: shared, rows: [...tested, row("b", "error")], policy });
      expect(launchesOf(failed)).toEqual([{ kind: "fallback", set: ["b"] }]);
      const first = planOf([...shared.vertices.slice(0, 3), vertex("b", ["a"]), vertex("c", ["test.az"])]);
      const rows = [...tested, row("b", "error"), row("c", "skipped")];
      expect(launchesOf(decide({ plan: first, rows, policy }))).toEqual([again]);
      const unbuilt = decide({ plan: shared, rows: [...tested, row("b", "skipped")], policy, heldSinceMs: 0 });
      expect(launchesOf(unbuilt)).toEqual([again]);
    });

    it("never under another that was built on it, though that is built again for a test of its own", () => {
      const both = planOf([...shared.vertices, dataTest("test.b", ["b"])]);
      const rows = [...tested, row("b", "success"), row("test.b", "fail")];
      expect(launchesOf(decide({ plan: both, rows, policy }))).toEqual([
        { kind: "fallback", set: ["test.az", "z"] },
        { kind: "fallback", set: ["b", "test.b"] },
      ]);
    });

    it("never under one that is under way", () => {
      const rows = [...tested, claimed(row("b", "error"), 2)];
      const tasks = [over(1), live(2, { kind: "fallback" })];
      expect(decide({ plan: shared, rows, tasks, policy })).toMatchObject({ launches: [], settle: false });
      const own = [row("a", "success", { task: 2 }), ...tested.slice(1), row("b", "success")];
      expect(launchesOf(decide({ plan: shared, rows: own, tasks, policy }))).toEqual([
        { kind: "fallback", set: ["test.az", "z"] },
      ]);
      const given = [...tested, row("b", "error", { task: 2, tryTasks: [1, 2], final: "dead", finalReason: "tries" })];
      expect(launchesOf(decide({ plan: shared, rows: given, tasks: [over(1), fallback(2)], policy }))).toEqual([again]);
    });
  });

  describe("C12: onTestFailure node leaves a node on which something good was built", () => {
    const policy = { onTestFailure: "node" };
    const between = [vertex("a"), vertex("z"), dataTest("test.az", ["a", "z"])];
    const found = [row("a", "success"), row("z", "success"), row("test.az", "fail")];
    const alone = (set: readonly string[]) => [{ kind: "fallback", set: [...set] }];

    it("which a test between two nodes does not gate: the other one is built again, and the reason says why", () => {
      const plan = planOf([
        ...between,
        vertex("v", ["a"], { materialized: "view" }),
        vertex("both", ["v", "z", "test.az"]),
      ]);
      const rows = [...found, row("v", "success"), row("both", "skipped")];
      const decision = decide({ plan, rows, policy });
      expect(launchesOf(decision)).toEqual(alone(["test.az", "z"]));
      expect(decision.launches[0]!.reason).toBe(
        "test.az failed: it is built alone. a is not built again for it: v was built on it and is good.",
      );
    });

    it("which tests that follow all nodes never gate", () => {
      const plan = planOf([vertex("a"), vertex("v", ["a"]), dataTest("test.a", ["a"], { deferred: true })]);
      const rows = [row("a", "success"), row("v", "success"), row("test.a", "fail", { task: 2 })];
      const tasks = [over(1), over(2, {}, { kind: "recovery" })];
      expect(launchesOf(decide({ plan, rows, tasks, policy }))).toEqual(alone(["test.a"]));
    });

    it("also through an ephemeral model, or through one that failed", () => {
      const through = planOf([...between, ephemeral("e", ["a"]), vertex("v", ["e"])]);
      const rows = [...found, row("v", "success")];
      expect(launchesOf(decide({ plan: through, rows, policy }))).toEqual(alone(["test.az", "z"]));
      const failed = planOf([...between, vertex("c", ["a"]), vertex("v", ["c"])]);
      const dead = row("c", "error", { task: 2, final: "dead", finalReason: "tries" });
      const tasks = [over(1), fallback(2)];
      expect(launchesOf(decide({ plan: failed, rows: [...found, dead, row("v", "success")], tasks, policy }))).toEqual(
        alone(["test.az", "z"]),
      );
    });

    it("but not for what is built again with it, or is not good", () => {
      const above = planOf([vertex("a"), vertex("z", ["a"]), dataTest("test.az", ["a", "z"]), vertex("v", ["a"])]);
      const rows = [...found, row("v", "error", { final: "dead", finalReason: "tries" })];
      expect(launchesOf(decide({ plan: above, rows, policy }))).toEqual(alone(["a", "test.az", "z"]));
      const below = planOf([...above.vertices, vertex("w", ["z"])]);
      expect(launchesOf(decide({ plan: below, rows: [...rows, row("w", "success")], policy }))).toEqual(
        alone(["test.az"]),
      );
    });
  });

  it("C12: a test that is older than its node's last build says nothing of it", () => {
    const rows = [row("a", "success", { task: 2, tryTasks: [1, 2] }), row("test.a", "pass"), row("b", "success")];
    const decision = decide({ plan, rows, tasks: [over(1), fallback(2)] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["test.a"] }]);
  });

  it("C9: a failed test on a source is decided about although no node owns it", () => {
    const source = planOf([dataTest("test.source", []), vertex("a", ["test.source"])]);
    const rows = [row("test.source", "fail"), row("a", "skipped")];
    const tried = decide({ plan: source, rows, policy: { retryOn: "all" } });
    expect(launchesOf(tried)).toEqual([{ kind: "fallback", set: ["test.source"] }]);
    expect(finalsOf(decide({ plan: source, rows, policy: { retries: { test: 0 } } }))).toEqual({
      "test.source": "dead",
      a: "doomed by test.source",
    });
  });

  it("B5: a unit test goes into no build of nodes without its model: dbt build would pass it over in silence", () => {
    const unit = planOf([vertex("unit_test.m", [], { on: ["m"] }), vertex("m", ["unit_test.m"]), vertex("other")]);
    const [ofModel, other] = [row("m", "started"), row("other", "skipped")];
    const first = decide({ plan: unit, rows: [ofModel, other], tasks: [killed(1)] });
    expect(launchesOf(first)).toEqual([{ kind: "recovery", set: ["other"] }]);
    const next = decide({
      plan: unit,
      rows: [ofModel, row("other", "success", { task: 2 })],
      tasks: [killed(1), fallback(2)],
    });
    expect(launchesOf(next)).toEqual([{ kind: "recovery", set: ["unit_test.m"] }]);
    const both = decide({ plan: unit, rows: [row("other", "skipped")], tasks: [killed(1)] });
    expect(launchesOf(both)).toEqual([{ kind: "recovery", set: ["m", "other", "unit_test.m"] }]);
  });

  it("B5: of unit tests that wait for their models, one below a node that is not built waits for that node too", () => {
    const below = planOf([
      vertex("unit_test.m", []),
      vertex("x", ["unit_test.m"]),
      vertex("unit_test.n", ["x"], { on: ["n"] }),
      vertex("n", ["unit_test.n"]),
    ]);
    const first = decide({ plan: below, rows: [row("n", "started")], tasks: [killed(1)] });
    expect(launchesOf(first)).toEqual([{ kind: "recovery", set: ["unit_test.m"] }]);
  });

  it("B5: a unit test that fails dooms its model under retryOn: transient, and is retried before it otherwise", () => {
    const unit = planOf([vertex("unit_test.m", [], { on: ["m"] }), vertex("m", ["unit_test.m"])]);
    const rows = [row("unit_test.m", "fail"), row("m", "skipped")];
    expect(finalsOf(decide({ plan: unit, rows }))).toEqual({ "unit_test.m": "dead", m: "doomed by unit_test.m" });
    expect(launchesOf(decide({ plan: unit, rows, policy: { retryOn: "all" } }))).toEqual([
      { kind: "fallback", set: ["unit_test.m"] },
    ]);
  });

  const shared = planOf([vertex("a"), vertex("b"), dataTest("test.ab", ["a", "b"]), dataTest("test.a", ["a"])]);

  it("C2, C13: a test over two nodes goes into a build only when its other parent is good", () => {
    const rows = [row("a", "error"), row("b", "error"), ...skipped("test.ab", "test.a")];
    expect(launchesOf(decide({ plan: shared, rows }))).toEqual([
      { kind: "fallback", set: ["a", "test.a"] },
      { kind: "fallback", set: ["b"] },
    ]);
    const later = [rows[0]!, row("b", "success"), rows[2]!, rows[3]!];
    expect(launchesOf(decide({ plan: shared, rows: later }))).toEqual([
      { kind: "fallback", set: ["a", "test.a", "test.ab"] },
    ]);
  });

  it("C13: and never in two builds at once", () => {
    const rows = [
      claimed(row("a", "error"), 2),
      row("b", "success"),
      claimed(row("test.ab", "skipped"), 2),
      claimed(row("test.a", "skipped"), 2),
    ];
    expect(decide({ plan: shared, rows, tasks: [over(1), live(2, { kind: "fallback" })] }).launches).toEqual([]);
  });
});
