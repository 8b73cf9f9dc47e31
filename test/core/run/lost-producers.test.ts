import { describe, expect, it } from "vitest";
import type { BuildEnd } from "#core/contracts/ledger.ts";
import { MOST_TAKEN } from "#core/run/watching/capacity.ts";
import {
  claimed,
  decide,
  ephemeral,
  finalsOf,
  killed,
  LONG_AGO,
  launchesOf,
  live,
  nodeFailed,
  over,
  planOf,
  row,
  verdictAfter,
  vertex,
} from "../../support/run-builders.ts";

const cut = (kind: BuildEnd["cause"]["kind"], changes: Partial<BuildEnd> = {}): Partial<BuildEnd> => ({
  inOrder: false,
  exitCode: null,
  signal: "SIGKILL",
  cause: { kind, sentence: `It ended: ${kind}.`, lines: [] },
  ...changes,
});

describe("a producer that ended before any vertex", () => {
  const plan = planOf([vertex("a")]);

  it.each([
    ["killed without a word", killed(1)],
    ["no connection", over(1, cut("connection", { signal: null, exitCode: 2, retryableLaunch: true }))],
  ])("D3: %s: launched again after a while, with a count of its own", (_, task) => {
    expect(decide({ tasks: [task], nowMs: LONG_AGO + 4_999 })).toMatchObject({ launches: [], settle: false });
    expect(decide({ tasks: [task] }).launches).toMatchObject([{ kind: "producer", size: "producer" }]);
    const thrice = [1, 2, 3].map((n) => ({ ...task, task: n, kind: "producer" as const, size: "producer" as const }));
    expect(decide({ tasks: thrice })).toMatchObject({ launches: [], settle: true });
  });

  it("D21: ended from outside (Spot): launched again after a while, beyond that count, with a bound of its own", () => {
    const taken = (n: number) => ({
      ...over(n, cut("terminated")),
      kind: "producer" as const,
      size: "producer" as const,
    });
    const many = (count: number) => Array.from({ length: count }, (_, n) => taken(n + 1));
    expect(decide({ tasks: many(1), nowMs: LONG_AGO + 4_999 })).toMatchObject({ launches: [], settle: false });
    for (const count of [1, 3, MOST_TAKEN])
      expect(decide({ tasks: many(count) }).launches).toMatchObject([{ kind: "producer", size: "producer" }]);
    expect(decide({ tasks: many(MOST_TAKEN + 1) })).toMatchObject({ launches: [], settle: true });
  });

  it("D3: not where dbt has run models without a word: outcome unknown, not launched again", () => {
    const unseen = over(1, cut("killed", { ranUnseen: 4, retryableLaunch: false }));
    const decision = decide({ plan, tasks: [unseen] });
    expect(decision.launches).toEqual([]);
    expect(decision.finals).toMatchObject([{ final: "not_built", finalReason: "It ended: killed." }]);
    expect(verdictAfter({ plan, tasks: [unseen] }, decision).state).toBe("red");
    const terminated = over(1, cut("terminated", { ranUnseen: 4 }));
    expect(decide({ plan, tasks: [terminated] }).launches).toEqual([]);
  });

  it("D4: one that ran out of memory is launched again on the larger size", () => {
    expect(decide({ tasks: [killed(1, { outOfMemory: true })] }).launches).toMatchObject([
      { kind: "producer", size: "queue" },
    ]);
  });

  describe("and that speaks all the same, after the next one was launched", () => {
    const two = planOf([vertex("a"), vertex("b", ["a"])]);
    const second = { kind: "producer" as const, size: "producer" as const };
    const late = [row("a", "success"), row("b", "skipped", { task: 2 })];

    it("E4: its word proves nothing: the vertex is built once more", () => {
      const decision = decide({ plan: two, rows: late, tasks: [killed(1), over(2, nodeFailed(), second)] });
      expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["a", "b"] }]);
      expect(decision.launches[0]!.claims).toContainEqual({ uniqueId: "a", from: 1, forget: true });
      const claimedRows = late.map((one) => claimed(one, 3));
      const lost = [killed(1), over(2, nodeFailed(), second), killed(3, {}, { kind: "recovery" })];
      expect(launchesOf(decide({ plan: two, rows: claimedRows, tasks: lost }))).toEqual([
        { kind: "recovery", set: ["a", "b"] },
      ]);
    });

    it("E4: a later build's silence about what it owns by then counts too: no build for ever", () => {
      const silent = planOf([vertex("a"), ephemeral("e", ["a"])]);
      const rows = [row("a", "success", { task: 2 }), claimed(row("e", "error"), 3)];
      const tasks = [killed(1), over(2, nodeFailed(), second), over(3, {}, { kind: "recovery" })];
      expect(decide({ plan: silent, rows, tasks })).toMatchObject({ launches: [], settle: true });
    });

    it("E4 D12: what can not be repeated and was begun by it has an unknown outcome", () => {
      for (const risk of [{ safeToRepeat: false }, { orphan: "unknowable" as const }]) {
        const plan = planOf([vertex("a", [], risk)]);
        const tasks = [killed(1), over(2, nodeFailed(), second)];
        const decision = decide({ plan, rows: [row("a", "started")], tasks });
        expect(decision.launches).toEqual([]);
        expect(decision.finals).toMatchObject([{ uniqueId: "a", final: "dead" }]);
      }
    });

    it("E4: and what a later build says of it counts", () => {
      const rows = late.map((one) => row(one.uniqueId, "success", { task: 3 }));
      const tasks = [killed(1), over(2, nodeFailed(), second), over(3, {}, { kind: "recovery" })];
      expect(decide({ plan: two, rows, tasks })).toMatchObject({ launches: [], finals: [], settle: true });
    });
  });

  it.each(["parse", "profile", "flags", "unsupported_dbt"] as const)(
    "D3: %s is dbt's cause: never launched again, and the run says which",
    (kind) => {
      const situation = {
        plan: null,
        tasks: [over(1, { exitCode: 2, inOrder: false, cause: { kind, sentence: `dbt said ${kind}.`, lines: [] } })],
      };
      const decision = decide(situation);
      expect(decision).toMatchObject({ launches: [], settle: true });
      expect(verdictAfter(situation, decision)).toMatchObject({ state: "red" });
      expect(verdictAfter(situation, decision).sentence).toContain(`dbt said ${kind}.`);
      const planned = { ...situation, plan };
      expect(finalsOf(decide(planned))).toEqual({ a: "not_built" });
    },
  );

  it("D3: after its last launch nothing is built from its plan: the run is over and says how it ended", () => {
    const tasks = [1, 2, 3].map((task) => killed(task, {}, { kind: "producer", size: "producer" }));
    const situation = { plan, tasks };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(finalsOf(decision)).toEqual({ a: "not_built" });
    expect(verdictAfter(situation, decision).sentence).toContain("Essential container in task exited");
  });

  it("D3: one that printed skips and died is not launched again over its own rows", () => {
    const decision = decide({ plan, rows: [row("a", "skipped")], tasks: [killed(1)] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["a"] }]);
  });

  it("D3: if it had begun and the plan is not known, a task makes the plan, a bounded number of times", () => {
    const rows = [row("a", "success")];
    const plans = (count: number) => [
      killed(1),
      ...Array.from({ length: count }, (_, n) => over(n + 2, {}, { kind: "plan" })),
    ];
    expect(decide({ rows, tasks: plans(0) }).launches).toMatchObject([{ kind: "plan" }]);
    expect(decide({ rows, tasks: [killed(1), live(2, { kind: "plan" })] })).toMatchObject({
      launches: [],
      settle: false,
    });
    const situation = { rows, tasks: plans(3) };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(verdictAfter(situation, decision).state).toBe("red");
  });
});
