import { describe, expect, it } from "vitest";
import { forecast, mostAtOnce } from "#core/run/reporting/forecast.ts";
import { dataTest, ephemeral, planOf, vertex } from "../../support/run-builders.ts";

/** a → b, c → d, with a test on a that gates b and c. */
const plan = planOf([
  vertex("a"),
  dataTest("test.a", ["a"]),
  vertex("b", ["a", "test.a"]),
  vertex("c", ["a", "test.a"]),
  vertex("d", ["b", "c"]),
]);
const times = new Map([
  ["a", 10],
  ["test.a", 1],
  ["b", 20],
  ["c", 30],
  ["d", 5],
]);
const starts = (threads: number) =>
  Object.fromEntries(forecast(plan, times, threads).vertices.map(({ uniqueId, startsMs }) => [uniqueId, startsMs]));

describe("the forecast of a build", () => {
  it("starts what has its gate parents as soon as a thread is free", () => {
    expect(starts(1)).toEqual({ a: 0, "test.a": 10, b: 11, c: 31, d: 61 });
    expect(starts(2)).toEqual({ a: 0, "test.a": 10, b: 11, c: 11, d: 41 });
    expect(forecast(plan, times, 1)).toMatchObject({ buildMs: 66, longestMs: 46, unknown: 0, widths: [1, 1, 2, 1] });
    expect(forecast(plan, times, 99)).toMatchObject({ buildMs: 46, longestMs: 46 });
  });

  it("takes for what was never measured the middle of its type, and says how many there are", () => {
    const two = planOf([vertex("a"), vertex("new"), dataTest("test.new", ["new"]), ephemeral("eph", ["new"])]);
    const { vertices, unknown } = forecast(two, new Map([["a", 40]]), 4);
    expect(Object.fromEntries(vertices.map((one) => [one.uniqueId, one.takesMs]))).toEqual({
      ...{ a: 40, new: 40, "test.new": 40, eph: 0 },
    });
    expect(unknown).toBe(2);
  });

  it("says no time where none is known", () => {
    expect(forecast(plan, new Map(), 4)).toMatchObject({ buildMs: null, longestMs: null, unknown: 5 });
    expect(forecast(planOf([]), times, 4)).toMatchObject({ buildMs: null, widths: [], vertices: [] });
  });
});

it("counts how many threads a build has used: what ends as another begins is not beside it", () => {
  const span = (fromMs: number, toMs: number) => ({ fromMs, toMs });
  expect(mostAtOnce([span(0, 10), span(10, 20), span(5, 15)])).toBe(2);
  expect(mostAtOnce([])).toBe(0);
});
