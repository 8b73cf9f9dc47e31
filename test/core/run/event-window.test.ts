import { describe, expect, it, test } from "vitest";
import { eventWindow } from "#core/run/event-window.ts";
import {
  decide,
  finalsOf,
  killed,
  LONG_AGO,
  launchesOf,
  over,
  planOf,
  row,
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
      "month",
      batches("2023-11-01", "2023-12-01"),
      "2023-12-09T00:00:00Z",
      "2023-11-01T00:00:00",
      "2024-01-01T00:00:00",
    ],
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

describe("a microbatch model that is tried again", () => {
  const tides = planOf([
    vertex("tides", [], { materialized: "incremental", batchSize: "day" }),
    vertex("child", ["tides"]),
  ]);
  const failed = row("tides", "partial success", { batches: DAYS, startedAtMs: AT });
  const skipped = row("child", "skipped");

  it("G17: is built with the window of its first build, so that the failed batch is not left out", () => {
    const [launch] = decide({ plan: tides, rows: [failed, skipped] }).launches;
    expect(launch).toMatchObject({
      kind: "fallback",
      uniqueIds: ["tides"],
      eventWindow: { start: "2024-03-01T00:00:00", end: "2024-03-04T00:00:00" },
    });
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
