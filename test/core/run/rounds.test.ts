import { describe, expect, it } from "vitest";
import type { VertexRow } from "#core/contracts/ledger.ts";
import type { RoundRequest } from "#core/contracts/rounds.ts";
import { nothing } from "#core/run/deciding/decision.ts";
import { adopt } from "#core/run/judging/adoption.ts";
import { foldRequests, OUTSIDE, pastRound, pendingRequests, roundOf, rowsInRound } from "#core/run/judging/rounds.ts";
import { summarise } from "#core/run/reporting/summary.ts";
import { consumersDue } from "#core/run/watching/consumer.ts";
import {
  claimed,
  dataTest,
  decide,
  ephemeral,
  finalsOf,
  killed,
  launchesOf,
  NOW,
  nodeFailed,
  over,
  planOf,
  row,
  runOf,
  type Situation,
  secondRound,
  verdictAfter,
  vertex,
} from "../../support/run-builders.ts";

/** a → b → c, and d beside them; a failed for good, so that b and c were not built. */
const chain = planOf([vertex("a"), vertex("b", ["a"]), vertex("c", ["b"]), vertex("d")]);
const dead = { final: "dead", finalReason: "Its tries are used up: 2 of 2.", rootCause: "a" } as const;
const doomed = { final: "doomed", finalReason: "Upstream failed: a", rootCause: "a" } as const;
const PERMISSION = "Database Error in model a\n  permission denied for schema raw";

const afterRoundOne: readonly VertexRow[] = [
  row("a", "error", { task: 2, tryTasks: [1, 2], message: PERMISSION, ...dead }),
  row("b", "skipped", doomed),
  row("c", "skipped", doomed),
  row("d", "success"),
];
const tasks = [over(1, nodeFailed()), over(2, nodeFailed())];
const retried = (changes: Partial<Situation> = {}): Situation => ({
  plan: chain,
  rows: afterRoundOne,
  tasks,
  round: secondRound(),
  ...changes,
});

