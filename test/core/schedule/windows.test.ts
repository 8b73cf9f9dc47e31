import { describe, expect, it } from "vitest";
import { MOST_WINDOWS, periodName, type Window, windowsOf } from "#core/schedule/windows.ts";

const iso = ({ startMs, endMs }: Window) =>
  `${new Date(startMs).toISOString().slice(0, 16)} ${new Date(endMs).toISOString().slice(0, 16)}`;
const of = (from: string, to: string, by: "hour" | "day" | "week" | "month", timeZone = "UTC") =>
  windowsOf({ from, to, by, timeZone });

describe("the windows of a range", () => {
  it("H12: are whole periods, the second moment is where the last one ends", () => {
    expect(of("2026-01-30", "2026-02-01", "day").map(iso)).toEqual([
      "2026-01-30T00:00 2026-01-31T00:00",
      "2026-01-31T00:00 2026-02-01T00:00",
    ]);
    expect(of("2026-01-01", "2026-03-01", "month").map(iso)).toEqual([
      "2026-01-01T00:00 2026-02-01T00:00",
      "2026-02-01T00:00 2026-03-01T00:00",
    ]);
    expect(of("2026-01-05", "2026-01-12", "week").map(iso)).toEqual(["2026-01-05T00:00 2026-01-12T00:00"]);
  });

  it("H12: are those of the zone's calendar: a day is 23 hours where clocks are put forward", () => {
    expect(of("2026-03-28", "2026-03-31", "day", "Europe/Berlin").map(iso)).toEqual([
      "2026-03-27T23:00 2026-03-28T23:00",
      "2026-03-28T23:00 2026-03-29T22:00",
      "2026-03-29T22:00 2026-03-30T22:00",
    ]);
    expect(of("2026-10-25T00:00", "2026-10-25T04:00", "hour", "Europe/Berlin")).toHaveLength(5);
  });

  it.each([
    ["2026-02-30", "2026-03-02", "day", 'from = "2026-02-30": no date; write for example 2026-01-31'],
    ["2026-01-01", "yesterday", "day", 'to = "yesterday": no date'],
    [
      "2026-01-01T05:00",
      "2026-01-03",
      "day",
      'from = "2026-01-01T05:00": no begin of a day in UTC; the one before is 2026-01-01',
    ],
    [
      "2026-01-01",
      "2026-01-08",
      "week",
      'from = "2026-01-01": no begin of a week in UTC; the one before is 2025-12-29',
    ],
    [
      "2026-01-02",
      "2026-01-02",
      "day",
      'to = "2026-01-02": not after from = "2026-01-02"; it is where the last day ends',
    ],
    [
      "2024-01-01",
      "2026-01-01",
      "day",
      `to = "2026-01-01": more than ${MOST_WINDOWS} windows; begin a second backfill where this many end: 2025-05-15`,
    ],
  ] as const)("H12: %s to %s by %s is refused by one sentence", (from, to, by, sentence) => {
    expect(() => of(from, to, by)).toThrow(sentence);
  });

  it("have the names of the calendar; an hour has its offset, since one comes twice a year", () => {
    const [, , two, three] = of("2026-10-25T00:00", "2026-10-25T04:00", "hour", "Europe/Berlin");
    expect([two, three].map((one) => periodName(one!.startMs, "hour", "Europe/Berlin"))).toEqual([
      "2026-10-25T02:00:00+02:00",
      "2026-10-25T02:00:00+01:00",
    ]);
    expect(periodName(Date.parse("2026-01-31T23:00Z"), "day", "Europe/Berlin")).toBe("2026-02-01");
  });
});
