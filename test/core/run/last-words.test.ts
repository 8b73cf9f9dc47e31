import { describe, expect, it } from "vitest";
import type { Cause } from "#core/contracts/cause.ts";
import { dataTest, decide, finalsOf, live, nodeFailed, over, planOf, row, vertex } from "../../support/run-builders.ts";

const once = { retries: { node: 0, test: 0 } };

describe("last words", () => {
  it("B1: a good vertex below a dead one keeps its table and gets none", () => {
    const plan = planOf([vertex("a"), vertex("good", ["a"]), vertex("below", ["a", "good"])]);
    const rows = [row("a", "error"), row("good", "success"), row("below", "skipped")];
    expect(finalsOf(decide({ plan, rows, policy: once }))).toEqual({ a: "dead", below: "doomed by a" });
  });

  it("E4: what another task still builds gets none, although what gates it is dead", () => {
    const plan = planOf([vertex("a"), vertex("b", ["a"]), vertex("c", ["b"])]);
    const rows = [row("a", "error"), row("b", "started", { task: 2 }), row("c", "skipped")];
    const tasks = [over(1, nodeFailed()), live(2, { kind: "recovery" })];
    expect(finalsOf(decide({ plan, rows, tasks, policy: once }))).toEqual({ a: "dead" });
  });

  it("F7: of two parents that are closed, the one that failed is named, not the one that was left out", () => {
    const left = { final: "not_built", finalReason: "left out" } as const;
    const plan = planOf([vertex("left"), vertex("a"), vertex("below", ["left", "a"]), vertex("under", ["left"])]);
    const rows = [row("left", "skipped", left), row("a", "error"), row("below", "skipped"), row("under", "skipped")];
    const decision = decide({ plan, rows, policy: once });
    expect(finalsOf(decision)).toEqual({ a: "dead", below: "doomed by a", under: "not_built" });
    expect(decision.finals.find((word) => word.uniqueId === "under")?.finalReason).toBe("left out");
  });

  it("C15: of a model that is not going to be built, what is open of its unit tests is closed, and what is good stays", () => {
    const unit = (id: string) => vertex(`unit_test.${id}`, [], { on: ["m"] });
    const plan = planOf([
      unit("good"),
      unit("failed"),
      unit("open"),
      vertex("m", ["root", "unit_test.good"]),
      vertex("root"),
    ]);
    const rows = [
      row("root", "error"),
      row("unit_test.good", "pass"),
      row("unit_test.failed", "fail"),
      row("unit_test.open", "skipped"),
      row("m", "skipped"),
    ];
    const policy = { retries: { node: 0, test: 3 }, retryOn: "all" };
    expect(finalsOf(decide({ plan, rows, policy }))).toEqual({
      root: "dead",
      m: "doomed by root",
      "unit_test.failed": "dead",
      "unit_test.open": "doomed by root",
    });
  });

  it("C15: and where nobody failed, for the reason for which the model is not built", () => {
    const plan = planOf([vertex("unit_test.open", [], { on: ["m"] }), vertex("m")]);
    const rows = [
      row("unit_test.open", "skipped"),
      row("m", "skipped", { final: "not_built", finalReason: "by hand" }),
    ];
    const { finals } = decide({ plan, rows });
    expect(finals).toEqual([{ uniqueId: "unit_test.open", final: "not_built", finalReason: "by hand" }]);
  });

  it("B8: a fail-fast build whose failure may still recover closes nothing that it left open", () => {
    const plan = planOf([vertex("a"), vertex("b"), vertex("left", [], {})]);
    const rows = [
      row("a", "error"),
      row("b", "skipped"),
      row("left", "skipped", { final: "not_built", finalReason: "x" }),
    ];
    const tasks = [over(1, nodeFailed({ failFast: true }))];
    expect(finalsOf(decide({ plan, rows, tasks }))).toEqual({});
    expect(finalsOf(decide({ plan, rows, tasks, policy: once }))).toEqual({ a: "dead", b: "not_built" });
  });

  it("B10: a hook that ended the producer keeps the rest from being built only if dbt named none that failed at the end", () => {
    const plan = planOf([vertex("a"), dataTest("test.a", ["a"])]);
    const hook: Cause = { kind: "hook", sentence: "A hook failed.", lines: [] };
    const rows = [row("a", "success"), row("test.a", "skipped")];
    const failed = [{ name: "end", message: "no", phase: "end" as const }];
    const told = decide({ plan, rows, tasks: [over(1, { cause: hook, hookFailures: failed })] });
    expect(finalsOf(told)).toEqual({});
    const untold = decide({ plan, rows, tasks: [over(1, { cause: hook })] });
    expect(finalsOf(untold)).toEqual({ "test.a": "not_built" });
  });

  it("C7: an empty producer forbids nothing where its deferred tests alone were selected, and all else otherwise", () => {
    const nothing: Cause = { kind: "empty_selection", sentence: "Nothing.", lines: [] };
    const empty = { cause: nothing };
    const deferred = planOf([vertex("a"), dataTest("test.a", ["a"], { deferred: true })]);
    const plain = planOf([vertex("a")]);
    const skipped = [row("a", "skipped")];
    expect(finalsOf(decide({ plan: deferred, rows: skipped, tasks: [over(1, empty)] }))).toEqual({});
    expect(finalsOf(decide({ plan: plain, rows: skipped, tasks: [over(1, empty)] }))).toEqual({ a: "not_built" });
  });
});
