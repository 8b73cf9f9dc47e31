import { describe, expect, it } from "vitest";
import type { BuildEnd } from "#core/contracts/ledger.ts";
import {
  claimed,
  dataTest,
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

const fallback = { kind: "fallback" as const };
const outOfMemory: Partial<BuildEnd> = {
  inOrder: false,
  exitCode: null,
  signal: "SIGKILL",
  cause: { kind: "out_of_memory", sentence: "It ran out of memory.", lines: [] },
};

describe("a build that was killed in the middle", () => {
  const ids = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"];
  const plan = planOf(ids.map((id, n) => vertex(id, n < 5 ? [] : [ids[n - 5]!])));
  const rows = [
    row("m0", "success"),
    row("m1", "success"),
    row("m2", "success"),
    row("m3", "started"),
    row("m4", "started"),
  ];

  it.each([
    ["killed without a word", killed(1)],
    ["out of memory", over(1, outOfMemory)],
  ])("D4: %s: what ran is built alone first, on the larger size", (_, task) => {
    const decision = decide({ plan, rows, tasks: [task] });
    expect(launchesOf(decision)).toEqual([
      { kind: "fallback", set: ["m3"] },
      { kind: "fallback", set: ["m4"] },
    ]);
    expect(decision.launches.map((launch) => [launch.size, launch.claims[0]!.lostTask])).toEqual([
      ["queue", 1],
      ["queue", 1],
    ]);
    expect(decision.heldSinceMs).toBe(NOW);
  });

  it("D4: then the rest follows in one build, and what was good is in none", () => {
    const alone = ["m3", "m4"].map((id, n) =>
      row(id, "success", { task: n + 2, tryTasks: [1, n + 2], lostTasks: [1] }),
    );
    const decision = decide({
      plan,
      rows: [...rows.slice(0, 3), ...alone],
      tasks: [killed(1), over(2, {}, fallback), over(3, {}, fallback)],
    });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["m5", "m6", "m7", "m8", "m9"] }]);
  });

  it("D4: an interruption uses no try: a failure after it still has its retry", () => {
    const failed = row("m3", "error", { task: 2, tryTasks: [1, 2], lostTasks: [1] });
    const decision = decide({
      plan: planOf([vertex("m3")]),
      rows: [failed],
      tasks: [killed(1), over(2, {}, fallback)],
    });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["m3"] }]);
  });

  it("D4: what was killed too often is dead, after losses of its own", () => {
    const at = (lostTasks: number[]) => {
      const task = lostTasks.length + 1;
      const tasks = Array.from({ length: task }, (_, n) => killed(n + 1, {}, n === 0 ? {} : fallback));
      const tryTasks = tasks.map((one) => one.task);
      return finalsOf(
        decide({ plan: planOf([vertex("k")]), rows: [row("k", "started", { task, tryTasks, lostTasks })], tasks }),
      ).k;
    };
    expect([at([]), at([1]), at([1, 2])]).toEqual([undefined, undefined, "dead"]);
  });

  it("G21: one that kills every build is retried alone; the others are built without it", () => {
    const world = planOf([vertex("k"), vertex("x"), vertex("below_k", ["k"]), vertex("y", ["x"])]);
    const twice = row("k", "started", { task: 2, tryTasks: [1, 2], lostTasks: [1] });
    const good = row("x", "success", { task: 3, tryTasks: [1, 3], lostTasks: [1] });
    const tasks = [killed(1), killed(2, {}, fallback), over(3, {}, fallback)];
    const decision = decide({ plan: world, rows: [twice, good], tasks, heldSinceMs: 0 });
    expect(launchesOf(decision)).toEqual([
      { kind: "fallback", set: ["k"] },
      { kind: "recovery", set: ["y"] },
    ]);
    const first = decide({
      plan: world,
      rows: [row("k", "started"), row("x", "success")],
      tasks: [killed(1)],
      heldSinceMs: 0,
    });
    expect(launchesOf(first)).toEqual([{ kind: "fallback", set: ["k"] }]);
  });

  it("D4: a lone retry that could not even begin does not free the others to die with it", () => {
    const world = planOf([vertex("k"), vertex("y")]);
    const rows2 = [claimed(row("k", "started", { lostTasks: [1] }), 2)];
    const decision = decide({ plan: world, rows: rows2, tasks: [killed(1), killed(2, {}, fallback)], heldSinceMs: 0 });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["k"] }]);
    expect(decision.launches[0]!.claims).toEqual([{ uniqueId: "k", from: 2, lostTask: 1 }]);
  });

  it("D12: it waits until the warehouse has had time to drop the orphaned query", () => {
    const at = (nowMs: number, adapterType: string) =>
      decide({ plan: planOf([vertex("m3")], { adapterType }), rows: [row("m3", "started")], tasks: [killed(1)], nowMs })
        .launches.length;
    expect([at(LONG_AGO + 9_999, "redshift"), at(LONG_AGO + 10_000, "redshift"), at(LONG_AGO, "duckdb")]).toEqual([
      0, 1, 1,
    ]);
    // Where the container itself ends the query, nothing is to be waited for.
    expect(at(LONG_AGO, "postgres")).toBe(1);
  });

  it("D12: its build is told whose queries to end: of what was killed or lost its connection, and of no later connection", () => {
    const plan = planOf([vertex("m3", [], { materialized: "table" }), dataTest("test.m3", ["m3"])]);
    const orphans = (status: string, message = "", adapterType = "postgres") =>
      decide({ plan: { ...plan, adapterType }, rows: [row("m3", status, { message })], tasks: [killed(1)] }).launches[0]
        ?.orphans;
    const search = { uniqueIds: ["m3"], openedBeforeMs: LONG_AGO + 60_000 };
    expect(orphans("started")).toEqual(search);
    expect(orphans("error", "server closed the connection unexpectedly")).toEqual(search);
    expect(orphans("error", "division by zero")).toBeUndefined();
    expect(orphans("started", "", "snowflake")).toBeUndefined();
  });

  it.each([
    'duplicate key value violates unique constraint "pg_type_typname_nsp_index"',
    "canceling statement due to lock timeout",
    "tuple concurrently updated",
    'relation "m3__dbt_tmp" already exists',
  ])("D12: what an orphan explains is an interruption and no try: %s", (message) => {
    const plan = planOf([vertex("m3")]);
    const tasks = [killed(1), over(2, {}, fallback)];
    const met = row("m3", "error", { task: 2, tryTasks: [1, 2], lostTasks: [1], message });
    const [launch] = decide({ plan, rows: [met], tasks }).launches;
    expect(launch?.claims).toEqual([{ uniqueId: "m3", from: 2, lostTask: 2 }]);
    const first = decide({ plan, rows: [row("m3", "error", { message })], policy: { retries: { node: 0 } } });
    expect(finalsOf(first)).toEqual({ m3: "dead" });
    const often = row("m3", "error", { task: 4, tryTasks: [1, 2, 3, 4], lostTasks: [1, 2, 3], message });
    const four = [...tasks, over(3, {}, fallback), over(4, {}, fallback)];
    expect(finalsOf(decide({ plan, rows: [often], tasks: four }))).toEqual({ m3: "dead" });
  });

  it.each([
    ["an append model", { safeToRepeat: false, materialized: "incremental" }, "rebuild"],
    ["any model under interrupted: stop", {}, "stop"],
  ])("D12: %s says that its outcome is unknown", (_, changes, interrupted) => {
    const situation = {
      plan: planOf([vertex("m3", [], changes)]),
      rows: [row("m3", "started")],
      tasks: [killed(1)],
      policy: { interrupted },
    };
    const decision = decide(situation);
    expect(decision.launches).toEqual([]);
    expect(decision.finals[0]).toMatchObject({ final: "dead" });
    expect(decision.finals[0]!.finalReason).toContain("Outcome unknown");
    expect(verdictAfter(situation, decision).state).toBe("red");
  });

  it("D4: a test that was running goes alone; its node is not built again", () => {
    const tested = planOf([vertex("a"), dataTest("test.a", ["a"])]);
    const decision = decide({
      plan: tested,
      rows: [row("a", "success"), row("test.a", "started")],
      tasks: [killed(1)],
    });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["test.a"] }]);
  });
});