describe("a further round", () => {
  it("G8: builds what is not good in one build, whatever it failed of, and nothing that is good", () => {
    const decision = decide(retried());
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["a", "b", "c"] }]);
    expect(decision.finals).toEqual([]);
    expect(decision.launches[0]!.reason).toMatch(/1 vertex is tried again after an earlier round, and 2/);
  });

  it("G8: in its first round the same rows are closed, and in the second one the last words stand for nothing", () => {
    const first = decide(retried({ round: undefined! }));
    expect(first).toMatchObject({ launches: [], settle: true });
    const verdict = verdictAfter(retried(), { ...decide(retried()), finals: [] });
    expect(verdict.state).toBe("red");
  });

  it("G8: what fails again there has the policy's tries of its own, counted anew", () => {
    const failing = row("a", "error", { task: 3, tryTasks: [1, 2, 3], message: "Database Error\n  odd" });
    const inRoundTwo = over(3, nodeFailed(), { kind: "recovery", round: 2 });
    const rows = [failing, row("b", "skipped", { task: 3 }), row("c", "skipped", { task: 3 }), row("d", "success")];
    const decision = decide(retried({ rows, tasks: [...tasks, inRoundTwo] }));
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a"] }]);
    const permission = [{ ...failing, message: PERMISSION }, ...rows.slice(1)];
    const closed = decide(retried({ rows: permission, tasks: [...tasks, inRoundTwo] }));
    expect(closed).toMatchObject({ launches: [], settle: true });
    expect(finalsOf(closed)).toEqual({ a: "dead", b: "doomed by a", c: "doomed by a" });
  });

  it("G9: an automatic round spends nothing on what comes to the same each time", () => {
    const decision = decide(retried({ round: secondRound({ automatic: true }) }));
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(finalsOf(decision)).toEqual({ a: "dead", b: "doomed by a", c: "doomed by a" });
    const transient = [{ ...afterRoundOne[0]!, message: "Database Error\n  odd" }, ...afterRoundOne.slice(1)];
    const again = decide(retried({ rows: transient, round: secondRound({ automatic: true }) }));
    expect(launchesOf(again)).toEqual([{ kind: "recovery", set: ["a", "b", "c"] }]);
  });

  it("G9: an automatic round begins after its delay", () => {
    expect(decide(retried({ notBeforeMs: NOW + 1 }))).toMatchObject({ launches: [], settle: false });
    expect(decide(retried({ notBeforeMs: NOW })).launches).toHaveLength(1);
  });

  it("G28: what may double its rows is not built again without a person's word, and with it is", () => {
    const plan = planOf([vertex("a", [], { afterFailure: "unknown", safeToRepeat: false }), vertex("b", ["a"])]);
    const rows = [afterRoundOne[0]!, afterRoundOne[1]!];
    const kept = decide(retried({ plan, rows }));
    expect(kept).toMatchObject({ launches: [], settle: true });
    expect(finalsOf(kept)).toEqual({ a: "dead", b: "doomed by a" });
    const forced = decide(retried({ plan, rows, round: secondRound({ force: true }) }));
    expect(launchesOf(forced)).toEqual([{ kind: "recovery", set: ["a", "b"] }]);
  });

  it("D12: an outcome that is unknown is not repeated either", () => {
    const plan = planOf([vertex("a", [], { afterFailure: "unknown", safeToRepeat: false })]);
    const rows = [row("a", "started", dead)];
    expect(launchesOf(decide(retried({ plan, rows })))).toEqual([]);
    expect(launchesOf(decide(retried({ plan, rows, round: secondRound({ force: true }) })))).toHaveLength(1);
  });

  it("G21: what ran in each of several killed builds is built alone, the rest without it", () => {
    const plan = planOf([vertex("a"), vertex("b", ["a"]), vertex("e"), vertex("f", ["e"])]);
    const rows = [
      row("a", "started", { task: 3, tryTasks: [1, 2, 3], lostTasks: [1, 2], ...dead }),
      row("b", "skipped", doomed),
      row("e", "error", { message: "Database Error\n  odd", final: "dead", finalReason: "tries", rootCause: "e" }),
      row("f", "skipped", { final: "doomed", finalReason: "Upstream failed: e", rootCause: "e" }),
    ];
    const three = [...tasks, over(3, nodeFailed())];
    expect(launchesOf(decide(retried({ plan, rows, tasks: three })))).toEqual([
      { kind: "fallback", set: ["a"] },
      { kind: "recovery", set: ["e", "f"] },
    ]);
  });

  it("D3: what kept the producer's round from building anything keeps this one from nothing", () => {
    const noConnection = { kind: "connection" as const, sentence: "No connection.", lines: [] };
    const producer = over(1, { exitCode: 1, cause: noConnection, inOrder: false });
    const rows = [row("a", "skipped", { final: "not_built", finalReason: "No connection.", tryTasks: [] })];
    const decision = decide(retried({ plan: planOf([vertex("a"), vertex("b", ["a"])]), rows, tasks: [producer] }));
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["a", "b"] }]);
  });

  it("D3: a run without a plan gets a producer again, whatever the first one ended of, once", () => {
    const parse = { kind: "parse" as const, sentence: "Parse error.", lines: [] };
    const producer = over(1, { exitCode: 2, cause: parse, inOrder: false });
    expect(launchesOf(decide(retried({ plan: null, rows: [], tasks: [producer] })))).toEqual([
      { kind: "producer", set: [] },
    ]);
    const again = over(2, { exitCode: 2, cause: parse, inOrder: false }, { kind: "producer", round: 2 });
    expect(decide(retried({ plan: null, rows: [], tasks: [producer, again] }))).toMatchObject({
      launches: [],
      settle: true,
    });
  });

  it("B8: fail-fast of an earlier round holds nothing back", () => {
    const rows = [
      row("a", "error", { message: "Database Error\n  odd", ...dead }),
      row("d", "skipped", { final: "not_built", finalReason: "fail-fast" }),
    ];
    const plan = planOf([vertex("a"), vertex("d")]);
    const decision = decide(retried({ plan, rows, tasks: [over(1, nodeFailed({ failFast: true }))] }));
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["a", "d"] }]);
  });

  it("C7: tests that follow all nodes wait for the nodes of the round", () => {
    const plan = planOf([vertex("a"), dataTest("test.a", ["a"], { deferred: true })]);
    const rows = [
      row("a", "error", { message: "Database Error\n  odd", ...dead }),
      row("test.a", "error", { task: 2, message: "Database Error\n  odd", ...dead }),
    ];
    expect(launchesOf(decide(retried({ plan, rows })))).toEqual([{ kind: "recovery", set: ["a"] }]);
  });

  it("B4: an ephemeral that was in doubt is built again with what is below it", () => {
    const plan = planOf([ephemeral("ephemeral.e"), vertex("b", ["ephemeral.e"])]);
    const rows = [row("b", "skipped", { final: "not_built", finalReason: "in doubt" })];
    const decision = decide(retried({ plan, rows, tasks: [over(1, nodeFailed())] }));
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["b", "ephemeral.e"] }]);
  });

  it("B11: a hook that failed in an earlier round is red until a build in order has run it well", () => {
    const hook = { name: "publish", message: "no", phase: "end" as const };
    const failed = over(1, { exitCode: 1, hookFailures: [hook] });
    const good = [row("a", "success")];
    const situation = retried({ plan: planOf([vertex("a")]), rows: good, tasks: [failed] });
    const nothingDone = { ...nothing, settle: true };
    expect(verdictAfter(situation, nothingDone).state).toBe("red");
    const later = over(2, {}, { kind: "recovery", round: 2 });
    expect(verdictAfter({ ...situation, tasks: [failed, later] }, nothingDone).state).toBe("green");
  });
});

