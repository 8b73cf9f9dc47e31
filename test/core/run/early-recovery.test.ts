import { describe, expect, it } from "vitest";
import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { nextMomentMs } from "#core/run/deciding/next-moment.ts";
import { consumerAnswer } from "#core/run/watching/consumer.ts";
import {
  claimed,
  dataTest,
  decide,
  ephemeral,
  finalsOf,
  launchesOf,
  live,
  NOW,
  nodeFailed,
  over,
  planOf,
  row,
  runOf,
  type Situation,
  stepInput,
  verdictAfter,
  vertex,
} from "../../support/run-builders.ts";

const DEADLOCK = { message: "Database Error in model flaky\n  deadlock detected", endedAtMs: NOW - 30_000 };
const CUT = "Database Error in model\n  server closed the connection unexpectedly";

/** A long build in which `flaky` has failed, with `child` below it alone and `late` below it and `slow`, which runs. */
const plan = planOf([
  vertex("flaky"),
  dataTest("test.flaky", ["flaky"]),
  vertex("child", ["flaky", "test.flaky"]),
  vertex("slow"),
  vertex("late", ["flaky", "slow", "test.flaky"]),
]);
const failed = row("flaky", "error", DEADLOCK);
const skips = [row("test.flaky", "skipped"), row("child", "skipped")];
const slow = row("slow", "started");
const building = live(1, { startedAtMs: NOW - 600_000, claimedAtMs: NOW - 600_000, sequence: 4 });

const early = (situation: Situation) =>
  decide({
    plan,
    tasks: [building],
    rows: [failed, ...skips, slow],
    ...situation,
    policy: { recovery: "early", ...situation.policy },
  });
const nothingYet = { launches: [], finals: [], settle: false };

