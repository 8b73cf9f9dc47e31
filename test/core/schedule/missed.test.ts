import { describe, expect, test } from "vitest";
import { missedStart } from "#core/schedule/missed.ts";

const ms = (text: string) => Date.parse(text);
const minutes = (n: number) => n * 60_000;
const nightly = { expression: "cron(0 3 * * ? *)", timeZone: "Europe/Berlin" };
/** 3 o'clock in Berlin in winter. */
const due = ms("2026-11-29T02:00:00Z");
const longAgo = ms("2026-01-01T00:00:00Z");

describe("a schedule that started nothing", () => {
  test("is told half an hour after its time, for an hour and a half, and not before or after", () => {
    const told = [29, 31, 60, 119, 121].map((later) => missedStart(nightly, longAgo, [], due + minutes(later)));
    expect(told).toEqual([null, due, due, due, null]);
  });

  test("is answered by whatever began at its time or later, and not by yesterday's run", () => {
    const looked = due + minutes(40);
    expect(missedStart(nightly, longAgo, [due + 20_000], looked)).toBeNull();
    expect(missedStart(nightly, longAgo, [due - 30_000], looked)).toBeNull();
    expect(missedStart(nightly, longAgo, [due + minutes(35)], looked)).toBeNull();
    expect(missedStart(nightly, longAgo, [due - minutes(24 * 60)], looked)).toBe(due);
  });

  test("was not due before it was deployed as it is", () => {
    expect(missedStart(nightly, due + minutes(5), [], due + minutes(40))).toBeNull();
    expect(missedStart(nightly, due, [], due + minutes(40))).toBe(due);
  });

  test("has no second turn in the hour that comes twice, and none in the hour that does not come", () => {
    const twice = { ...nightly, expression: "cron(30 2 * * ? *)" };
    const first = ms("2026-10-25T00:30:00Z");
    expect(missedStart(twice, longAgo, [first], first + minutes(60 + 40))).toBeNull();
    expect(missedStart(twice, longAgo, [], first + minutes(40))).toBe(first);
    for (let later = 0; later < 240; later += 5)
      expect(missedStart(twice, longAgo, [], ms("2026-03-29T00:00:00Z") + minutes(later))).toBeNull();
  });

  test("every so often: counted from the last start, or from when it was deployed", () => {
    const hourly = { expression: "rate(1 hour)", timeZone: "UTC" };
    const since = ms("2026-11-29T00:00:00Z");
    expect(missedStart(hourly, since, [], since + minutes(89))).toBeNull();
    expect(missedStart(hourly, since, [], since + minutes(91))).toBe(since + minutes(60));
    expect(missedStart(hourly, since, [since + minutes(60)], since + minutes(149))).toBeNull();
    expect(missedStart(hourly, since, [since + minutes(60)], since + minutes(151))).toBe(since + minutes(120));
  });

  test("once: at its minute in its time zone", () => {
    const once = { expression: "at(2026-11-29T03:00:00)", timeZone: "Europe/Berlin" };
    expect(missedStart(once, longAgo, [], due + minutes(45))).toBe(due);
    expect(missedStart({ ...once, timeZone: "UTC" }, longAgo, [], due + minutes(45))).toBeNull();
  });
});
