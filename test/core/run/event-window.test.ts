import { describe, expect, it, test } from "vitest";
import { eventWindow, windowMoves } from "#core/run/deciding/event-window.ts";
import type { PlanVertex } from "#core/run/planning/plan.ts";
import {
  dataTest,
  decide,
  finalsOf,
  killed,
  LONG_AGO,
  launchesOf,
  over,
  planOf,
  row,
  secondRound,
  vertex,
} from "../../support/run-builders.ts";

const batches = (...names: string[]) => names.map((name, at) => ({ name, status: at === 1 ? "error" : "success" }));
const DAYS = batches("2024-03-01", "2024-03-02", "2024-03-03");
const AT = Date.parse("2024-03-03T10:00:00Z");

describe("the window of a microbatch model", () => {
  test.each([
    ["day", DAYS, "2024-03-03T10:00:00Z", "2024-03-01T00:00:00", "2024-03-04T00:00:00"],
    [
      "hour",
      batches("2024-03-01 22:00:00+00:00", "2024-03-01 23:00:00+00:00"),
      "2024-03-01T23:10:00Z",
      "2024-03-01T22:00:00",
      "2024-03-02T00:00:00",
    ],
    [
      "hour",
      batches("2024-03-01T22", "2024-03-01T23"),
      "2024-03-01T23:10:00Z",
      "2024-03-01T22:00:00",
      "2024-03-02T00:00:00",
    ],
    ["month", batches("2023-11", "2023-12"), "2023-12-09T00:00:00Z", "2023-11-01T00:00:00", "2024-01-01T00:00:00"],
    [
      "month",
      batches("2023-11-01", "2023-12-01"),
      "2023-12-09T00:00:00Z",
      "2023-11-01T00:00:00",
      "2024-01-01T00:00:00",
    ],
    ["year", batches("2023", "2024"), "2024-05-05T00:00:00Z", "2023-01-01T00:00:00", "2025-01-01T00:00:00"],
    ["year", batches("2023-01-01"), "2023-05-05T00:00:00Z", "2023-01-01T00:00:00", "2024-01-01T00:00:00"],
  ] as const)("G17: of batches by %s", (size, named, at, start, end) => {
    expect(eventWindow(size, named, Date.parse(at))).toEqual({ start, end });
  });

  it("G17: a build that was killed had batches before it that it never named", () => {
    const named = batches("2024-03-01");
    expect(eventWindow("day", named, AT)).toEqual({ start: "2024-03-01T00:00:00", end: "2024-03-04T00:00:00" });
  });

  it("G17: batches that nobody can read give no window", () => {
    expect(eventWindow("day", [], AT)).toBeNull();
    expect(eventWindow("day", batches("batch 1"), AT)).toBeNull();
  });
});

