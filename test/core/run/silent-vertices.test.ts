import { describe, expect, it } from "vitest";
import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { viewVertices } from "#core/run/judging/vertex-view.ts";
import { shownClass } from "#core/run/reporting/report.ts";
import {
  claimed,
  decide,
  ephemeral,
  finalsOf,
  killed,
  launchesOf,
  nodeFailed,
  over,
  planOf,
  row,
  verdictAfter,
  vertex,
} from "../../support/run-builders.ts";

const fallback = (task: number) => over(task, {}, { kind: "fallback" });

describe("what dbt says nothing of", () => {
  it("F9: planned, gates good, the build ended in order, never reported: failed, and never green", () => {
    const situation = {
      plan: planOf([vertex("a"), vertex("b", ["a"])]),
      rows: [row("a", "success")],
      tasks: [over(1)],
    };
    const decision = decide(situation);
    expect(finalsOf(decision)).toEqual({ b: "dead" });
    expect(decision.finals[0]!.finalReason).toContain("dbt did not select it");
    expect(verdictAfter(situation, decision).state).toBe("red");
  });

  it("F15: a fallback that selects nothing ends its vertex as failed", () => {
    const empty = {
      cause: { kind: "empty_selection" as const, sentence: "The selection found nothing to build.", lines: [] },
    };
    const rows = [claimed(row("a", "error"), 2)];
    const situation = {
      plan: planOf([vertex("a")]),
      rows,
      tasks: [over(1, nodeFailed()), over(2, empty, { kind: "fallback" })],
      policy: { retries: { node: 5 } },
    };
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
    expect(finalsOf(decide({ plan, rows, policy: { retries: { node: 0 } } }))).toEqual({
      a: "dead",
      b: "doomed by a",
      e: "doomed by a",
    });
  });

  it("B4: a child that dbt skipped without its id is built once the ephemeral has recovered", () => {
    const plan = planOf([ephemeral("e"), vertex("b", ["e"])]);
    expect(launchesOf(decide({ plan, rows: [row("e", "error")] }))).toEqual([{ kind: "fallback", set: ["e"] }]);
    const rows = [claimed(row("e", "error"), 2)];
    const decision = decide({ plan, rows, tasks: [over(1, nodeFailed()), fallback(2)] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["b"] }]);
    expect(decision.finals).toEqual([]);
  });

  it("F10: an exposure is not good below a failed model, nor after a build that was cut short", () => {
    const plan = planOf([vertex("a"), vertex("exposure.e", ["a"])]);
    const rows = [row("a", "error"), row("exposure.e", "skipped")];
    expect(finalsOf(decide({ plan, rows, policy: { retries: { node: 0 } } }))).toEqual({
      a: "dead",
      "exposure.e": "doomed by a",
    });
    const cut = decide({ plan, rows: [row("a", "success")], tasks: [killed(1)] });
    expect(launchesOf(cut)).toEqual([{ kind: "recovery", set: ["exposure.e"] }]);
  });

  it("F10: an exposure below a recovered model is good without a build of its own", () => {
    const plan = planOf([vertex("a"), vertex("exposure.e", ["a"])]);
    const rows = [row("a", "success", { task: 2, tryTasks: [1, 2] }), row("exposure.e", "skipped")];
    const situation = { plan, rows, tasks: [over(1, nodeFailed()), fallback(2)] };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(verdictAfter(situation, decision).state).toBe("green");
  });

  describe("a skip for which nothing else gives a reason puts the silent ephemerals above it in doubt", () => {
    const plan = planOf([ephemeral("top"), ephemeral("low", ["top"]), vertex("on", ["low", "top"])]);
    const skipped = { plan, rows: [row("on", "skipped")], tasks: [over(1, nodeFailed())] };
    const classes = (situation: { rows: VertexRow[]; tasks: TaskRow[] }) =>
      Object.fromEntries(
        [...viewVertices(plan, situation.rows, situation.tasks)].map(([id, view]) => [id, shownClass(view)]),
      );

    it("B4: of two the upper one failed, since dbt names a lower one; the run is never green", () => {
      expect(classes(skipped)).toEqual({ top: "failed", low: "not_built", on: "not_built" });
      expect(verdictAfter(skipped, decide(skipped)).state).toBe("red");
    });

    it("where dbt named relations that nobody could tell apart, its silence about the vertex is a skip", () => {
      const unnamed = { rows: [], tasks: [over(1, nodeFailed({ unnamedSkips: 1 }))] };
      expect(classes(unnamed)).toEqual({ top: "failed", low: "not_built", on: "not_built" });
      expect(classes({ rows: [], tasks: [over(1, nodeFailed())] }).on).toBe("failed");
    });

    it("once the vertex is built, both are proved good", () => {
      const rows = [row("on", "success", { task: 2, tryTasks: [2] })];
      expect(classes({ rows, tasks: [over(1, nodeFailed()), fallback(2)] })).toEqual({
        top: "good",
        low: "good",
        on: "good",
      });
    });

    it("B4: a silent ephemeral has one further build, and is given up when that skips the same again", () => {
      const chain = planOf([
        ...plan.vertices.slice(0, 2),
        ephemeral("last", ["low", "top"]),
        vertex("on", ["last", "low", "top"]),
      ]);
      const first = { plan: chain, rows: [row("on", "skipped")], tasks: [over(1, nodeFailed())] };
      expect(launchesOf(decide(first))).toEqual([{ kind: "recovery", set: ["last", "low", "on", "top"] }]);
      const recovery = over(2, nodeFailed(), { kind: "recovery" });
      const owned = ["top", "low", "last"].map((id) =>
        claimed({ ...row(id, "skipped"), status: undefined, statusTask: undefined }, 2),
      );
      const again = {
        plan: chain,
        rows: [...owned, row("on", "skipped", { task: 2 })],
        tasks: [...first.tasks, recovery],
      };
      const decision = decide(again);
      expect(decision).toMatchObject({ launches: [], settle: true });
      expect(finalsOf(decision)).toEqual({ top: "not_built", low: "not_built", last: "not_built", on: "not_built" });
      expect(verdictAfter(again, decision)).toMatchObject({ state: "red" });
      expect(verdictAfter(again, decision).causes[0]?.sentence).toContain("could not be compiled");
    });

    it("B4: the silent ephemeral that must have failed is built with what is below it, and dooms it if it fails again", () => {
      expect(launchesOf(decide(skipped))).toEqual([{ kind: "recovery", set: ["low", "on", "top"] }]);
      const owned = ["top", "low"].map((id) =>
        claimed({ ...row(id, "skipped"), status: undefined, statusTask: undefined }, 2),
      );
      const tasks = [...skipped.tasks, over(2, nodeFailed(), { kind: "recovery" })];
      const decision = decide({ plan, rows: [...owned, row("on", "skipped", { task: 2 })], tasks });
      expect(finalsOf(decision)).toEqual({ top: "dead", low: "doomed by top", on: "doomed by top" });
      const { causes } = verdictAfter({ plan, rows: owned, tasks }, decision);
      expect(causes[0]).toMatchObject({
        uniqueId: "top",
        sentence: expect.stringContaining("it could not be compiled"),
      });
    });

    it("B4: a parent of which dbt said nothing at all is reason enough: it was not built either", () => {
      const below = planOf([vertex("q"), vertex("p", ["q"]), ephemeral("top"), vertex("on", ["p", "top"])]);
      const rows = [row("q", "error"), row("on", "skipped")];
      const views = viewVertices(below, rows, [over(1, nodeFailed({ unnamedSkips: 1 }))]);
      expect([...views.values()].map((view) => `${view.plan.uniqueId} ${view.class}`)).toEqual([
        "q failed",
        "top good",
        "p not_built",
        "on not_built",
      ]);
    });

    it("a parent that was not good then is reason enough, also once it has recovered", () => {
      const below = planOf([vertex("a"), ephemeral("top"), vertex("on", ["a", "top"])]);
      const rows = [row("a", "success", { task: 2, tryTasks: [1, 2] }), row("on", "skipped")];
      const decision = decide({ plan: below, rows, tasks: [over(1, nodeFailed()), fallback(2)] });
      expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["on"] }]);
    });
  });
});
