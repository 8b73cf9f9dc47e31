import { describe, expect, it } from "vitest";
import {
  claimed,
  dataTest,
  decide,
  ephemeral,
  finalsOf,
  killed,
  LONG_AGO,
  launchesOf,
  live,
  NOW,
  nodeFailed,
  over,
  planOf,
  row,
  type Situation,
  verdictAfter,
  vertex,
} from "../../support/run-builders.ts";

const chain = planOf([vertex("a"), vertex("b", ["a"]), vertex("c", ["b"]), vertex("d", ["c"])]);
const skipped = (...ids: string[]) => ids.map((id) => row(id, "skipped"));
const fallback = (task: number) => over(task, {}, { kind: "fallback" });

describe("the producer", () => {
  it("is launched first, without a set: it owns what it plans", () => {
    const decision = decide({ tasks: [] });
    expect(decision.launches).toMatchObject([{ kind: "producer", uniqueIds: [], claims: [], size: "producer" }]);
  });

  it("F3: what failed in it waits while it runs, and uses no try", () => {
    const decision = decide({ plan: chain, rows: [row("a", "error"), ...skipped("b", "c", "d")], tasks: [live(1)] });
    expect(decision).toMatchObject({ launches: [], finals: [], settle: false });
  });
});

describe("a failed vertex", () => {
  const broken = [row("a", "error"), ...skipped("b", "c", "d")];

  it("F4: free, with tries left and good gates, it is built alone, once", () => {
    const decision = decide({ plan: chain, rows: broken });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a"] }]);
    expect(decision.launches[0]).toMatchObject({ size: "queue", claims: [{ uniqueId: "a", from: 1 }] });
    const again = decide({ plan: chain, rows: [claimed(broken[0]!, 2), ...broken.slice(1)], tasks: [over(1), live(2, { kind: "fallback" })] });
    expect(again).toMatchObject({ launches: [], settle: false });
  });

  it("F4: waits for its retry time, which doubles with each try", () => {
    const at = (nowMs: number, tries: number[]) =>
      launchesOf(decide({ plan: chain, rows: [row("a", "error", { tryTasks: tries })], nowMs, policy: { retries: { node: 3 } } })).length;
    expect([at(LONG_AGO + 4_999, [1]), at(LONG_AGO + 5_000, [1])]).toEqual([0, 1]);
    expect([at(LONG_AGO + 9_999, [1, 2]), at(LONG_AGO + 10_000, [1, 2])]).toEqual([0, 1]);
  });

  it("F5: its tries used up, it is dead and is not built again", () => {
    const rows = [row("a", "error", { task: 2, tryTasks: [1, 2] }), ...skipped("b", "c", "d")];
    const decision = decide({ plan: chain, rows, tasks: [over(1), fallback(2)] });
    expect(decision.launches).toEqual([]);
    expect(finalsOf(decision)).toMatchObject({ a: "dead" });
    expect(decision.finals[0]).toMatchObject({ finalReason: "Its tries are used up: 2 of 2.", rootCause: "a" });
  });

  it("F6: what it gates waits while it may recover", () => {
    const decision = decide({ plan: chain, rows: broken, nowMs: LONG_AGO + 1 });
    expect(decision).toMatchObject({ launches: [], finals: [], settle: false });
  });

  it("F7, B1: what it gates is doomed by it once it is dead, however deep, and the run is red with one cause", () => {
    const situation = { plan: chain, rows: broken, policy: { retries: { node: 0 } } };
    const decision = decide(situation);
    expect(finalsOf(decision)).toEqual({ a: "dead", b: "doomed by a", c: "doomed by a", d: "doomed by a" });
    expect(decision.settle).toBe(true);
    expect(verdictAfter(situation, decision)).toMatchObject({ state: "red", causes: [{ uniqueId: "a", gates: 3 }] });
  });

  it("B1: a skip is not built and never a try, also where the skip was printed before the failure", () => {
    const rows = [row("b", "skipped", { endedAtMs: LONG_AGO - 9 }), row("a", "error")];
    const decision = decide({ plan: planOf([vertex("a"), vertex("b", ["a"])]), rows });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a"] }]);
  });

  it("G7: dead for good, its siblings stay green, what it gates is doomed, the run is red", () => {
    const plan = planOf([vertex("a"), vertex("b", ["a"]), vertex("x"), vertex("y", ["x"])]);
    const situation = { plan, rows: [row("a", "error"), row("b", "skipped"), row("x", "success"), row("y", "success")], policy: { retries: { node: 0 } } };
    const decision = decide(situation);
    expect(finalsOf(decision)).toEqual({ a: "dead", b: "doomed by a" });
    expect(verdictAfter(situation, decision).state).toBe("red");
  });

  it.each([
    ["Compilation Error in model a (models/a.sql)\n  no such macro", "dead"],
    ["Compilation Error\n  This model has an enforced contract that failed.", "dead"],
    ["Database Error in model a\n  permission denied for schema raw", "dead"],
    ["Database Error in model a\n  could not serialize access", undefined],
    ["Database Error in model a\n  x\n  y\n  row says: permission denied", undefined],
  ])("G16: %j under retryOn: transient", (message, final) => {
    const decision = decide({ plan: planOf([vertex("a")]), rows: [row("a", "error", { message })] });
    expect(finalsOf(decision).a).toBe(final);
    expect(decision.launches.length).toBe(final ? 0 : 1);
    const all = decide({ plan: planOf([vertex("a")]), rows: [row("a", "error", { message })], policy: { retryOn: "all" } });
    expect(all.launches.length).toBe(1);
  });
});