describe("recovery: early", () => {
  it("F3, G19: what failed in a build that goes on is built alone, with its tests, while the build goes on", () => {
    const decision = early({});
    expect(launchesOf(decision)).toEqual([{ kind: "fallback", set: ["flaky", "test.flaky"] }]);
    expect(decision.launches[0]?.claims).toEqual([
      { uniqueId: "flaky", from: 1 },
      { uniqueId: "test.flaky", from: 1 },
    ]);
    expect(decision.finals).toEqual([]);
  });

  it("F3: under recovery: after nothing is decided while the producer lives, and no try is used", () => {
    expect(early({ policy: { recovery: "after" } })).toMatchObject(nothingYet);
  });

  it("G19: what is below it follows in one recovery build, and what waits for the producer waits", () => {
    const mended = [
      row("flaky", "success", { task: 2, tryTasks: [1, 2] }),
      row("test.flaky", "pass", { task: 2 }),
      row("child", "skipped"),
      slow,
    ];
    const decision = early({ rows: mended, tasks: [building, over(2, {}, { kind: "fallback", size: "queue" })] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["child"] }]);
    expect(decision.launches[0]?.claims).toEqual([{ uniqueId: "child", from: 1 }]);
    const bothDone = [...mended.slice(0, 3), row("slow", "success"), row("late", "skipped")];
    const after = early({ rows: bothDone, tasks: [building, over(2, {}, { kind: "fallback", size: "queue" })] });
    expect(launchesOf(after)).toEqual([{ kind: "recovery", set: ["child", "late"] }]);
  });

  it("G19: nothing of it is taken before dbt has said its word on all that it comes to below", () => {
    const unsaid = early({ rows: [failed, row("test.flaky", "skipped"), slow] });
    expect(unsaid).toMatchObject(nothingYet);
    const begun = early({ rows: [failed, row("test.flaky", "skipped"), row("child", "started"), slow] });
    expect(begun).toMatchObject(nothingYet);
    const built = early({ rows: [failed, ...skips, slow, row("late", "success")] });
    expect(built).toMatchObject(nothingYet);
  });

  it("G19: what waits below for another parent needs no word: dbt's skip of it is certain", () => {
    const deep = planOf([...plan.vertices, vertex("deeper", ["late"])]);
    expect(launchesOf(early({ plan: deep }))).toEqual([{ kind: "fallback", set: ["flaky", "test.flaky"] }]);
  });

  it("G19: a good vertex of the producer is in no set, whatever waits for its test", () => {
    const found = row("test.flaky", "error", DEADLOCK);
    const rows = [row("flaky", "success"), found, row("child", "skipped"), slow];
    expect(launchesOf(early({ rows }))).toEqual([{ kind: "fallback", set: ["test.flaky"] }]);
    expect(early({ rows, policy: { onTestFailure: "node" } })).toMatchObject(nothingYet);
    const own = plan.vertices.map((one) =>
      one.uniqueId === "test.flaky" ? { ...one, overrides: { onTestFailure: "node" as const } } : one,
    );
    expect(early({ rows, plan: planOf(own) })).toMatchObject(nothingYet);
  });

  it("C12: a test that brings its nodes along waits for those that the producer owns, also after its own fallback", () => {
    const two = planOf([vertex("flaky"), vertex("fine"), vertex("slow"), dataTest("test.both", ["flaky", "fine"])]);
    const rows = [
      row("flaky", "success", { task: 2, tryTasks: [1, 2] }),
      row("fine", "success"),
      row("test.both", "error", { ...DEADLOCK, task: 2 }),
      slow,
    ];
    const tasks = [building, over(2, {}, { kind: "fallback", size: "queue" })];
    const policy = { onTestFailure: "node" };
    expect(early({ plan: two, rows, tasks, policy })).toMatchObject(nothingYet);
    const ended = [...rows.slice(0, 3), row("slow", "success")];
    const all = [over(1), ...tasks.slice(1)];
    expect(launchesOf(early({ plan: two, rows: ended, tasks: all, policy }))).toEqual([
      { kind: "fallback", set: ["fine", "flaky", "test.both"] },
    ]);
  });

  it("C13: a test of two nodes goes into no build before its other parent is good, and then only once dbt has passed it", () => {
    const two = planOf([vertex("flaky"), vertex("slow"), dataTest("test.both", ["flaky", "slow"])]);
    expect(launchesOf(early({ plan: two, rows: [failed, slow] }))).toEqual([{ kind: "fallback", set: ["flaky"] }]);
    const tasks = [building, live(2, { kind: "fallback", size: "queue" })];
    const taken = [claimed(failed, 2), row("slow", "success")];
    expect(early({ plan: two, rows: taken, tasks })).toMatchObject(nothingYet);
    const mended = [row("flaky", "success", { task: 2, tryTasks: [1, 2] }), row("slow", "success")];
    const over2 = [building, over(2, {}, { kind: "fallback", size: "queue" })];
    expect(early({ plan: two, rows: mended, tasks: over2 })).toMatchObject(nothingYet);
    const said = [...mended, row("test.both", "skipped")];
    expect(launchesOf(early({ plan: two, rows: said, tasks: over2 }))).toEqual([
      { kind: "recovery", set: ["test.both"] },
    ]);
  });

  it("B4: an ephemeral between them comes along with what reads it, and makes no build of its own", () => {
    const between = planOf([vertex("flaky"), ephemeral("thin", ["flaky"]), vertex("child", ["flaky", "thin"])]);
    const mended = row("flaky", "success", { task: 2, tryTasks: [1, 2] });
    const tasks = [building, over(2, {}, { kind: "fallback", size: "queue" })];
    expect(launchesOf(early({ plan: between, rows: [failed, row("child", "skipped")] }))).toEqual([
      { kind: "fallback", set: ["flaky"] },
    ]);
    expect(early({ plan: between, rows: [mended], tasks })).toMatchObject(nothingYet);
    expect(launchesOf(early({ plan: between, rows: [mended, row("child", "skipped")], tasks }))).toEqual([
      { kind: "recovery", set: ["child", "thin"] },
    ]);
  });

  it("G20: below two failed roots nothing is built before both are good", () => {
    const roots = planOf([vertex("a"), vertex("b"), vertex("both", ["a", "b"]), vertex("slow")]);
    const rows = [
      row("a", "success", { task: 2, tryTasks: [1, 2] }),
      row("b", "error", { ...DEADLOCK, task: 3, tryTasks: [1, 3] }),
      row("both", "skipped"),
      slow,
    ];
    const queue = { kind: "fallback", size: "queue" } as const;
    const decision = early({ plan: roots, rows, tasks: [building, over(2, {}, queue), over(3, {}, queue)] });
    expect(launchesOf(decision)).toEqual([]);
    expect(finalsOf(decision)).toEqual({ b: "dead" });
  });

  it("F5: what the producer owns gets no last word before its end: dbt has more to tell of it", () => {
    const compile = row("flaky", "error", { message: "Compilation Error in model flaky\n  nothing called x" });
    expect(early({ rows: [compile, ...skips, slow] })).toMatchObject(nothingYet);
  });

  it("G16, G28: an error whose cause is not known yet is left to the build's end", () => {
    const silent = row("flaky", "error", { endedAtMs: NOW - 30_000 });
    expect(early({ rows: [silent, ...skips, slow] })).toMatchObject(nothingYet);
  });

  it("D12: what was interrupted is no failure, and a build that is being cut short gives nothing free", () => {
    const beside = planOf([...plan.vertices, vertex("other")]);
    const rows = [failed, ...skips, slow];
    expect(early({ plan: beside, rows: [...rows, row("other", "error", DEADLOCK)] }).launches).toHaveLength(2);
    expect(early({ plan: beside, rows: [...rows, row("other", "cancelled")] })).toMatchObject(nothingYet);
    expect(early({ rows: [row("flaky", "cancelled"), ...skips, slow] })).toMatchObject(nothingYet);
  });

  it("D12: what lost its connection may have left a query, in a session that was there when the build told of it", () => {
    const endedAtMs = NOW - 30_000;
    const cut = row("flaky", "error", { message: CUT, endedAtMs });
    const { launches } = early({ rows: [cut, ...skips, slow], policy: { fallbacks: "alone" } });
    expect(launches[0]?.orphans).toEqual({ uniqueIds: ["flaky"], openedBeforeMs: endedAtMs + 60_000 });
  });

  it("D10: a build whose heart is silent gives nothing free", () => {
    const tasks = [{ ...building, heartbeatAtMs: NOW - 61_000 }];
    expect(early({ tasks })).toMatchObject(nothingYet);
  });

  it("B7: with on_error: continue anywhere below, recovery waits for the build's end", () => {
    const change = (id: string) => ({
      plan: planOf(plan.vertices.map((one) => (one.uniqueId === id ? { ...one, onErrorContinue: true } : one))),
    });
    expect(early(change("flaky"))).toMatchObject(nothingYet);
    expect(early(change("late"))).toMatchObject(nothingYet);
    expect(early(change("slow")).launches).toHaveLength(1);
  });

  it("B10: a skip that no failure explains frees nothing", () => {
    const rows = [row("flaky", "skipped"), ...skips, row("slow", "skipped"), row("late", "skipped")];
    expect(early({ rows })).toMatchObject(nothingYet);
  });

  it("G19: a single writer, or on-run hooks, leave recovery to the build's end, unless they run once", () => {
    expect(early({ plan: { ...plan, adapterType: "duckdb" } })).toMatchObject(nothingYet);
    const hooked = { ...plan, hookCount: 1 };
    expect(early({ plan: hooked })).toMatchObject(nothingYet);
    expect(early({ plan: hooked, policy: { concurrentHooks: true } }).launches).toHaveLength(1);
    expect(early({ plan: hooked, policy: { hooks: "once" } }).launches).toHaveLength(1);
    const dbt2 = { ...hooked, dbtVersion: "2.0.0" };
    expect(early({ plan: dbt2, policy: { hooks: "once" } })).toMatchObject(nothingYet);
  });

  it("F4: a retry has its delay", () => {
    const waits = early({ policy: { retryDelaySeconds: 60 } });
    expect(waits).toMatchObject(nothingYet);
    expect(early({ policy: { retryDelaySeconds: 60 }, nowMs: NOW + 30_000 }).launches).toHaveLength(1);
  });

  it("F4: and why tells that moment, though the producer's heartbeat will be old by then", () => {
    const policy = { recovery: "early", retryDelaySeconds: 120 };
    const asked = stepInput({ plan, rows: [failed, ...skips, slow], tasks: [building], policy });
    const atMs = nextMomentMs(asked)!;
    expect(Math.abs(atMs - (NOW + 90_000))).toBeLessThanOrEqual(100);
  });

  it("G4: the cap counts the execution queue, not the producer beside it; a producer of its size counts", () => {
    expect(early({ maxTasks: 1 }).launches).toHaveLength(1);
    expect(early({ maxTasks: 1, tasks: [{ ...building, size: "queue" }] }).launches).toEqual([]);
    const busy = [building, live(2, { kind: "fallback", size: "queue" })];
    expect(early({ maxTasks: 1, tasks: busy })).toMatchObject(nothingYet);
  });

  it("G19: what fails in a recovery build that goes on is free as in a producer", () => {
    const rows = [
      row("flaky", "error", { ...DEADLOCK, task: 2, tryTasks: [2] }),
      row("test.flaky", "skipped", { task: 2 }),
      row("child", "skipped", { task: 2 }),
      row("slow", "started", { task: 2 }),
    ];
    const tasks = [over(1), live(2, { kind: "recovery", size: "queue" })];
    expect(launchesOf(early({ rows, tasks }))).toEqual([{ kind: "fallback", set: ["flaky", "test.flaky"] }]);
  });
});