describe("a microbatch model that a root below kept from being built", () => {
  const at = (time: string) => Date.parse(`2024-02-29T${time}Z`);
  test.each([
    ["hour", "22:58:00", "23:02:00", true],
    ["hour", "22:10:00", "22:20:00", false],
    ["hour", "22:10:00", "22:50:00", true],
    ["day", "22:58:00", "23:02:00", false],
    ["day", "23:58:00", "24:00:00", true],
    ["month", "23:58:00", "24:00:00", true],
    ["year", "23:58:00", "24:00:00", false],
  ] as const)(
    "G27: by %s, from %s to %s its window moves, or may while dbt starts: %s",
    (batchSize, from, to, moves) => {
      expect(windowMoves([{}, { batchSize }], at(from), at(to))).toBe(moves);
    },
  );

  it("G27: is built as of the producer's start, in a recovery build and with a node that is built again for its test", () => {
    const tides = vertex("tides", ["root"], { materialized: "incremental", batchSize: "day" });
    const plan = planOf([vertex("root"), tides, dataTest("test.tides", ["tides"])]);
    const producer = over(1, {}, { startedAtMs: 123 });
    const built = row("root", "success", { task: 2 });
    const tasks = [producer, over(2, {}, { kind: "fallback" })];
    const decision = decide({ plan, rows: [built, row("tides", "skipped")], tasks });
    expect(decision.launches).toMatchObject([{ kind: "recovery", asOfMs: 123 }]);
    const rows = [built, row("tides", "success"), row("test.tides", "error")];
    const again = decide({ plan, rows, tasks, policy: { onTestFailure: "node" } });
    expect(again.launches).toMatchObject([{ kind: "fallback", asOfMs: 123 }]);
  });

  it("G27: dbt 2, which can not be told the time, does not build it once its window has moved; its children are not built", () => {
    const tides = vertex("tides", ["root"], { materialized: "incremental", batchSize: "day" });
    const plan = planOf([vertex("root"), tides, vertex("child", ["tides"])], { dbtVersion: "2.0.9" });
    const rows = [row("root", "success", { task: 2 }), row("tides", "skipped"), row("child", "skipped")];
    const startedAtMs = at("22:58:00");
    const tasks = [over(1, {}, { startedAtMs }), over(2, {}, { kind: "fallback" })];
    const decision = decide({ plan, rows, tasks, nowMs: startedAtMs + 7_200_000 });
    expect(launchesOf(decision)).toEqual([]);
    expect(finalsOf(decision)).toEqual({ tides: "not_built", child: "not_built" });
    expect(decision.finals[0]?.finalReason).toContain("--event-time-start");
    expect(decide({ plan, rows, tasks, nowMs: startedAtMs + 60_000 }).launches).toMatchObject([
      { asOfMs: startedAtMs },
    ]);
  });

  it("G27: a set without such a model has no such moment, and one of a known window has that", () => {
    const plain = decide({ plan: planOf([vertex("a")]), rows: [row("a", "error")] });
    expect(plain.launches[0]).not.toHaveProperty("asOfMs");
  });
});

describe("a microbatch model in a round with --full-refresh", () => {
  const round = secondRound({ fullRefresh: true });
  const situation = (changes: Partial<PlanVertex>, dbtVersion = "1.11.16") => ({
    plan: planOf([vertex("tides", [], { materialized: "incremental", batchSize: "day", ...changes })], { dbtVersion }),
    tasks: [over(1, {}, { startedAtMs: AT })],
    round,
  });
  const failed = row("tides", "partial success", { batches: DAYS, startedAtMs: AT });

  it("G17: is built whole: the window of its failed batches would be all that is left of it", () => {
    const launches = decide({ ...situation({}), rows: [failed] }).launches;
    expect(launches).toHaveLength(1);
    expect(launches[0]).not.toHaveProperty("eventWindow");
    // Rows that came since then would be lost.
    expect(launches[0]).not.toHaveProperty("asOfMs");
  });

  it("G17: keeps its window where its own full_refresh: false keeps its rows", () => {
    const eventWindow = { start: "2024-03-02T00:00:00", end: "2024-03-03T00:00:00" };
    expect(decide({ ...situation({ keepsRows: true }), rows: [failed] }).launches).toMatchObject([{ eventWindow }]);
  });

  it("G17: is tried although its batches are not known: none can be missing", () => {
    const rows = [row("tides", "error")];
    expect(launchesOf(decide({ ...situation({}, "2.0.9"), rows }))).toHaveLength(1);
    const kept = decide({ ...situation({ keepsRows: true }, "2.0.9"), rows });
    expect([launchesOf(kept), finalsOf(kept)]).toEqual([[], { tides: "dead" }]);
  });

  it("G27: takes its own time for now, also with dbt 2, unless its rows are kept", () => {
    const rows = [row("tides", "skipped")];
    for (const dbtVersion of ["1.11.16", "2.0.9"]) {
      const launches = decide({ ...situation({}, dbtVersion), rows, nowMs: AT + 86_400_000 }).launches;
      expect(launches).toHaveLength(1);
      expect(launches[0]).not.toHaveProperty("asOfMs");
    }
    expect(decide({ ...situation({ keepsRows: true }), rows }).launches).toMatchObject([{ asOfMs: AT }]);
  });
});