describe("recovery builds", () => {
  const recovered = [row("a", "success", { task: 2, tryTasks: [1, 2] }), ...skipped("b", "c", "d")];

  it("B3, F8: a recovered; what was skipped below it is built by one recovery build, first try", () => {
    const decision = decide({ plan: chain, rows: recovered, tasks: [over(1), fallback(2)] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["b", "c", "d"] }]);
    expect(decision.launches[0]!.claims).toContainEqual({ uniqueId: "b", from: 1 });
  });

  it("B3: when they are good too, the run is green", () => {
    const rows = [recovered[0]!, ...["b", "c", "d"].map((id) => row(id, "success", { task: 3 }))];
    const situation = { plan: chain, rows, tasks: [over(1), fallback(2), over(3, {}, { kind: "recovery" })] };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], finals: [], settle: true });
    expect(verdictAfter(situation, decision)).toMatchObject({ state: "green", sentence: "Every one of 4 vertices is good, 1 after a retry." });
  });

  it("G6: ten descendants of a root that failed once are built by one recovery build", () => {
    const below = Array.from({ length: 10 }, (_, n) => vertex(`m${n}`, n < 5 ? ["a"] : [`m${n - 5}`]));
    const plan = planOf([vertex("a"), ...below]);
    const rows = [row("a", "success", { task: 2, tryTasks: [1, 2] }), ...below.map((one) => row(one.uniqueId, "skipped"))];
    const decision = decide({ plan, rows, tasks: [over(1), fallback(2)] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: below.map((one) => one.uniqueId).sort() }]);
  });

  const two = planOf([vertex("a"), vertex("b"), vertex("d", ["a", "b"]), vertex("only_a", ["a"])]);

  it("G20: a recovered, b did not: what only a gates is built, what both gate is doomed by b", () => {
    const rows = [row("a", "success", { task: 2, tryTasks: [1, 2] }), row("b", "error", { task: 3, tryTasks: [1, 3] }), ...skipped("d", "only_a")];
    const decision = decide({ plan: two, rows, tasks: [over(1), fallback(2), fallback(3)] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["only_a"] }]);
    expect(finalsOf(decision)).toEqual({ b: "dead", d: "doomed by b" });
  });

  it("G20: while b is being retried, the set is held for seconds, never for b's whole retry", () => {
    const rows = [row("a", "success", { task: 2, tryTasks: [1, 2] }), claimed(row("b", "error"), 3), ...skipped("d", "only_a")];
    const tasks = [over(1), fallback(2), live(3, { kind: "fallback" })];
    const first = decide({ plan: two, rows, tasks });
    expect(first).toMatchObject({ launches: [], heldSinceMs: NOW, settle: false });
    expect(decide({ plan: two, rows, tasks, heldSinceMs: NOW - 4_999 })).toMatchObject({ launches: [], heldSinceMs: NOW - 4_999 });
    expect(launchesOf(decide({ plan: two, rows, tasks, heldSinceMs: NOW - 5_000 }))).toEqual([{ kind: "recovery", set: ["only_a"] }]);
  });

  it("G4: launches never pass the cap; one writer at a time where the warehouse takes one", () => {
    const plan = (adapterType: string) => planOf(["a", "b", "c"].map((id) => vertex(id)), { adapterType });
    const rows = ["a", "b", "c"].map((id) => row(id, "error"));
    const count = (adapterType: string, maxTasks: number, tasks = [over(1)]) => decide({ plan: plan(adapterType), rows, tasks, maxTasks }).launches.length;
    expect([count("postgres", 4), count("postgres", 2), count("duckdb", 4)]).toEqual([3, 2, 1]);
    expect(count("postgres", 2, [over(1), live(2, { kind: "recovery" })])).toBe(1);
    expect(count("duckdb", 4, [over(1), live(2, { kind: "recovery" })])).toBe(0);
  });

  it("G4: the failure that gates most goes first when there is room for one", () => {
    const plan = planOf([vertex("a"), vertex("b"), vertex("c", ["b"])]);
    const decision = decide({ plan, rows: [row("a", "error"), row("b", "error"), row("c", "skipped")], maxTasks: 1 });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["b"] }]);
  });

  it("F8: a vertex that no build has mentioned is claimed from nobody", () => {
    const decision = decide({ plan: chain, rows: [row("a", "success")], tasks: [killed(1)] });
    expect(decision.launches[0]!.claims).toContainEqual({ uniqueId: "b", from: null });
  });

  it("F12: a vertex whose owner was claimed after the tasks were read is nobody's to take", () => {
    const rows = [claimed(row("a", "error"), 7), ...skipped("b", "c", "d")];
    expect(decide({ plan: chain, rows })).toMatchObject({ launches: [], finals: [], settle: false });
  });
});