describe("what people see of it", () => {
  const queue = { size: "queue" } as const;
  const fallback = over(2, {}, { kind: "fallback", ...queue });
  const mended = [
    row("flaky", "success", { task: 2, tryTasks: [1, 2], endedAtMs: NOW - 5_000 }),
    row("test.flaky", "pass", { task: 2, endedAtMs: NOW - 4_000 }),
  ];

  it("F3: a node's consumer waits while it may recover, and is green with its fallback, while the producer goes on", () => {
    const answer = (rows: readonly VertexRow[], tasks: readonly TaskRow[]) =>
      consumerAnswer(plan, "flaky", rows, tasks, runOf());
    expect(answer([failed, ...skips, slow], [building])).toEqual({ state: "waiting" });
    const builds = live(2, { kind: "fallback", ...queue });
    const taken = [failed, ...skips.slice(0, 1)].map((one) => claimed(one, 2));
    expect(answer([...taken, slow], [building, builds])).toEqual({ state: "waiting" });
    expect(answer([...mended, slow], [building, fallback])).toMatchObject({ state: "green", tries: 2 });
  });

  it("B11, F16: the producer's exit code is explained by what failed in it, though that is good by now: the run is green", () => {
    const good = ["child", "slow", "late"].map((id, n) => row(id, "success", { task: n === 1 ? 1 : 3 }));
    const tasks = [over(1, nodeFailed()), fallback, over(3, {}, { kind: "recovery", ...queue })];
    const situation = { plan, rows: [...mended, ...good], tasks, policy: { recovery: "early" } };
    const decision = decide(situation);
    expect(decision).toMatchObject({ launches: [], finals: [], settle: true });
    expect(verdictAfter(situation, decision)).toMatchObject({
      state: "green",
      sentence: "Every one of 5 vertices is good, 1 after a retry.",
    });
  });
});

