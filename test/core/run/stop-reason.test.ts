import { describe, expect, it } from "vitest";
import type { RunRow } from "#core/contracts/ledger.ts";
import { requestedStop, stopOrder, stoppedSentence, stopReason } from "#core/run/watching/stop-reason.ts";
import { runRow } from "../../support/ledger-rows.ts";

const runOf = (changes: Partial<RunRow> = {}) => runRow({ project: "shop", runId: "run-1", ...changes });
const atMs = Date.parse("2026-01-31T06:00:09.5Z");

describe("G12: the order to stop", () => {
  it("is a person's or the deadline's", () => {
    const run = runOf();
    expect(stopReason(run, run.deadlineAtMs - 1)).toBeNull();
    expect(stopReason(run, run.deadlineAtMs)).toContain("runTimeoutMinutes: 240");
    expect(stopReason(runOf({ stopRequestedAtMs: 1, stopReason: "enough" }), 0)).toBe("enough");
  });

  it("names the person, the moment and the reason", () => {
    const run = runOf({ stopRequestedAtMs: atMs, stopReason: "wrong branch", stopRequestedBy: "ada" });
    expect(stopOrder(run, 0)).toEqual({
      reason: "stopped by ada at 2026-01-31 06:00:09 UTC: wrong branch",
      afterCurrent: false,
    });
    expect(stoppedSentence(stopReason(run, 0)!)).toBe("Stopped by ada at 2026-01-31 06:00:09 UTC: wrong branch");
  });

  it("after the current builds lets them end, until the deadline", () => {
    const run = runOf({ stopAfterCurrentAtMs: atMs, stopReason: "enough", stopRequestedBy: "ada" });
    expect(stopOrder(run, 0)).toMatchObject({ afterCurrent: true });
    expect(stopOrder(run, 0)?.reason).toContain("after what was building then: enough");
    expect(stopOrder(run, run.deadlineAtMs)).toMatchObject({ afterCurrent: false });
  });

  it("that comes once nothing is left to wait for stops nothing", () => {
    const late = { readyAtMs: atMs - 1, stopRequestedAtMs: atMs, stopReason: "late" };
    expect(requestedStop(runOf(late))).toBeNull();
    expect(requestedStop(runOf({ ...late, readyAtMs: atMs }))).not.toBeNull();
  });
});
