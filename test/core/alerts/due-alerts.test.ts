import { describe, expect, it } from "vitest";
import type { AlertRow } from "#core/contracts/alerts.ts";
import { type AlertedRun, causeOf, dueAlerts } from "#core/run/alerts/due-alerts.ts";

const HOUR = 3_600_000;
const ORDERS = "model.shop.orders";
const TEST = "test.shop.unique_orders";
const settings = { on: ["failed", "recovered", "stopped"] as const, repeatHours: 24 };

const cause = (uniqueId: string | undefined, sentence: string, gates = 0) => ({
  kind: uniqueId === undefined ? ("run" as const) : ("vertex" as const),
  ...(uniqueId !== undefined && { uniqueId }),
  ...{ sentence, gates, lines: [] },
});
const report = (uniqueId: string) => ({ uniqueId, class: "good" }) as AlertedRun["nodes"][number];
const run = (at: number, changes: Partial<AlertedRun> = {}): AlertedRun => ({
  ...{ runId: `run-${at}`, state: "red", verdict: "Something is not good.", endedAtMs: at },
  ...{ causes: [], nodes: [], tests: [], others: [], label: undefined },
  ...changes,
});

/** A channel that takes everything: what it was told, run by run. */
function channel(on: readonly ("failed" | "recovered" | "stopped" | "warned")[] = settings.on) {
  const rows = new Map<string, AlertRow>();
  return (one: AlertedRun, nowMs = one.endedAtMs): string[] => {
    const due = dueAlerts(one, [...rows.values()], { ...settings, on }, nowMs);
    for (const { row } of due) rows.set(row.about, { ...row, lockKey: "dev", channel: "slack" });
    return due
      .flatMap(({ isTold, ...one }) => (isTold ? [one] : []))
      .map(({ kind, again, uniqueId }) => `${again ? "still " : ""}${kind} ${uniqueId ?? "run"}`);
  };
}

describe("H4: one alert for each root cause", () => {
  it("is told once, whatever runs follow, and again when a day has passed", () => {
    const tell = channel();
    const fails = (at: number) => run(at, { causes: [cause(TEST, "Got 3 results", 7)] });
    expect(tell(fails(0))).toEqual([`failed ${TEST}`]);
    for (let hour = 1; hour < 24; hour += 1) expect(tell(fails(hour * HOUR))).toEqual([]);
    expect(tell(fails(24 * HOUR))).toEqual([`still failed ${TEST}`]);
    expect(tell(fails(25 * HOUR))).toEqual([]);
  });

  it("is told again when its cause is another, not when a count or a time in it is", () => {
    const tell = channel();
    const fails = (at: number, words: string) => run(at, { causes: [cause(ORDERS, words)] });
    expect(tell(fails(0, "Got 3 results at 2026-01-02 03:04"))).toEqual([`failed ${ORDERS}`]);
    expect(tell(fails(1, "Got 412 results at 2026-01-03 03:04"))).toEqual([]);
    expect(tell(fails(2, "column day does not exist"))).toEqual([`failed ${ORDERS}`]);
  });

  it("is followed by its recovery in the next run that has it good, once; what the run does not have is left", () => {
    const tell = channel();
    expect(tell(run(0, { causes: [cause(ORDERS, "no"), cause(TEST, "no")] }))).toHaveLength(2);
    expect(tell(run(1, { state: "green", nodes: [report("model.shop.days")] }))).toEqual([]);
    expect(tell(run(2, { state: "green", nodes: [report(ORDERS)] }))).toEqual([`recovered ${ORDERS}`]);
    expect(tell(run(3, { state: "green", nodes: [report(ORDERS)], tests: [report(TEST)] }))).toEqual([
      `recovered ${TEST}`,
    ]);
    expect(tell(run(4, { causes: [cause(ORDERS, "no")] }))).toEqual([`failed ${ORDERS}`]);
  });

  it("of a cause that is no vertex': told by its cause, recovered with a green run", () => {
    const tell = channel();
    const broken = (at: number) => run(at, { causes: [cause(undefined, "Could not find profile named 'shop'")] });
    expect([tell(broken(0)), tell(broken(1))]).toEqual([["failed run"], []]);
    expect(tell(run(2, { causes: [cause(ORDERS, "no")] }))).toEqual([`failed ${ORDERS}`]);
    expect(tell(run(3, { state: "green", nodes: [report(ORDERS)] })).toSorted()).toEqual([
      `recovered ${ORDERS}`,
      "recovered run",
    ]);
  });

  it("nothing of a run that ended before what was told last: a repeated or late call changes nothing", () => {
    const tell = channel();
    expect(tell(run(5, { causes: [cause(ORDERS, "no")] }))).toEqual([`failed ${ORDERS}`]);
    expect(tell(run(5, { causes: [cause(ORDERS, "no")] }), 100 * HOUR)).toEqual([]);
    expect(tell(run(4, { state: "green", nodes: [report(ORDERS)] }))).toEqual([]);
    expect(tell(run(6, { state: "green", nodes: [report(ORDERS)] }))).toEqual([`recovered ${ORDERS}`]);
    expect(tell(run(5, { causes: [cause(ORDERS, "no")] }))).toEqual([]);
  });

  it("a stopped run is told where that is asked for, once", () => {
    const stopped = run(1, { state: "stopped", verdict: "Stopped by ann: enough" });
    expect(channel(["failed", "recovered"])(stopped)).toEqual([]);
    const tell = channel();
    expect([tell(stopped), tell(stopped)]).toEqual([["stopped run"], []]);
  });
});

it.each([
  ["Got 3 results", "Got 4 results", true],
  ["query 01b2c3d4-0000-1111 failed", "query 99aabbcc-2222-3333 failed", true],
  ["relation a does not exist", "relation b does not exist", false],
])("H4: %j and %j are one cause: %s", (one, other, same) => {
  expect(causeOf(one) === causeOf(other)).toBe(same);
});