describe("what dbt says nothing of", () => {
  it("F9: planned, gates good, the build ended in order, never reported: failed, and never green", () => {
    const situation = { plan: planOf([vertex("a"), vertex("b", ["a"])]), rows: [row("a", "success")], tasks: [over(1)] };
    const decision = decide(situation);
    expect(finalsOf(decision)).toEqual({ b: "dead" });
    expect(decision.finals[0]!.finalReason).toContain("dbt did not select it");
    expect(verdictAfter(situation, decision).state).toBe("red");
  });

  it("F15: a fallback that selects nothing ends its vertex as failed", () => {
    const empty = { cause: { kind: "empty_selection" as const, sentence: "The selection found nothing to build.", lines: [] } };
    const rows = [claimed(row("a", "error"), 2)];
    const situation = { plan: planOf([vertex("a")]), rows, tasks: [over(1, nodeFailed()), over(2, empty, { kind: "fallback" })], policy: { retries: { node: 5 } } };
    const decision = decide(situation);
    expect(finalsOf(decision)).toEqual({ a: "dead" });
    expect(verdictAfter(situation, decision).state).toBe("red");
  });

  it("F10: an ephemeral is good if its gates are good and the build ended in order", () => {
    const plan = planOf([vertex("a"), ephemeral("e", ["a"])]);
    const situation = { plan, rows: [row("a", "success")], tasks: [over(1)] };
    expect(verdictAfter(situation, decide(situation)).state).toBe("green");
    const cut = decide({ ...situation, tasks: [killed(1)] });
    expect(launchesOf(cut)).toEqual([{ kind: "recovery", set: ["e"] }]);
  });

  it("F10: a child that began proves an ephemeral although the build was killed", () => {
    const plan = planOf([ephemeral("e"), vertex("a", ["e"]), vertex("b", ["e"])]);
    const decision = decide({ plan, rows: [row("a", "started")], tasks: [killed(1)] });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a"] }]);
  });

  it("B4: an ephemeral between a failed model and its child does not free the child", () => {
    const plan = planOf([vertex("a"), ephemeral("e", ["a"]), vertex("b", ["a", "e"])]);
    const rows = [row("a", "error")];
    expect(launchesOf(decide({ plan, rows }))).toEqual([{ kind: "fallback", set: ["a"] }]);
    expect(finalsOf(decide({ plan, rows, policy: { retries: { node: 0 } } }))).toEqual({ a: "dead", b: "doomed by a", e: "doomed by a" });
  });

  it("B4: a child that dbt skipped without its id is built once the ephemeral has recovered", () => {
    const plan = planOf([ephemeral("e"), vertex("b", ["e"])]);
    expect(launchesOf(decide({ plan, rows: [row("e", "error")] }))).toEqual([{ kind: "fallback", set: ["e"] }]);
    const rows = [claimed(row("e", "error"), 2)];
    const decision = decide({ plan, rows, tasks: [over(1, nodeFailed()), fallback(2)] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["b"] }]);
    expect(decision.finals).toEqual([]);
  });

  it("F10: an exposure below a recovered model is good without a build of its own", () => {
    const plan = planOf([vertex("a"), vertex("exposure.e", ["a"])]);
    const rows = [row("a", "success", { task: 2, tryTasks: [1, 2] }), row("exposure.e", "skipped")];
    const situation = { plan, rows, tasks: [over(1, nodeFailed()), fallback(2)] };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(verdictAfter(situation, decision).state).toBe("green");
  });
});