describe("a round for named nodes", () => {
  const nodes = (names: readonly string[], downstream = false, plan = chain, by: RoundRequest["by"] = "person") =>
    roundOf({ round: 2, opening: { ...wish, by, nodes: [...names], downstream } }, plan);

  it("G25: builds the node alone; what is below it is left, and says so", () => {
    const decision = decide(retried({ round: nodes(["a"]) }));
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["a"] }]);
    const rows = rowsInRound(afterRoundOne, tasks, nodes(["a"]));
    expect(rows.find((one) => one.uniqueId === "b")).toMatchObject({ final: "not_built", finalReason: OUTSIDE });
  });

  it("G25: with what is below it where that is asked for", () => {
    const decision = decide(retried({ round: nodes(["a"], true) }));
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["a", "b", "c"] }]);
  });

  it("G8: a good node is built again when a person names it, with its tests, and no other", () => {
    const plan = planOf([vertex("a"), dataTest("test.a", ["a"]), vertex("b", ["a", "test.a"]), vertex("d")]);
    const rows = ["a", "test.a", "b", "d"].map((id) => row(id, id.startsWith("test") ? "pass" : "success"));
    const decision = decide(retried({ plan, rows, tasks: [over(1)], round: nodes(["a"], false, plan) }));
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["a", "test.a"] }]);
  });

  it("G8: an ephemeral model on top of it comes along: the run is green again, and not red for what has no table", () => {
    const plan = planOf([vertex("a"), ephemeral("e", ["a"]), vertex("d")]);
    const rows = [row("a", "success"), row("d", "success")];
    const round = nodes(["a"], false, plan);
    const first = decide(retried({ plan, rows, tasks: [over(1)], round }));
    expect(launchesOf(first)).toEqual([{ kind: "recovery", set: ["a", "e"] }]);
    const built = [row("a", "success", { task: 2, tryTasks: [1, 2] }), rows[1]!];
    const e = claimed(row("e", "success", { tryTasks: [] }), 2);
    const { status: _, statusTask: __, ...unsaid } = e;
    const both = [over(1), over(2, {}, { kind: "recovery", round: 2 })];
    const second = retried({ plan, rows: [...built, unsaid], tasks: both, round });
    expect(verdictAfter(second, decide(second)).state).toBe("green");
  });

  it("G8: and once it is good again the run is green, with a warning of what is older than it now", () => {
    const rows = [
      row("a", "success", { task: 2, tryTasks: [1, 2], consumerStartedAtMs: NOW, consumerRound: 2 }),
      row("b", "success"),
      row("c", "success"),
      row("d", "success"),
    ];
    const inRoundTwo = [over(1), over(2, {}, { kind: "recovery", round: 2 })];
    const situation = retried({ rows, tasks: inRoundTwo, round: nodes(["a"]) });
    expect(decide(situation)).toMatchObject({ launches: [], settle: true });
    expect(verdictAfter(situation, decide(situation)).state).toBe("green");
    const opening: RoundRequest = { ...wish, nodes: ["a"] };
    const run = runOf({ round: 2, opening, state: "green", endedAtMs: NOW });
    const { warnings } = summarise({ run, plan: chain, rows, tasks: inRoundTwo, nowMs: NOW });
    expect(warnings).toEqual([expect.stringMatching(/^b is older than a/)]);
    // The next round, for something else or for all that is not good, does not make b newer.
    const after = runOf({ round: 3, opening: wish, state: "green", endedAtMs: NOW });
    const later = summarise({ run: after, plan: chain, rows, tasks: inRoundTwo, nowMs: NOW });
    expect(later.warnings).toEqual(warnings);
  });

  it("F14: a redriven consumer's node brings what waits for it, and nothing good again", () => {
    const rows = [afterRoundOne[0]!, row("b", "success"), afterRoundOne[2]!, row("d", "success")];
    const round = nodes(["a"], true, chain, "consumer");
    expect(launchesOf(decide(retried({ rows, round })))).toEqual([{ kind: "recovery", set: ["a", "c"] }]);
    const person = nodes(["a"], true);
    expect(launchesOf(decide(retried({ rows, round: person })))).toEqual([{ kind: "recovery", set: ["a", "b", "c"] }]);
  });

  it("G25: what has no last word and is not named is not built either", () => {
    const rows = [afterRoundOne[0]!, row("d", "error", { message: "Database Error\n  odd" })];
    const decision = decide(retried({ rows, round: nodes(["a"]) }));
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["a"] }]);
    expect(finalsOf(decision)).toEqual({ b: "not_built", c: "not_built", d: "dead" });
  });

  it("G5: a good word of before says nothing of what this round has claimed and not built yet", () => {
    const rows = [claimed({ ...row("d", "success") }, 3), ...afterRoundOne.slice(0, 3)];
    const lost = killed(3, {}, { kind: "recovery", round: 2 });
    const situation = retried({ rows, tasks: [...tasks, lost], round: nodes(["d"]), nowMs: NOW + 600_000 });
    expect(launchesOf(decide(situation))).toEqual([{ kind: "recovery", set: ["d"] }]);
    expect(decide(situation).launches[0]!.claims).toEqual([{ uniqueId: "d", from: 3, forget: true }]);
  });

  /** a was built again in round 2; what is below it, which is to follow, was not. */
  const halfDone = [
    row("a", "success", { task: 2, tryTasks: [1, 2] }),
    row("b", "success"),
    row("c", "success"),
    row("d", "success"),
  ];
  const roundTwo = [over(1), over(2, {}, { kind: "recovery", round: 2 })];

  it("F1: a round that is stopped before all that it is for is built again is not green", () => {
    const situation = retried({ rows: halfDone, tasks: roundTwo, round: nodes(["a"], true), stopReason: "Enough." });
    const stopped = decide(situation);
    expect(finalsOf(stopped)).toEqual({ b: "not_built", c: "not_built" });
    expect(verdictAfter(situation, stopped).state).toBe("stopped");
  });

  it("F1: what a round was to build again and has not is built by the next one, also of a run that goes on with it", () => {
    const owed = { final: "not_built", finalReason: "Stopped.", finalRound: 2 } as const;
    const rows = halfDone.map((one) => (["b", "c"].includes(one.uniqueId) ? { ...one, ...owed } : one));
    const third = retried({ rows, tasks: roundTwo, round: secondRound({ number: 3 }) });
    expect(launchesOf(decide(third))).toEqual([{ kind: "recovery", set: ["b", "c"] }]);
    const other = retried({ rows, tasks: roundTwo, round: { ...nodes(["d"]), number: 3 } });
    expect(verdictAfter(other, { ...nothing, settle: true }).state).toBe("red");
    const run = runOf({ state: "stopped", round: 2, planKey: "plan", plannedVertices: 4, plannedNodes: 4 });
    const wishes = { run: "run-1", image: "same", downstream: false, force: false, fullRefresh: false } as const;
    const adopted = adopt({ run, tasks: roundTwo, rows }, wishes, NOW);
    const resumed = roundOf({ round: 1, opening: adopted.run.opening }, chain);
    const next = { rows: [...adopted.rows], tasks: [...adopted.tasks], round: resumed };
    expect(launchesOf(decide(retried(next)))).toEqual([{ kind: "recovery", set: ["b", "c"] }]);
  });
});