describe("tasks that come to nothing", () => {
  const plan = planOf([vertex("a"), vertex("b", ["a"]), vertex("x")]);
  const rows = [row("a", "error"), row("b", "skipped"), row("x", "success")];
  const never = { neverStarted: true, stoppedReason: "Given up after 6 launches: no capacity" };

  it("D11: a fallback that could not be started is a clear failure, without a try", () => {
    const situation = {
      plan,
      rows: [claimed(rows[0]!, 2), ...rows.slice(1)],
      tasks: [over(1), killed(2, never, fallback)],
    };
    const decision = decide(situation);
    expect(finalsOf(decision)).toEqual({ a: "dead", b: "doomed by a" });
    expect(decision.finals[0]!.finalReason).toBe(
      "Its task could not be started: Given up after 6 launches: no capacity",
    );
    expect(verdictAfter(situation, decision).state).toBe("red");
  });

  it("D11: a producer that could not be started ends the run and says why", () => {
    const situation = { tasks: [killed(1, never)] };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(verdictAfter(situation, decision).sentence).toContain("no capacity");
  });

  it("D11: builds in order that had nothing to say are not among those that came to nothing", () => {
    const empty = [2, 3, 4].map((task) => over(task, {}, { kind: "recovery" }));
    const decision = decide({ plan, rows, tasks: [over(1), ...empty], policy: { launchFailures: 2 } });
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["a"] }]);
  });

  it("D11: builds that die before they begin back off and are given up; the run ends and says so", () => {
    const tasks = (count: number) => [
      over(1),
      ...Array.from({ length: count }, (_, n) => killed(n + 2, {}, { kind: "recovery" })),
    ];
    const skippedRows = [row("a", "success"), claimed(row("b", "skipped"), 2), row("x", "success")];
    const policy = { launchFailures: 2 };
    expect(decide({ plan, rows: skippedRows, tasks: tasks(2), policy, nowMs: LONG_AGO + 9_999 })).toMatchObject({
      launches: [],
      settle: false,
    });
    expect(launchesOf(decide({ plan, rows: skippedRows, tasks: tasks(2), policy }))).toEqual([
      { kind: "recovery", set: ["b"] },
    ]);
    const living = [...tasks(3), live(5, { kind: "fallback" })];
    expect(decide({ plan, rows: skippedRows, tasks: living, policy })).toMatchObject({
      launches: [],
      finals: [],
      settle: false,
    });
    const situation = { plan, rows: skippedRows, tasks: tasks(3), policy };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(verdictAfter(situation, decision)).toMatchObject({ state: "red" });
    expect(verdictAfter(situation, decision).sentence).toContain("Task after task ended before any node began");
  });
});
