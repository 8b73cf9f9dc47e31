import { describe, expect, it } from "vitest";
import { AWS_LIMITS, bytesOf } from "#core/aws-limits.ts";
import {
  attemptName,
  type BackfillRequest,
  backfillAgain,
  backfillIdOf,
  backfillInput,
  backfillInputSchema,
  backfillState,
  isBackfillOf,
  newBackfillId,
  windowsIn,
} from "#core/backfill.ts";
import { parseRunInput, workOf } from "#core/contracts/run-input.ts";
import { MAX_EXECUTION_NAME, RUN_ID } from "#core/names.ts";
import { MOST_WINDOWS, windowsOf } from "#core/schedule/windows.ts";

const MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:dbt-backfill";
const days = (count: number) =>
  windowsOf({
    from: "2024-01-01",
    to: new Date(Date.UTC(2024, 0, 1 + count)).toISOString().slice(0, 10),
    by: "day",
    timeZone: "UTC",
  });
const asked: Omit<BackfillRequest, "windows"> = {
  ...{ id: "shop-backfill-20260131-030000-0a1b2c3d", project: "shop", by: "day", zone: "UTC", who: "jane" },
  ...{ input: { select: ["orders+"], policy: { runRetries: 1 } }, parallel: 1, at: "start", eventTime: true },
};
const input = (more: Partial<BackfillRequest> = {}) => backfillInput({ ...asked, windows: days(3), ...more }, MACHINE);
/** What the machine makes of its input: JsonMerge of what is common and what is the window's. */
const runInputs = (of: ReturnType<typeof input>) => of.lanes.flat().map((window) => ({ ...of.input, ...window.input }));

describe("the input of a backfill", () => {
  it("H12: has for each window the input of a run that start-run takes, with its moment, its window and a key of its own", () => {
    const [first, second] = runInputs(input()).map(parseRunInput);
    expect(first).toEqual({
      project: "shop",
      select: ["orders+"],
      policy: { runRetries: 1 },
      scheduledTime: "2024-01-01T00:00:00Z",
      eventTimeStart: "2024-01-01T00:00:00",
      eventTimeEnd: "2024-01-02T00:00:00",
      runKey: `${asked.id} 2024-01-01T00:00:00Z`,
      ifLeftOut: "fail",
      backfill: `arn:aws:states:eu-central-1:123456789012:execution:dbt-backfill:${asked.id}`,
    });
    expect(second!.runKey).not.toBe(first!.runKey);
  });

  it("H12: at the window's end, and without a window for dbt, where that is asked for", () => {
    expect(runInputs(input({ at: "end", eventTime: false }))[0]).toMatchObject({
      scheduledTime: "2024-01-02T00:00:00Z",
    });
    expect(runInputs(input({ eventTime: false }))[0]).not.toHaveProperty("eventTimeStart");
  });

  it("H12: lanes share the windows in their order, and are no more than there are windows", () => {
    const names = ({ lanes }: ReturnType<typeof input>) => lanes.map((lane) => lane.map(({ window }) => window));
    expect(names(input({ parallel: 2 }))).toEqual([["2024-01-01", "2024-01-03"], ["2024-01-02"]]);
    expect(names(input({ parallel: 9 }))).toHaveLength(3);
    expect(windowsIn(input({ parallel: 2 })).map(({ window }) => window)).toEqual([
      "2024-01-01",
      "2024-01-02",
      "2024-01-03",
    ]);
  });

  it("H12: a retry is of the windows that are given, under the same keys and another execution, which is the same work", () => {
    const before = input({ parallel: 2 });
    const again = backfillAgain(before, windowsIn(before).slice(1, 2), MACHINE, 2);
    expect(again.lanes.map((lane) => lane.map(({ window }) => window))).toEqual([["2024-01-02"]]);
    const [then, now] = [runInputs(before)[2], runInputs(again)[0]].map(parseRunInput);
    expect(now!.runKey).toBe(then!.runKey);
    expect(now!.backfill).toMatch(/-r2$/);
    expect(workOf(now!)).toBe(workOf(then!));
  });

  it("H12: the largest one is one that Step Functions takes, and reads as it was written", () => {
    const most = input({ windows: days(MOST_WINDOWS), parallel: 40 });
    expect(bytesOf(JSON.stringify(most))).toBeLessThan(AWS_LIMITS.payloadBytes - 64 * 1_024);
    expect(backfillInputSchema.parse(JSON.parse(JSON.stringify(most)))).toEqual(most);
    for (const { name } of windowsIn(most)) expect(`${name}-${crypto.randomUUID()}`).toMatch(RUN_ID);
  });
});

describe("names of backfills", () => {
  it("fit with the longest project, and say whose they are", () => {
    const id = newBackfillId("p".repeat(63), Date.parse("2026-01-31T03:00:00Z"), "0a1b2c3d");
    expect(attemptName(id, 99).length).toBeLessThanOrEqual(MAX_EXECUTION_NAME);
    expect(isBackfillOf("p".repeat(63), id)).toBe(true);
    const ofShop = newBackfillId("shop", Date.parse("2026-01-31T03:00:00Z"), "0a1b2c3d");
    expect(isBackfillOf("shop", attemptName(ofShop, 2))).toBe(true);
    expect(isBackfillOf("shop-eu", ofShop) || isBackfillOf("sho", ofShop)).toBe(false);
    expect(isBackfillOf("shop", newBackfillId("shop-backfill", 0, "0a1b2c3d"))).toBe(false);
  });

  it("lead to the first execution, whichever attempt was copied", () => {
    expect(backfillIdOf("shop-backfill-20260131-030000-0a1b2c3d-r12")).toBe("shop-backfill-20260131-030000-0a1b2c3d");
    expect(backfillIdOf(asked.id)).toBe(asked.id);
  });
});

describe("the state of a backfill", () => {
  const states = (...of: ("green" | "red" | "running" | "waiting" | "not built")[]) => of.map((state) => ({ state }));
  it("H12: is that of its windows: one that was repaired by itself makes it green, whatever its execution says", () => {
    expect(backfillState("RUNNING", states("green", "waiting"))).toBe("running");
    expect(backfillState("SUCCEEDED", states("green", "green"))).toBe("green");
    expect(backfillState("FAILED", states("green", "red"))).toBe("red");
    expect(backfillState("FAILED", states("green", "green"))).toBe("green");
    expect(backfillState("ABORTED", states("green", "running"))).toBe("running");
    expect(backfillState("ABORTED", states("green", "not built"))).toBe("stopped");
    // An execution that says green of windows that are not is not believed.
    expect(backfillState("SUCCEEDED", states("green", "not built"))).toBe("red");
  });
});
