import { describe, expect, it } from "vitest";
import {
  claimed,
  decide,
  ephemeral,
  finalsOf,
  launchesOf,
  live,
  nodeFailed,
  over,
  planOf,
  row,
  type Situation,
  verdictAfter,
  vertex,
} from "../../support/run-builders.ts";

const skipped = (...ids: string[]) => ids.map((id) => row(id, "skipped"));
const fallback = (task: number) => over(task, {}, { kind: "fallback" });

describe("how the producer ended", () => {
  const plan = planOf([vertex("a"), vertex("x"), vertex("b", ["a"]), vertex("y", ["x"])]);

  it("B8: fail-fast: the rest is built if the failure recovers, and not before", () => {
    const rows = [row("a", "error"), row("x", "success")];
    const tasks = [over(1, nodeFailed({ failFast: true }))];
    const first = decide({ plan, rows, tasks, heldSinceMs: 0 });
    expect(launchesOf(first)).toEqual([{ kind: "fallback", set: ["a"] }]);
    const healed = [row("a", "success", { task: 2, tryTasks: [1, 2] }), row("x", "success")];
    expect(launchesOf(decide({ plan, rows: healed, tasks: [...tasks, fallback(2)] }))).toEqual([
      { kind: "recovery", set: ["b", "y"] },
    ]);
  });

  it("B8: fail-fast: the rest stays unbuilt if the failure does not recover", () => {
    const rows = [row("a", "error"), row("x", "success")];
    const situation: Situation = {
      plan,
      rows,
      tasks: [over(1, nodeFailed({ failFast: true }))],
      policy: { retries: { node: 0 } },
    };
    const decision = decide(situation);
    expect(finalsOf(decision)).toEqual({ a: "dead", b: "doomed by a", y: "not_built" });
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(verdictAfter(situation, decision)).toMatchObject({ state: "red", causes: [{ uniqueId: "a" }] });
  });

  it("B8: fail-fast: what a live build has skipped waits for that build's end", () => {
    const rows = [row("a", "error"), row("x", "success"), row("b", "skipped"), row("y", "skipped", { task: 2 })];
    const decision = decide({
      plan,
      rows,
      tasks: [over(1, nodeFailed({ failFast: true })), live(2, { kind: "recovery" })],
      policy: { retries: { node: 0 } },
    });
    expect(finalsOf(decision)).toEqual({ a: "dead", b: "doomed by a" });
    expect(decision.settle).toBe(false);
  });

  it("B11: a failed on-run-end hook keeps nothing from being built", () => {
    const grants = { name: "grants", message: "no role", phase: "end" as const };
    const end = { hookFailures: [grants], cause: { kind: "hook" as const, sentence: "It failed.", lines: [] } };
    const rows = [row("a", "success"), row("x", "success"), row("b", "success"), row("y", "skipped")];
    expect(launchesOf(decide({ plan, rows, tasks: [over(1, { ...end, exitCode: 1 })] }))).toEqual([
      { kind: "recovery", set: ["y"] },
    ]);
  });

  it("D3: a warehouse that dbt gave up in the middle: what is good stays, the rest is not built, and the run says why", () => {
    const cause = { kind: "connection" as const, sentence: "dbt could not reach the warehouse.", lines: [] };
    const situation = { plan, rows: [row("a", "success")], tasks: [over(1, { inOrder: false, exitCode: 2, cause })] };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(finalsOf(decision)).toEqual({ b: "not_built", x: "not_built", y: "not_built" });
    expect(verdictAfter(situation, decision).sentence).toContain(cause.sentence);
    const good = { ...situation, rows: ["a", "x", "b", "y"].map((id) => row(id, "success")) };
    expect(verdictAfter(good, decide(good))).toMatchObject({ state: "red", causes: [{ sentence: cause.sentence }] });
  });

  it("D3: a warehouse that went away under what was built: that, and the rest, is built again", () => {
    const cause = { kind: "connection" as const, sentence: "dbt lost the warehouse.", lines: [] };
    const end = { inOrder: false, exitCode: 2, cause, lostWarehouse: true };
    const situation = { plan, rows: [row("a", "success"), row("x", "error")], tasks: [over(1, end)] };
    const decision = decide(situation);
    expect(decision).toMatchObject({ settle: false, finals: [] });
    expect(decision.launches.length).toBeGreaterThan(0);
    const good = { ...situation, rows: ["a", "x", "b", "y"].map((id) => row(id, "success")) };
    expect(verdictAfter(good, decide(good)).state).toBe("green");
  });

  it("B8: a model that failed below an ephemeral is retried although fail-fast left the ephemeral unsaid", () => {
    const below = planOf([ephemeral("e"), vertex("a", ["e"]), vertex("z")]);
    const decision = decide({
      plan: below,
      rows: [row("a", "error")],
      tasks: [over(1, nodeFailed({ failFast: true }))],
    });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a"] }]);
  });

  const hook = { hookFailures: [{ name: "audit", message: "relation is locked", phase: "start" as const }] };

  it("B10: a failed on-run-start hook leaves the vertices as they ended; one clear cause, red", () => {
    const rows = [row("a", "success"), row("x", "error"), row("b", "success"), row("y", "skipped")];
    const situation = { plan, rows, tasks: [over(1, nodeFailed(hook))] };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(finalsOf(decision)).toMatchObject({ x: "dead", y: "doomed by x" });
    const [first] = verdictAfter(situation, decision).causes;
    expect(first!.sentence).toBe("The on-run-start hook audit failed: relation is locked");
    expect(first!.nextStep).not.toContain("hookFailure");
  });

  it("B10: a recovery build whose start hook failed says nothing of its set by its silence: it is built again", () => {
    const rows = [row("a", "success"), row("x", "success"), row("y", "success"), claimed(row("b", "skipped"), 2)];
    const end = { ...hook, exitCode: 1, cause: { kind: "hook" as const, sentence: "It failed.", lines: [] } };
    const decision = decide({ plan, rows, tasks: [over(1), over(2, end, { kind: "recovery" })] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["b"] }]);
    expect(decision.finals).toEqual([]);
  });

  it("B10: where dbt skips all for it, nothing is built again", () => {
    const situation = { plan, rows: skipped("a", "x", "b", "y"), tasks: [over(1, { ...hook, exitCode: 1 })] };
    const decision = decide(situation);
    expect(finalsOf(decision)).toEqual({ a: "not_built", x: "not_built", b: "not_built", y: "not_built" });
    expect(verdictAfter(situation, decision)).toMatchObject({ state: "red", causes: [{ kind: "run" }] });
    const good = ["a", "x", "b", "y"].map((id) => row(id, "success"));
    const built = { plan, rows: good, tasks: [over(1, hook)], policy: { hookFailure: "warn" } };
    expect(verdictAfter(built, decide(built)).state).toBe("red");
  });

  it.each(["red", "warn"] as const)("B11: a failed on-run-end hook with hookFailure: %s", (hookFailure) => {
    const end = {
      exitCode: 1,
      hookFailures: [{ name: "grants", message: "no role", phase: "end" as const }],
      cause: { kind: "hook" as const, sentence: "The hook grants failed.", lines: [] },
    };
    const rows = ["a", "x", "b", "y"].map((id) => row(id, "success"));
    const situation = { plan, rows, tasks: [over(1, end)], policy: { hookFailure } };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], finals: [], settle: true });
    expect(verdictAfter(situation, decision).state).toBe(hookFailure === "red" ? "red" : "green");
  });

  it("B11: an exit code that no vertex explains is red although every vertex is good", () => {
    const end = {
      exitCode: 2,
      cause: {
        kind: "unexplained_exit" as const,
        sentence: "dbt ended with exit code 2 although no vertex failed.",
        lines: [],
      },
    };
    const situation = { plan, rows: ["a", "x", "b", "y"].map((id) => row(id, "success")), tasks: [over(1, end)] };
    expect(verdictAfter(situation, decide(situation))).toMatchObject({
      state: "red",
      causes: [{ sentence: "Task 1: dbt ended with exit code 2 although no vertex failed." }],
    });
  });
});