describe("tests as vertices", () => {
  const plan = planOf([vertex("a"), dataTest("test.a", ["a"]), vertex("b", ["a", "test.a"])]);
  const failing = [row("a", "success"), row("test.a", "fail"), row("b", "skipped")];

  it("B6: a failed test is the failed vertex, and gates its node's children on the retry too", () => {
    expect(launchesOf(decide({ plan, rows: failing }))).toEqual([{ kind: "fallback", set: ["test.a"] }]);
    const dead = decide({ plan, rows: failing, policy: { retries: { test: 0 } } });
    expect(finalsOf(dead)).toEqual({ "test.a": "dead", b: "doomed by test.a" });
  });

  it.each([
    ["test", [["test.a"]]],
    ["none", []],
    ["node", [["a", "test.a"]]],
  ])("C12: onTestFailure %s", (onTestFailure, sets) => {
    const decision = decide({ plan, rows: failing, policy: { onTestFailure } });
    expect(decision.launches.map((launch) => [...launch.uniqueIds].sort())).toEqual(sets);
  });

  it("C12: onTestFailure node runs every test of the node again, in one build", () => {
    const more = planOf([vertex("a"), dataTest("test.a", ["a"]), dataTest("test.good", ["a"]), dataTest("test.too", ["a"])]);
    const rows = [row("a", "success"), row("test.a", "fail"), row("test.good", "pass"), row("test.too", "fail")];
    const decision = decide({ plan: more, rows, policy: { onTestFailure: "node" } });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a", "test.a", "test.good", "test.too"] }]);
  });

  it("C12: a test that is older than its node's last build says nothing of it", () => {
    const rows = [row("a", "success", { task: 2, tryTasks: [1, 2] }), row("test.a", "pass"), row("b", "success")];
    const decision = decide({ plan, rows, tasks: [over(1), fallback(2)] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["test.a"] }]);
  });

  it("C9: a failed test on a source is decided about although no node owns it", () => {
    const source = planOf([dataTest("test.source", []), vertex("a", ["test.source"])]);
    const rows = [row("test.source", "fail"), row("a", "skipped")];
    expect(launchesOf(decide({ plan: source, rows }))).toEqual([{ kind: "fallback", set: ["test.source"] }]);
    expect(finalsOf(decide({ plan: source, rows, policy: { retries: { test: 0 } } }))).toEqual({ "test.source": "dead", a: "doomed by test.source" });
  });

  it("B5: a unit test that fails dooms its model under retryOn: transient, and is retried before it otherwise", () => {
    const unit = planOf([vertex("unit_test.m", [], { on: ["m"] }), vertex("m", ["unit_test.m"])]);
    const rows = [row("unit_test.m", "fail"), row("m", "skipped")];
    expect(finalsOf(decide({ plan: unit, rows }))).toEqual({ "unit_test.m": "dead", m: "doomed by unit_test.m" });
    expect(launchesOf(decide({ plan: unit, rows, policy: { retryOn: "all" } }))).toEqual([{ kind: "fallback", set: ["unit_test.m"] }]);
  });

  const shared = planOf([vertex("a"), vertex("b"), dataTest("test.ab", ["a", "b"]), dataTest("test.a", ["a"])]);

  it("C2, C13: a test over two nodes goes into a build only when its other parent is good", () => {
    const rows = [row("a", "error"), row("b", "error"), ...skipped("test.ab", "test.a")];
    expect(launchesOf(decide({ plan: shared, rows }))).toEqual([
      { kind: "fallback", set: ["a", "test.a"] },
      { kind: "fallback", set: ["b"] },
    ]);
    const later = [rows[0]!, row("b", "success"), rows[2]!, rows[3]!];
    expect(launchesOf(decide({ plan: shared, rows: later }))).toEqual([{ kind: "fallback", set: ["a", "test.a", "test.ab"] }]);
  });

  it("C13: and never in two builds at once", () => {
    const rows = [claimed(row("a", "error"), 2), row("b", "success"), claimed(row("test.ab", "skipped"), 2), claimed(row("test.a", "skipped"), 2)];
    expect(decide({ plan: shared, rows, tasks: [over(1), live(2, { kind: "fallback" })] }).launches).toEqual([]);
  });
});

