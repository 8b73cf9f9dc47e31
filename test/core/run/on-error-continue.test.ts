import { describe, expect, it } from "vitest";
import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import type { PlanVertex } from "#core/run/planning/plan.ts";
import {
  claimed,
  dataTest,
  decide,
  ephemeral,
  finalsOf,
  killed,
  launchesOf,
  live,
  nodeFailed,
  over,
  planOf,
  row,
  type Situation,
  secondRound,
  verdictAfter,
  vertex,
} from "../../support/run-builders.ts";

/** root (on_error: continue) failed in the producer's build, which built v and w on its old table all the same. */
const continued = (v: Partial<PlanVertex> = {}) =>
  planOf([
    vertex("root", [], { onErrorContinue: true }),
    ephemeral("e", ["root"]),
    vertex("v", ["e", "root"], v),
    dataTest("test.v", ["v"]),
    vertex("w", ["v", "test.v"]),
    vertex("beside"),
  ]);
const below = [row("v", "success"), row("test.v", "pass"), row("w", "success"), row("beside", "success")];
const failed = row("root", "error", { message: "Database Error\n  odd" });
const mended = row("root", "success", { task: 2, tryTasks: [1, 2] });
const producer = over(1, nodeFailed());
const fallback = over(2, {}, { kind: "fallback" });
const situation = (changes: Partial<Situation> = {}): Situation => ({
  plan: continued(),
  rows: [mended, ...below],
  tasks: [producer, fallback],
  ...changes,
});

describe("B7: what was built on a failed parent (on_error: continue)", () => {
  it("is left while the parent is tried again", () => {
    expect(launchesOf(decide(situation({ rows: [failed, ...below], tasks: [producer] })))).toEqual([
      { kind: "fallback", set: ["root"] },
    ]);
  });

  it("is no good build any more once the parent is good: one recovery build takes it, its tests and all below it", () => {
    const decision = decide(situation());
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["test.v", "v", "w"] }]);
    expect(verdictAfter(situation(), { ...decision, launches: [], settle: true }).state).toBe("red");
  });

  it("has nothing built on it while the parent is tried again: that would be on the failure, or under a view that is dropped", () => {
    const plan = planOf([...continued().vertices, vertex("late", ["w", "beside"])]);
    const late = row("late", "error", { message: "Database Error\n  odd" });
    const at = (root: VertexRow, task: TaskRow) =>
      launchesOf(decide(situation({ plan, rows: [root, ...below, late], tasks: [producer, task] })));
    expect(at(claimed(failed, 2), live(2, { kind: "fallback" }))).toEqual([]);
    expect(at(mended, fallback)).toEqual([{ kind: "recovery", set: ["test.v", "v", "w"] }]);
    const dead = { ...failed, final: "dead", finalReason: "tries", rootCause: "root" } as const;
    expect(at(dead, fallback)).toEqual([{ kind: "fallback", set: ["late"] }]);
  });

  it("is good again when it is built after the parent, and the run is over", () => {
    const again = (id: string, status: string) => row(id, status, { task: 3, tryTasks: [1, 3] });
    const rows = [mended, again("v", "success"), again("test.v", "pass"), again("w", "success"), below[3]!];
    const tasks = [producer, fallback, over(3, {}, { kind: "recovery" })];
    const decision = decide(situation({ rows, tasks }));
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(verdictAfter(situation({ rows, tasks }), decision).state).toBe("green");
  });

  it("is built again too where that build was killed half way: its old word counts for nothing", () => {
    const v = row("v", "success", { task: 3, tryTasks: [1, 3] });
    const rows = [mended, v, claimed(below[1]!, 3), claimed(below[2]!, 3), below[3]!];
    const tasks = [producer, fallback, killed(3, {}, { kind: "recovery" })];
    expect(launchesOf(decide(situation({ rows, tasks })))).toEqual([{ kind: "recovery", set: ["test.v", "w"] }]);
  });

  it("stays good, and says so, where the parent never became good", () => {
    const dead = { ...failed, final: "dead", finalReason: "tries", rootCause: "root" } as const;
    const decision = decide(situation({ rows: [dead, ...below], tasks: [producer] }));
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(finalsOf(decision)).toEqual({});
  });

  it("G28: stays as it is where a second build would double its rows; what is below it too", () => {
    const plan = continued({ afterFailure: "unknown", safeToRepeat: false });
    expect(decide(situation({ plan }))).toMatchObject({ launches: [], settle: true });
  });

  it("G17: a microbatch model stays as it is, and says so: a build without its window would take the last batches alone", () => {
    const plan = continued({ batchSize: "day" });
    expect(decide(situation({ plan }))).toMatchObject({ launches: [], settle: true });
  });

  it("G8: is built by the further round that mends the parent, unless that is for other nodes alone", () => {
    const tasks = [producer, over(2, {}, { kind: "recovery", round: 2 })];
    const whole = decide(situation({ tasks, round: secondRound() }));
    expect(launchesOf(whole)).toEqual([{ kind: "recovery", set: ["test.v", "v", "w"] }]);
    const wish = { round: 1, by: "person" as const, atMs: 5, downstream: false, force: false, fullRefresh: false };
    const round = roundOf({ round: 2, opening: { ...wish, nodes: ["root"] } }, continued());
    const named = situation({ tasks, round });
    expect(decide(named)).toMatchObject({ launches: [], settle: true });
    expect(verdictAfter(named, decide(named)).state).toBe("green");
  });

  it("was built after the parent where nothing failed: nothing is built again", () => {
    const rows = [row("root", "success"), ...below];
    expect(decide(situation({ rows, tasks: [over(1)] }))).toMatchObject({ launches: [], settle: true });
  });
});
