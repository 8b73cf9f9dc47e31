import { describe, expect, it } from "vitest";
import {
  dataTest,
  decide,
  finalsOf,
  killed,
  launchesOf,
  NOW,
  over,
  planOf,
  row,
  vertex,
} from "../../support/run-builders.ts";

const CUT = "Database Error in model a (models/a.sql)\n  server closed the connection unexpectedly";
const ids = Array.from({ length: 60 }, (_, n) => `m${String(n).padStart(2, "0")}`);
const sixty = planOf([...ids.map((id) => vertex(id)), vertex("below", ["m00", "m59"]), vertex("fine")]);
const lost = (message: string, endedAtMs = (n: number) => NOW - 600_000 + n * 500) => [
  ...ids.map((id, n) => row(id, "error", { message, endedAtMs: endedAtMs(n) })),
  row("below", "skipped"),
  row("fine", "success"),
];

describe("one outage, one build", () => {
  it("G26: sixty models that lost their connection within a minute are one recovery build, with what is below them", () => {
    const decision = decide({ plan: sixty, rows: lost(CUT) });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["below", ...ids] }]);
    expect(decision.launches[0]?.reason).toBe(
      "60 vertices failed at about the same moment of a lost connection, and 1 vertex was not built: one build for all.",
    );
    expect(decision.heldSinceMs).toBeNull();
  });

  it("G26: what fails again in it is built alone", () => {
    const again = [
      ...ids.map((id, n) =>
        n < 2 ? row(id, "error", { message: CUT, task: 2, tryTasks: [1, 2] }) : row(id, "success", { task: 2 }),
      ),
      row("below", "skipped", { task: 2 }),
      row("fine", "success"),
    ];
    const tasks = [over(1), over(2, {}, { kind: "recovery" })];
    const decision = decide({ plan: sixty, rows: again, tasks, policy: { retries: { node: 2 } } });
    expect(launchesOf(decision)).toEqual([
      { kind: "fallback", set: ["m00"] },
      { kind: "fallback", set: ["m01"] },
    ]);
    expect(finalsOf(decide({ plan: sixty, rows: again, tasks }))).toMatchObject({ m00: "dead", m01: "dead" });
  });

  it("G26: failures of no known cause are built alone, as far as the cap lets them", () => {
    const decision = decide({ plan: sixty, rows: lost("Database Error in model a\n  division by zero") });
    expect(decision.launches.map((launch) => [launch.kind, launch.uniqueIds.length])).toEqual(
      Array.from({ length: 4 }, () => ["fallback", 1]),
    );
  });

  it("G26: two outages far apart are two moments, but one task still serves both", () => {
    const rows = lost(CUT, (n) => NOW - (n < 30 ? 3_600_000 : 600_000));
    expect(launchesOf(decide({ plan: sixty, rows }))).toEqual([{ kind: "recovery", set: ["below", ...ids] }]);
  });

  it("G26: a single vertex, and one hit far from the others, is built alone", () => {
    const two = planOf([vertex("a"), vertex("b")]);
    const rows = [
      row("a", "error", { message: CUT, endedAtMs: NOW - 3_600_000 }),
      row("b", "error", { message: CUT, endedAtMs: NOW - 600_000 }),
    ];
    expect(launchesOf(decide({ plan: two, rows })).map((one) => one.kind)).toEqual(["fallback", "fallback"]);
  });

  it("G26: none of them before each has had its delay", () => {
    const rows = lost(CUT, (n) => NOW - (n === 59 ? 1_000 : 10_000));
    const decision = decide({ plan: sixty, rows });
    expect(decision.launches).toEqual([]);
    expect(decision.settle).toBe(false);
  });

  it("G26: fallbacks: alone and together say otherwise", () => {
    const alone = decide({ plan: sixty, rows: lost(CUT), policy: { fallbacks: "alone" } });
    expect(alone.launches.every((launch) => launch.kind === "fallback" && launch.uniqueIds.length === 1)).toBe(true);
    const together = decide({ plan: sixty, rows: lost("division by zero"), policy: { fallbacks: "together" } });
    expect(launchesOf(together)).toEqual([{ kind: "recovery", set: ["below", ...ids] }]);
    expect(together.launches[0]?.reason).toContain(
      "at about the same moment of any cause (fallbacks: together), and 1",
    );
  });

  it("G26: what was running when the warehouse went away is built with the rest, and loses no try", () => {
    const rows = [row("a", "started"), row("b", "started"), row("c", "error", { message: CUT })];
    const plan = planOf([vertex("a"), vertex("b"), vertex("c")]);
    const gone = over(1, {
      inOrder: false,
      exitCode: 2,
      cause: { kind: "connection", sentence: "It went.", lines: [] },
      lostWarehouse: true,
    });
    const decision = decide({ plan, rows, tasks: [gone] });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["a", "b", "c"] }]);
    expect(decision.launches[0]?.claims.map((claim) => claim.lostTask)).toEqual([1, 1, undefined]);
  });

  it("G26, G21: what ran in a build that was killed is still built alone first: it may be what kills", () => {
    const rows = [row("a", "started"), row("b", "started")];
    const decision = decide({ plan: planOf([vertex("a"), vertex("b")]), rows, tasks: [killed(1)] });
    expect(launchesOf(decision).map((one) => one.kind)).toEqual(["fallback", "fallback"]);
  });

  it("G26, C7: deferred tests that wait for an open node keep no place from the task that builds it", () => {
    const late = (id: string) => dataTest(id, ["a"], { deferred: true });
    const plan = planOf([vertex("x"), vertex("a"), late("test.one"), late("test.two")]);
    const struck = (id: string) => row(id, "error", { message: CUT, task: 2 });
    const rows = [row("x", "error"), row("a", "success"), struck("test.one"), struck("test.two")];
    const tasks = [over(1), over(2, {}, { kind: "recovery" })];
    expect(launchesOf(decide({ plan, rows, tasks, maxTasks: 1 }))).toEqual([{ kind: "fallback", set: ["x"] }]);
    const open = [row("x", "success", { task: 3 }), ...rows.slice(1)];
    const later = decide({ plan, rows: open, tasks: [...tasks, over(3, {}, { kind: "fallback" })], maxTasks: 1 });
    expect(launchesOf(later)).toEqual([{ kind: "recovery", set: ["test.one", "test.two"] }]);
  });

  it("G26, G17: a microbatch model keeps a task of its own, since its window is its own", () => {
    const plan = planOf([vertex("a"), vertex("b"), vertex("m", [], { batchSize: "day" })]);
    const batches = [{ name: "2024-03-01", status: "error" }];
    const rows = [
      row("a", "error", { message: CUT }),
      row("b", "error", { message: CUT }),
      row("m", "error", { message: CUT, batches }),
    ];
    expect(launchesOf(decide({ plan, rows }))).toEqual([
      { kind: "fallback", set: ["m"] },
      { kind: "recovery", set: ["a", "b"] },
    ]);
  });
});