describe("a person's mark", () => {
  const mark = (as: "good" | "skip") => ({ mark: { as, by: "ada", atMs: NOW, reason: "looked at the table" } });

  it("G25: good: what is below is built on it, and the run is green by hand", () => {
    const rows = [{ ...afterRoundOne[0]!, ...mark("good") }, ...afterRoundOne.slice(1)];
    expect(launchesOf(decide(retried({ rows })))).toEqual([{ kind: "recovery", set: ["b", "c"] }]);
    const good = [rows[0]!, ...["b", "c"].map((id) => row(id, "success", { task: 3 })), row("d", "success")];
    const third = over(3, {}, { kind: "recovery", round: 2 });
    const situation = retried({ rows: good, tasks: [...tasks, third] });
    const verdict = verdictAfter(situation, decide(situation));
    expect(verdict).toMatchObject({ state: "green", sentence: expect.stringContaining("green by hand") });
  });

  it("G25: to be skipped: a test that is to be ignored gates nothing", () => {
    const plan = planOf([vertex("a"), dataTest("test.a", ["a"]), vertex("b", ["a", "test.a"])]);
    const failing = row("test.a", "fail", { final: "dead", finalReason: "found rows", rootCause: "test.a" });
    const rows = [row("a", "success"), { ...failing, ...mark("skip") }, row("b", "skipped", doomed)];
    expect(launchesOf(decide(retried({ plan, rows })))).toEqual([{ kind: "recovery", set: ["b"] }]);
  });
});