describe("how the producer ended", () => {
  const plan = planOf([vertex("a"), vertex("x"), vertex("b", ["a"]), vertex("y", ["x"])]);

  it("B8: fail-fast: the rest is built if the failure recovers, and not before", () => {
    const rows = [row("a", "error"), row("x", "success")];
    const tasks = [over(1, nodeFailed({ failFast: true }))];
    const first = decide({ plan, rows, tasks, heldSinceMs: 0 });
    expect(launchesOf(first)).toEqual([{ kind: "fallback", set: ["a"] }]);
    const healed = [row("a", "success", { task: 2, tryTasks: [1, 2] }), row("x", "success")];
    expect(launchesOf(decide({ plan, rows: healed, tasks: [...tasks, fallback(2)] }))).toEqual([{ kind: "recovery", set: ["b", "y"] }]);
  });

  it("B8: fail-fast: the rest stays unbuilt if the failure does not recover", () => {
    const rows = [row("a", "error"), row("x", "success")];
    const situation: Situation = { plan, rows, tasks: [over(1, nodeFailed({ failFast: true }))], policy: { retries: { node: 0 } } };
    const decision = decide(situation);
    expect(finalsOf(decision)).toEqual({ a: "dead", b: "doomed by a", y: "not_built" });
    expect(verdictAfter(situation, decision)).toMatchObject({ state: "red", causes: [{ uniqueId: "a" }] });
  });

  it("B8: a model that failed below an ephemeral is retried although fail-fast left the ephemeral unsaid", () => {
    const below = planOf([ephemeral("e"), vertex("a", ["e"]), vertex("z")]);
    const decision = decide({ plan: below, rows: [row("a", "error")], tasks: [over(1, nodeFailed({ failFast: true }))] });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a"] }]);
  });

  const hook = { hookFailures: [{ name: "audit", message: "relation is locked", phase: "start" as const }] };

  it("B10: a failed on-run-start hook leaves the vertices as they ended; one clear cause, red", () => {
    const rows = [row("a", "success"), row("x", "error"), row("b", "success"), row("y", "skipped")];
    const situation = { plan, rows, tasks: [over(1, nodeFailed(hook))] };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(finalsOf(decision)).toMatchObject({ x: "dead", y: "doomed by x" });
    expect(verdictAfter(situation, decision).causes[0]!.sentence).toBe("The on-run-start hook audit failed: relation is locked");
  });

  it("B10: where dbt skips all for it, nothing is built again", () => {
    const situation = { plan, rows: skipped("a", "x", "b", "y"), tasks: [over(1, { ...hook, exitCode: 1 })] };
    const decision = decide(situation);
    expect(finalsOf(decision)).toEqual({ a: "not_built", x: "not_built", b: "not_built", y: "not_built" });
    expect(verdictAfter(situation, decision)).toMatchObject({ state: "red", causes: [{ kind: "run" }] });
  });

  it.each(["red", "warn"] as const)("B11: a failed on-run-end hook with hookFailure: %s", (hookFailure) => {
    const end = { exitCode: 1, hookFailures: [{ name: "grants", message: "no role", phase: "end" as const }], cause: { kind: "hook" as const, sentence: "The hook grants failed.", lines: [] } };
    const rows = ["a", "x", "b", "y"].map((id) => row(id, "success"));
    const situation = { plan, rows, tasks: [over(1, end)], policy: { hookFailure } };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], finals: [], settle: true });
    expect(verdictAfter(situation, decision).state).toBe(hookFailure === "red" ? "red" : "green");
  });

  it("B11: an exit code that no vertex explains is red although every vertex is good", () => {
    const end = { exitCode: 2, cause: { kind: "unexplained_exit" as const, sentence: "dbt ended with exit code 2 although no vertex failed.", lines: [] } };
    const situation = { plan, rows: ["a", "x", "b", "y"].map((id) => row(id, "success")), tasks: [over(1, end)] };
    expect(verdictAfter(situation, decide(situation))).toMatchObject({ state: "red", causes: [{ sentence: "Task 1: dbt ended with exit code 2 although no vertex failed." }] });
  });
});

describe("a stop", () => {
  it("launches nothing more, stops what lives, then gives every vertex its last word", () => {
    const rows = [row("a", "error"), ...skipped("b", "c", "d")];
    const stopping = decide({ plan: chain, rows, tasks: [over(1), live(2, { kind: "fallback" })], stopReason: "enough" });
    expect(stopping).toMatchObject({ launches: [], stopTasks: true, settle: false });
    const situation = { plan: chain, rows, stopReason: "enough" };
    const decision = decide(situation);
    expect(decision.settle).toBe(true);
    expect(finalsOf(decision)).toEqual({ a: "dead", b: "not_built", c: "not_built", d: "not_built" });
    expect(verdictAfter(situation, decision).state).toBe("stopped");
  });

  it("F9: before the producer is launched, or before there is a plan, it is never green", () => {
    for (const tasks of [[], [killed(1)], [over(1)]]) {
      const situation = { tasks, stopReason: "enough" };
      const decision = decide(situation);
      expect(decision).toMatchObject({ launches: [], settle: true });
      expect(verdictAfter(situation, decision).state).toBe("stopped");
    }
  });
});