describe("how many tasks early recovery makes", () => {
  it("G26: what one outage strikes waits until its moment is over, then is one build", () => {
    const many = planOf([...["a", "b", "c"].map((id) => vertex(id)), vertex("slow")]);
    const struck = ["a", "b", "c"].map((id, n) => row(id, "error", { message: CUT, endedAtMs: NOW - 50_000 + n }));
    const waits = early({ plan: many, rows: [...struck, slow] });
    expect(waits).toMatchObject(nothingYet);
    const later = early({ plan: many, rows: [...struck, slow], nowMs: NOW + 11_000, tasks: [beating(NOW + 11_000)] });
    expect(launchesOf(later)).toEqual([{ kind: "recovery", set: ["a", "b", "c"] }]);
  });

  it("G26: an outage that goes on is waited for five minutes at the most", () => {
    const two = planOf([vertex("a"), vertex("b"), vertex("slow")]);
    const struck = [
      row("a", "error", { message: CUT, endedAtMs: NOW - 301_000 }),
      row("b", "error", { message: CUT, endedAtMs: NOW - 5_000 }),
    ];
    const launched = launchesOf(early({ plan: two, rows: [...struck, slow] }));
    expect(launched.flatMap((launch) => launch.set)).toContain("a");
  });

  it("G19: a further wave waits a quarter of the time that had passed at the last one, and the producer's end frees it", () => {
    const below = planOf([vertex("flaky"), vertex("one", ["flaky"]), vertex("two", ["flaky"]), vertex("slow")]);
    const rows = [
      row("flaky", "success", { task: 2, tryTasks: [1, 2] }),
      row("one", "success", { task: 3 }),
      row("two", "skipped"),
      slow,
    ];
    const queue = { size: "queue" } as const;
    const claimedAtMs = NOW - 60_000;
    const beside = [
      over(2, {}, { kind: "fallback", ...queue }),
      over(3, {}, { kind: "recovery", claimedAtMs, ...queue }),
    ];
    const at = (nowMs: number) => early({ plan: below, rows, nowMs, tasks: [beating(nowMs), ...beside] });
    expect(at(NOW)).toMatchObject(nothingYet);
    expect(launchesOf(at(claimedAtMs + 135_000 - 1))).toEqual([]);
    expect(launchesOf(at(claimedAtMs + 135_000))).toEqual([{ kind: "recovery", set: ["two"] }]);
    const ended = [...rows.slice(0, 3), row("slow", "success")];
    expect(launchesOf(early({ plan: below, rows: ended, tasks: [over(1), ...beside] }))).toEqual([
      { kind: "recovery", set: ["two"] },
    ]);
  });

  it("G19: and so does one beside a recovery build that goes on", () => {
    const below = planOf([vertex("flaky"), vertex("one", ["flaky"]), vertex("two", ["flaky"]), vertex("slow")]);
    const rows = [
      row("flaky", "success", { task: 3, tryTasks: [2, 3] }),
      row("one", "success", { task: 4 }),
      row("two", "skipped", { task: 2 }),
      row("slow", "started", { task: 2 }),
    ];
    const queue = { size: "queue" } as const;
    const wave = over(4, {}, { kind: "recovery", claimedAtMs: NOW - 60_000, ...queue });
    const tasks = (nowMs: number) => [
      over(1),
      { ...beating(nowMs), task: 2, kind: "recovery" as const, ...queue },
      over(3, {}, { kind: "fallback", ...queue }),
      wave,
    ];
    expect(launchesOf(early({ plan: below, rows, tasks: tasks(NOW) }))).toEqual([]);
    const later = NOW + 75_000;
    expect(launchesOf(early({ plan: below, rows, tasks: tasks(later), nowMs: later }))).toEqual([
      { kind: "recovery", set: ["two"] },
    ]);
  });

  const beating = (nowMs: number) => ({ ...building, heartbeatAtMs: nowMs });
});