describe("a mark and what is built after it", () => {
  const mark = (as: "good" | "skip", atMs: number) => ({ mark: { as, by: "ada", atMs, reason: "looked at it" } });

  it("G25: a node that was marked good before its build failed is what that build says", () => {
    const failed = row("a", "error", { message: PERMISSION, endedAtMs: 500 });
    const rows = (atMs: number) => [{ ...failed, ...mark("good", atMs) }, ...afterRoundOne.slice(1)];
    expect(finalsOf(decide(retried({ rows: rows(400), round: undefined! })))).toMatchObject({ a: "dead" });
    const verdict = verdictAfter(retried({ rows: rows(600), round: undefined! }), { ...nothing, settle: true });
    expect(verdict.sentence).not.toContain("a failed");
  });

  it("G25: a test that is to be ignored gates nothing of a round for its node either; one that was taken for good runs", () => {
    const plan = planOf([vertex("a"), dataTest("test.a", ["a"]), vertex("b", ["a", "test.a"])]);
    const failing = row("test.a", "fail", { final: "dead", finalReason: "found rows", rootCause: "test.a" });
    const opening = { ...wish, nodes: ["a"], downstream: true };
    const round = roundOf({ round: 2, opening }, plan);
    const rows = (as: "good" | "skip") => [
      row("a", "success"),
      { ...failing, ...mark(as, NOW) },
      row("b", "skipped", doomed),
    ];
    const sets = (as: "good" | "skip") =>
      launchesOf(decide(retried({ plan, rows: rows(as), round, tasks: [over(1)], heldSinceMs: 1 })));
    expect(sets("skip")).toEqual([{ kind: "recovery", set: ["a", "b"] }]);
    expect(sets("good")).toEqual([{ kind: "recovery", set: ["a"] }]);
  });
});

