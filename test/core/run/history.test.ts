import fc from "fast-check";
import { expect, it } from "vitest";
import { type PastTime, percentile, sparkline, trendOf } from "#core/run/reporting/history.ts";

const good = (tookMs: number | null, retried = false): PastTime => ({ state: "green", isGood: true, tookMs, retried });
const bad = (tookMs: number): PastTime => ({ state: "red", isGood: false, tookMs, retried: true });

it.each([
  [[], { ended: 0, good: 0, flaky: 0, p50Ms: null, p95Ms: null, slower: null }],
  [[good(10), bad(999)], { ended: 2, good: 1, flaky: 0, p50Ms: 10, p95Ms: 10, slower: null }],
  [[good(10), good(10, true), good(20), good(20)], { ended: 4, good: 4, flaky: 1, p50Ms: 10, p95Ms: 20, slower: 1 }],
  [[good(20), good(20), good(5), good(10), good(10)], { ended: 5, p50Ms: 10, slower: -0.5 }],
  [[good(0), good(0), good(0), good(0)], { p50Ms: 0, slower: null }],
  [[good(null), good(4)], { ended: 2, good: 2, p50Ms: 4 }],
])("what runs have in common: %j", (times, trend) => {
  expect(trendOf(times)).toMatchObject(trend);
});

it("a percentile is one of the values, and so many of a hundred do not pass it", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { minLength: 1 }), fc.integer({ min: 1, max: 100 }), (values, percent) => {
      const found = percentile(values, percent)!;
      expect(values).toContain(found);
      expect(values.filter((value) => value <= found).length * 100).toBeGreaterThanOrEqual(values.length * percent);
    }),
  );
});

it("bars go from nothing to the longest, and a dot is where nothing is known", () => {
  expect(sparkline([0, 5, null, 10])).toBe("▁▅·█");
  expect(sparkline([0, 0])).toBe("▁▁");
  expect(sparkline([])).toBe("");
});
