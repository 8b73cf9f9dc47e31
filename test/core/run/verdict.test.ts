import { describe, expect, it } from "vitest";
import { NEVER_REACHED } from "#core/dbt/close-log.ts";
import { verdict } from "#core/run/reporting/verdict.ts";
import { killed, over, planOf, policyOf, row, vertex } from "../../support/run-builders.ts";

const plan = planOf([vertex("a"), vertex("b", ["a"])]);
const judge = (changes: Partial<Parameters<typeof verdict>[0]>) =>
  verdict({
    plan,
    rows: [row("a", "success"), row("b", "success")],
    tasks: [over(1)],
    policy: policyOf(),
    stopReason: null,
    selectsByState: false,
    ...changes,
  });

const nothingFound = {
  cause: { kind: "empty_selection" as const, sentence: "The selection found nothing to build.", lines: [] },
};

describe("the verdict", () => {
  it("is green when every planned vertex is good by evidence", () => {
    expect(judge({})).toEqual({ state: "green", sentence: "Every one of 2 vertices is good.", causes: [] });
  });

  it("F9: is never green with a vertex that nobody reported", () => {
    expect(judge({ rows: [row("a", "success")] }).state).toBe("red");
    expect(judge({ rows: [] }).state).toBe("red");
    expect(judge({ plan: null, rows: [] }).state).toBe("red");
  });

  it.each(["a word of tomorrow", "partial success", "cancelled", "started", "skipped"])(
    "is red with a vertex that ended as %j",
    (status) => {
      expect(judge({ rows: [row("a", "success"), row("b", status)] }).state).toBe("red");
    },
  );

  it("G1: is red where a fallback ended something as not good that is not in its set", () => {
    const strays = [{ uniqueId: "a", status: "error" }];
    const { state, causes } = judge({ tasks: [over(1), over(2, { strays }, { kind: "fallback" })] });
    expect(state).toBe("red");
    expect(causes).toMatchObject([{ sentence: "Task 2 (fallback) ended a as error, which was not in its set." }]);
  });

  describe("B11: of on-run-end hooks, which dbt runs last of all", () => {
    const hooked = { ...plan, endHooks: true };
    const cutOff = killed(1, {}, { startedAtMs: 1 });

    it("is red where the only build was cut off after its last vertex", () => {
      const { state, causes } = judge({ plan: hooked, tasks: [cutOff] });
      expect(state).toBe("red");
      expect(causes).toMatchObject([{ sentence: expect.stringContaining("on-run-end hooks were not all run") }]);
    });

    it("never advises to do by hand what the log shows as done", () => {
      const two = { ...hooked, endHookCount: 2 };
      const cut = (endHooksDone: string[]) =>
        over(1, { inOrder: false, signal: "SIGKILL", endHooksDone }, { startedAtMs: 1 });
      expect(judge({ plan: two, tasks: [cut(["shop-on-run-end-0", "shop-on-run-end-1"])] }).state).toBe("green");
      const [cause] = judge({ plan: two, tasks: [cut(["shop-on-run-end-0"])] }).causes;
      expect(cause?.sentence).toContain("done by the log: shop-on-run-end-0");
      expect(cause?.nextStep).toContain("what the others of them do");
    });

    it("has no cause of its own where the run is red anyway", () => {
      expect(
        judge({ plan: hooked, tasks: [cutOff], rows: [row("a", "success"), row("b", "error")] }).causes,
      ).toMatchObject([{ uniqueId: "b" }]);
    });

    it("is green where a later build came to its end, where there are none, and by hookFailure: warn", () => {
      const recovered = over(2, {}, { kind: "recovery", startedAtMs: 2 });
      expect(judge({ plan: hooked, tasks: [cutOff, recovered] }).state).toBe("green");
      expect(judge({ tasks: [cutOff] }).state).toBe("green");
      expect(judge({ plan: hooked, tasks: [cutOff], policy: policyOf({ hookFailure: "warn" }) }).state).toBe("green");
    });
  });

  it("C10: is red where dbt refused its arguments (a selector that does not exist), whatever may be empty", () => {
    const refused = {
      cause: { kind: "flags" as const, sentence: "dbt refused its arguments.", lines: [] },
      exitCode: 2,
    };
    const given = { plan: null, rows: [], tasks: [over(1, refused)], selectsByState: true };
    expect(judge({ ...given, policy: policyOf({ allowEmpty: true }) }).state).toBe("red");
  });

  it("A14: is red with a failed vertex that the plan does not have", () => {
    const rows = [row("a", "success"), row("b", "success"), row("c", "error", { message: "no" })];
    expect(judge({ rows })).toMatchObject({ state: "red", causes: [{ uniqueId: "c" }] });
  });

  it("A14: is red with a vertex that dbt selected, skipped for a failed parent, and that no plan brings back", () => {
    const rows = [
      row("a", "success", { task: 2 }),
      row("b", "success"),
      row("c", "skipped", { resourceType: "model" }),
    ];
    expect(judge({ rows })).toMatchObject({ state: "red", causes: [{ uniqueId: "c" }] });
  });

  it("A14: is green with one that dbt only compiled for another's sake", () => {
    const compiled = { resourceType: "model", message: NEVER_REACHED };
    const rows = [row("a", "success"), row("b", "success"), row("c", "skipped", compiled)];
    expect(judge({ rows }).state).toBe("green");
  });

  it("C10: a selection that finds nothing is red, unless it selects by state or may be empty", () => {
    const empty = { plan: planOf([]), rows: [], tasks: [over(1, nothingFound)] };
    expect(judge(empty)).toMatchObject({ state: "red", sentence: "The selection found nothing to build." });
    expect(judge({ ...empty, tasks: [over(1)] }).state).toBe("red");
    expect(judge({ ...empty, selectsByState: true }).state).toBe("green");
    expect(judge({ ...empty, policy: policyOf({ allowEmpty: true }) }).state).toBe("green");
  });

  it("C10: an allowed empty selection is not green when the plan has vertices", () => {
    expect(judge({ rows: [], tasks: [over(1, nothingFound)], policy: policyOf({ allowEmpty: true }) }).state).toBe(
      "red",
    );
  });

  it("keeps its last words: a vertex that was given up is red, whatever arrives later", () => {
    const late = row("b", "success", { final: "dead", finalReason: "Outcome unknown.", rootCause: "b" });
    expect(judge({ rows: [row("a", "success"), late] })).toMatchObject({ state: "red", causes: [{ uniqueId: "b" }] });
  });

  it("says that a run was stopped only if something is left undone", () => {
    expect(judge({ stopReason: "enough" }).state).toBe("green");
    expect(judge({ stopReason: "enough", rows: [] })).toMatchObject({ state: "stopped", sentence: "Stopped: enough" });
  });

  it("says by whom, when and why", () => {
    const stopReason = "stopped by ada at 2026-01-31 06:00:09 UTC: wrong branch";
    expect(judge({ stopReason, rows: [] }).sentence).toBe("Stopped by ada at 2026-01-31 06:00:09 UTC: wrong branch");
  });
});