const wish: RoundRequest = { round: 1, by: "person", atMs: 5, downstream: false, force: false, fullRefresh: false };

it("D18: a past round's row names some of the nodes that it was for: the run's row has its limit", () => {
  const nodes = Array.from({ length: 100 }, (_, n) => `model.shop.m${n}`);
  const end = { state: "red" as const, verdict: "Bad.", endedAtMs: 9 };
  expect(pastRound(runOf({ round: 2, opening: { ...wish, nodes } }), end).opening?.nodes).toHaveLength(20);
});

describe("wishes for a round", () => {
  it("G23: those of an earlier round are void", () => {
    const requests = [wish, { ...wish, round: 2 }];
    expect(pendingRequests(runOf({ round: 2, requests }))).toEqual([{ ...wish, round: 2 }]);
  });

  it("G12: a stop drops those that were made before it, however it stops; what comes after it stands", () => {
    const requests = [
      { ...wish, atMs: 10 },
      { ...wish, atMs: 20, who: "after" },
    ];
    const after = [{ ...wish, atMs: 20, who: "after" }];
    expect(pendingRequests(runOf({ requests, stopRequestedAtMs: 10 }))).toEqual(after);
    expect(pendingRequests(runOf({ requests, stopAfterCurrentAtMs: 10 }))).toEqual(after);
    expect(pendingRequests(runOf({ requests }))).toEqual(requests);
  });

  it("several are one: nodes together, the whole run before nodes, a person before a consumer", () => {
    const one = { ...wish, by: "consumer" as const, nodes: ["a"] };
    expect(foldRequests([one, { ...one, nodes: ["b", "a"], downstream: true }])).toMatchObject({
      by: "consumer",
      nodes: ["a", "b"],
      downstream: true,
    });
    const both = foldRequests([one, { ...wish, who: "ada", reason: "granted", size: "producer" }]);
    expect(both).toMatchObject({ by: "person", who: "ada", reason: "granted", size: "producer" });
    expect(both).not.toHaveProperty("nodes");
  });
});

it("G8: consumers of a further round are those of what it reaches, and of nodes whose tests it reaches", () => {
  const plan = planOf([vertex("a"), vertex("b"), dataTest("test.b", ["b"]), vertex("c")]);
  const started = { consumerStartedAtMs: 5, consumerRound: 1 };
  const rows = [
    row("a", "success", { task: 2, tryTasks: [1, 2], ...started }),
    row("b", "success", started),
    row("test.b", "pass", { task: 2, tryTasks: [1, 2] }),
    row("c", "success", started),
  ];
  const both = [over(1), over(2, {}, { round: 2 })];
  const due = (round: Situation["round"]) => consumersDue(plan, rows, "build", round, both).map((one) => one.uniqueId);
  expect(due(secondRound())).toEqual(["a", "b"]);
  expect(due(undefined)).toEqual([]);
});