describe("failed data tests", () => {
  const tests = Array.from({ length: 60 }, (_, n) => dataTest(`test.${String(n).padStart(2, "0")}`, ["a"]));
  const plan = planOf([vertex("a"), ...tests]);
  const rows = [row("a", "success"), ...tests.map((test) => row(test.uniqueId, "fail", { message: "Got 3 results" }))];

  it("C14: sixty that found rows spend no task under retryOn: transient, and the run is over", () => {
    const decision = decide({ plan, rows });
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(new Set(Object.values(finalsOf(decision)))).toEqual(new Set(["dead"]));
  });

  it("C14: under all they go into one dbt process", () => {
    const decision = decide({ plan, rows, policy: { retryOn: "all" } });
    expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: tests.map((test) => test.uniqueId) }]);
  });

  it("C14: one whose SQL erred is tried again, by its message", () => {
    const erred = planOf([vertex("a"), dataTest("test.a", ["a"])]);
    const with_ = (status: string, message: string) =>
      launchesOf(decide({ plan: erred, rows: [row("a", "success"), row("test.a", status, { message })] }));
    expect(with_("error", "Database Error in test a\n  deadlock detected")).toHaveLength(1);
    expect(with_("fail", "[error]: Error materializing test test.a (t.sql)\n  deadlock detected")).toHaveLength(1);
    expect(with_("error", 'Database Error in test a\n  relation "a" does not exist')).toEqual([]);
  });

  it("C14: one that was given tries of its own has them", () => {
    const own = planOf([vertex("a"), dataTest("test.a", ["a"], { overrides: { retries: 1 } })]);
    expect(launchesOf(decide({ plan: own, rows: [row("a", "success"), row("test.a", "fail")] }))).toHaveLength(1);
  });
});

describe("unit tests of a model that is not going to be built", () => {
  const unit = (id: string) => vertex(`unit_test.${id}`, ["base"], { on: ["m"] });
  const plan = planOf([
    vertex("base"),
    ...["one", "two", "three"].map(unit),
    vertex("m", ["base", "unit_test.one", "unit_test.two", "unit_test.three"]),
  ]);

  it("C15: those that dbt skipped because another one failed are doomed with it, never run alone", () => {
    const rows = [
      row("base", "success"),
      row("unit_test.one", "fail"),
      ...["unit_test.two", "unit_test.three", "m"].map((id) => row(id, "skipped")),
    ];
    const decision = decide({ plan, rows });
    expect(decision).toMatchObject({ launches: [], settle: true });
    expect(finalsOf(decision)).toEqual({
      "unit_test.one": "dead",
      "unit_test.two": "doomed by unit_test.one",
      "unit_test.three": "doomed by unit_test.one",
      m: "doomed by unit_test.one",
    });
  });

  it("C15: nor those of a model that is doomed by something else", () => {
    const other = planOf([vertex("x"), vertex("unit_test.m", [], { on: ["m"] }), vertex("m", ["x", "unit_test.m"])]);
    const rows = [row("x", "error", { message: "Compilation Error in model x" }), row("m", "skipped")];
    const decision = decide({ plan: other, rows, tasks: [killed(1)] });
    expect(decision.launches).toEqual([]);
    expect(finalsOf(decision)["unit_test.m"]).toBe("doomed by x");
  });
});

describe("a recovery that can not begin", () => {
  it.each(["parse", "profile", "flags", "disk_full"] as const)(
    "D3: a fallback that ends by %s before anything began is not repeated",
    (kind) => {
      const plan = planOf([vertex("a"), vertex("b")]);
      const rows = [row("a", "error", { message: CUT }), row("b", "skipped")];
      const end = {
        inOrder: false,
        exitCode: 2,
        cause: { kind, sentence: "dbt could not go on: no such model.", lines: [] },
      };
      const decision = decide({ plan, rows, tasks: [over(1), over(2, end, { kind: "fallback" })] });
      expect(decision).toMatchObject({ launches: [], settle: true });
      expect(decision.finals.find((word) => word.uniqueId === "a")?.finalReason).toContain(
        "Task 2 could not begin: dbt could not go on: no such model.",
      );
    },
  );
});
