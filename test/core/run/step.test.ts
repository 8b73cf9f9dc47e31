import { describe, expect, it } from "vitest";
import {
  claimed,
  decide,
  finalsOf,
  killed,
  LONG_AGO,
  launchesOf,
  live,
  NOW,
  over,
  planOf,
  row,
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
    const again = decide({
      plan: chain,
      rows: [claimed(broken[0]!, 2), ...broken.slice(1)],
      tasks: [over(1), live(2, { kind: "fallback" })],
    });
    expect(again).toMatchObject({ launches: [], settle: false });
  });

  it("F4: waits for its retry time, which doubles with each try", () => {
    const at = (nowMs: number, tries: number[]) =>
      launchesOf(
        decide({
          plan: chain,
          rows: [row("a", "error", { tryTasks: tries })],
          nowMs,
          policy: { retries: { node: 3 } },
        }),
      ).length;
    expect([at(LONG_AGO + 4_999, [1]), at(LONG_AGO + 5_000, [1])]).toEqual([0, 1]);
    expect([at(LONG_AGO + 9_999, [1, 2]), at(LONG_AGO + 10_000, [1, 2])]).toEqual([0, 1]);
  });

  it("F4: no wait doubles beyond five minutes, so that the last tries come before the deadline", () => {
    const tries = Array.from({ length: 12 }, (_, at) => at + 1);
    const at = (nowMs: number) =>
      decide({ plan: chain, rows: [row("a", "error", { tryTasks: tries })], nowMs, policy: { retries: { node: 20 } } });
    expect(at(LONG_AGO + 299_999).launches).toEqual([]);
    expect(at(LONG_AGO + 300_000).launches).toHaveLength(1);
  });

  it("F5: its tries used up, it is dead and is not built again", () => {
    const rows = [row("a", "error", { task: 2, tryTasks: [1, 2] }), ...skipped("b", "c", "d")];
    const decision = decide({ plan: chain, rows, tasks: [over(1), fallback(2)] });
    expect(decision.launches).toEqual([]);
    expect(finalsOf(decision)).toMatchObject({ a: "dead" });
    expect(decision.finals[0]).toMatchObject({ finalReason: "Its tries are used up: 2 of 2.", rootCause: "a" });
  });

  it("F5: it is not given up before the build that failed it has ended", () => {
    const rows = [row("a", "error", { task: 2, tryTasks: [1, 2] }), ...skipped("b", "c", "d")];
    const decision = decide({ plan: chain, rows, tasks: [over(1), live(2, { kind: "fallback" })] });
    expect(decision).toMatchObject({ launches: [], finals: [], settle: false });
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

  it("F7: what failed below it is dead too and says so, and no last word is taken back", () => {
    const rows = [row("a", "error", { tryTasks: [1, 2] }), row("b", "error"), ...skipped("c", "d")];
    const decision = decide({ plan: chain, rows, tasks: [over(1), fallback(2)] });
    expect(finalsOf(decision)).toEqual({ a: "dead", b: "dead", c: "doomed by b", d: "doomed by b" });
    expect(decision.finals[1]!.finalReason).toBe("Not tried again: a, which gates it, is not good.");
    const doomed = { final: "doomed" as const, finalReason: "Upstream failed: a", rootCause: "a" };
    const standing = [row("a", "success", { task: 2 }), row("b", "skipped", doomed), ...skipped("c", "d")];
    const later = decide({ plan: chain, rows: standing, tasks: [over(1), fallback(2)] });
    expect(later).toMatchObject({ launches: [], settle: true });
    expect(finalsOf(later)).toEqual({ c: "doomed by a", d: "doomed by a" });
  });

  it("B1: a skip is not built and never a try, also where the skip was printed before the failure", () => {
    const rows = [row("b", "skipped", { endedAtMs: LONG_AGO - 9 }), row("a", "error")];
    const decision = decide({ plan: planOf([vertex("a"), vertex("b", ["a"])]), rows });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a"] }]);
  });

  it("G7: dead for good, its siblings stay green, what it gates is doomed, the run is red", () => {
    const plan = planOf([vertex("a"), vertex("b", ["a"]), vertex("x"), vertex("y", ["x"])]);
    const situation = {
      plan,
      rows: [row("a", "error"), row("b", "skipped"), row("x", "success"), row("y", "success")],
      policy: { retries: { node: 0 } },
    };
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
    const all = decide({
      plan: planOf([vertex("a")]),
      rows: [row("a", "error", { message })],
      policy: { retryOn: "all" },
    });
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
    expect(verdictAfter(situation, decision)).toMatchObject({
      state: "green",
      sentence: "Every one of 4 vertices is good, 1 after a retry.",
    });
  });

  it("G6: ten descendants of a root that failed once are built by one recovery build", () => {
    const below = Array.from({ length: 10 }, (_, n) => vertex(`m${n}`, n < 5 ? ["a"] : [`m${n - 5}`]));
    const plan = planOf([vertex("a"), ...below]);
    const rows = [
      row("a", "success", { task: 2, tryTasks: [1, 2] }),
      ...below.map((one) => row(one.uniqueId, "skipped")),
    ];
    const decision = decide({ plan, rows, tasks: [over(1), fallback(2)] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: below.map((one) => one.uniqueId).sort() }]);
  });

  const two = planOf([vertex("a"), vertex("b"), vertex("d", ["a", "b"]), vertex("only_a", ["a"])]);

  it("G20: a recovered, b did not: what only a gates is built, what both gate is doomed by b", () => {
    const rows = [
      row("a", "success", { task: 2, tryTasks: [1, 2] }),
      row("b", "error", { task: 3, tryTasks: [1, 3] }),
      ...skipped("d", "only_a"),
    ];
    const decision = decide({ plan: two, rows, tasks: [over(1), fallback(2), fallback(3)] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["only_a"] }]);
    expect(finalsOf(decision)).toEqual({ b: "dead", d: "doomed by b" });
  });

  it("G20: while b is being retried, the set is held for seconds, never for b's whole retry", () => {
    const rows = [
      row("a", "success", { task: 2, tryTasks: [1, 2] }),
      claimed(row("b", "error"), 3),
      ...skipped("d", "only_a"),
    ];
    const tasks = [over(1), fallback(2), live(3, { kind: "fallback" })];
    const first = decide({ plan: two, rows, tasks });
    expect(first).toMatchObject({ launches: [], heldSinceMs: NOW, settle: false });
    expect(decide({ plan: two, rows, tasks, heldSinceMs: NOW - 4_999 })).toMatchObject({
      launches: [],
      heldSinceMs: NOW - 4_999,
    });
    expect(launchesOf(decide({ plan: two, rows, tasks, heldSinceMs: NOW - 5_000 }))).toEqual([
      { kind: "recovery", set: ["only_a"] },
    ]);
  });

  it("G20: a set that was held and then waits for a place is not held anew", () => {
    const rows = [
      row("a", "success", { task: 2, tryTasks: [1, 2] }),
      claimed(row("b", "error"), 3),
      ...skipped("d", "only_a"),
    ];
    const tasks = [over(1), fallback(2), live(3, { kind: "fallback" })];
    const held = { heldSinceMs: NOW - 5_000, maxTasks: 1 };
    expect(decide({ plan: two, rows, tasks, ...held })).toMatchObject({ launches: [], heldSinceMs: NOW - 5_000 });
  });

  it("G4: launches never pass the cap; one writer at a time where the warehouse takes one", () => {
    const plan = (adapterType: string) =>
      planOf(
        ["a", "b", "c"].map((id) => vertex(id)),
        { adapterType },
      );
    const rows = ["a", "b", "c"].map((id) => row(id, "error"));
    const count = (adapterType: string, maxTasks: number, tasks = [over(1)]) =>
      decide({ plan: plan(adapterType), rows, tasks, maxTasks }).launches.length;
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

  it("F8: what a live build has skipped is that build's until it is over", () => {
    const rows = [row("a", "success"), row("b", "skipped", { task: 2 })];
    const plan = planOf([vertex("a"), vertex("b", ["a"])]);
    expect(decide({ plan, rows, tasks: [over(1), live(2, { kind: "recovery" })] }).launches).toEqual([]);
    expect(decide({ plan, rows, tasks: [over(1), over(2, {}, { kind: "recovery" })] }).launches).toHaveLength(1);
  });

  it("F12: the run is not over while a task lives, although every vertex is good", () => {
    const rows = [row("a", "success", { task: 2 }), ...["b", "c", "d"].map((id) => row(id, "success"))];
    const living = [over(1), live(2, { kind: "fallback" })];
    expect(decide({ plan: chain, rows, tasks: living })).toMatchObject({ launches: [], finals: [], settle: false });
    expect(decide({ plan: chain, rows, tasks: [over(1), fallback(2)] }).settle).toBe(true);
  });

  it("F12: a vertex whose owner was claimed after the tasks were read is nobody's to take", () => {
    const rows = [claimed(row("a", "error"), 7), ...skipped("b", "c", "d")];
    expect(decide({ plan: chain, rows })).toMatchObject({ launches: [], finals: [], settle: false });
  });
});

describe("a plan of 10,000 vertices", () => {
  it("F11: 9,000 below 1,000 that failed at once are decided about within a turn, not within an hour of retries", () => {
    const below = Array.from({ length: 9_000 }, (_, n) =>
      vertex(`m${n}`, [`root${n % 1_000}`, `root${(n * 7) % 1_000}`, ...(n > 0 ? [`m${n - 1}`] : [])]),
    );
    const roots = Array.from({ length: 1_000 }, (_, n) => vertex(`root${n}`));
    const rows = [
      ...roots.map((one) => row(one.uniqueId, "error")),
      ...below.map((one) => row(one.uniqueId, "skipped")),
    ];
    const decision = decide({ plan: planOf([...roots, ...below]), rows });
    expect(decision.launches.map((launch) => launch.uniqueIds)).toEqual([["root0"], ["root1"], ["root2"], ["root3"]]);
  });
});

describe("a stop", () => {
  it("launches nothing more, stops what lives, then gives every vertex its last word", () => {
    const rows = [row("a", "error"), ...skipped("b", "c", "d")];
    const stopping = decide({
      plan: chain,
      rows,
      tasks: [over(1), live(2, { kind: "fallback" })],
      stopReason: "enough",
    });
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