describe("a microbatch model that is tried again", () => {
  const tides = planOf([
    vertex("tides", [], { materialized: "incremental", batchSize: "day" }),
    vertex("child", ["tides"]),
  ]);
  const failed = row("tides", "partial success", { batches: DAYS, startedAtMs: AT });
  const skipped = row("child", "skipped");

  it("G17: is built with the window of its failed batches, which are not left out; what is good is not built again", () => {
    const [launch] = decide({ plan: tides, rows: [failed, skipped] }).launches;
    expect(launch).toMatchObject({
      kind: "fallback",
      uniqueIds: ["tides"],
      eventWindow: { start: "2024-03-02T00:00:00", end: "2024-03-03T00:00:00" },
    });
  });

  const windowAfter = (statuses: readonly string[], status = "partial success") => {
    const named = statuses.map((word, at) => ({ name: `2024-03-0${at + 1}`, status: word }));
    const rows = [row("tides", status, { batches: named, startedAtMs: AT }), skipped];
    return decide({ plan: tides, rows }).launches[0]?.eventWindow;
  };

  it("G17: batches that failed apart are built with those between them, and what dbt never named is built too", () => {
    const march = (start: number, end: number) => ({
      start: `2024-03-0${start}T00:00:00`,
      end: `2024-03-0${end}T00:00:00`,
    });
    expect(windowAfter(["error", "success", "error"])).toEqual(march(1, 4));
    expect(windowAfter(["success", "error", "error"])).toEqual(march(2, 4));
    expect(windowAfter(["success", "error", "skipped"])).toEqual(march(2, 4));
    expect(windowAfter(["success", "success"])).toEqual(march(3, 4));
    expect(windowAfter(["success", "started", "success"])).toEqual(march(2, 3));
    // Good by each batch's word and yet not by the model's: nobody can tell which one it means.
    expect(windowAfter(["success", "success", "success"])).toEqual(march(1, 4));
  });

  it("G17: a model without one good batch, or whose build was killed, keeps the whole window: its table may not be there", () => {
    expect(windowAfter(["error", "skipped", "skipped"], "error")).toEqual({
      start: "2024-03-01T00:00:00",
      end: "2024-03-04T00:00:00",
    });
  });

  it("G17, G27: ends with the batch in which the producer began, however late the model was built", () => {
    const late = row("tides", "partial success", { batches: DAYS.slice(0, 2), startedAtMs: AT });
    const tasks = [over(1, {}, { startedAtMs: Date.parse("2024-03-02T23:58:00Z") })];
    const [launch] = decide({ plan: tides, rows: [late, skipped], tasks }).launches;
    expect(launch?.eventWindow).toEqual({ start: "2024-03-02T00:00:00", end: "2024-03-03T00:00:00" });
  });

  it("G17: after a kill too", () => {
    const running = row("tides", "started", { batches: DAYS.slice(0, 1), startedAtMs: AT });
    const [launch] = decide({ plan: tides, rows: [running], tasks: [killed(1)] }).launches;
    expect(launch?.eventWindow).toEqual({ start: "2024-03-01T00:00:00", end: "2024-03-04T00:00:00" });
  });

  it.each([
    ["dbt 2 prints no batches", row("tides", "error", { startedAtMs: AT }), over(1)],
    ["it was killed before it named one", row("tides", "started", { startedAtMs: AT }), killed(1)],
  ])(
    "G17: is not tried where its batches are not known: a green second build would leave some out (%s)",
    (_, rowNow, task) => {
      const decision = decide({ plan: tides, rows: [rowNow, skipped], tasks: [task] });
      expect(launchesOf(decision)).toEqual([]);
      expect(finalsOf(decision)).toEqual({ tides: "dead", child: "doomed by tides" });
      expect(decision.finals[0]?.finalReason).toContain("--event-time-start");
    },
  );

  it("G17: a run with a window of its own plans no batch size, and is tried again plainly", () => {
    const own = planOf([vertex("tides", [], { materialized: "incremental" })]);
    const [launch] = decide({ plan: own, rows: [row("tides", "error", { endedAtMs: LONG_AGO })] }).launches;
    expect(launch).toMatchObject({ kind: "fallback", uniqueIds: ["tides"] });
    expect(launch).not.toHaveProperty("eventWindow");
  });
});
