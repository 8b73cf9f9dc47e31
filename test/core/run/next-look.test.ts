import { describe, expect, it } from "vitest";
import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { policySchema } from "#core/contracts/settings.ts";
import type { StepInput } from "#core/run/deciding/decision.ts";
import { nextLook, otherWait, toTheMoment } from "#core/run/watching/next-look.ts";
import { hasTurnsToSpare, SPARE_TURNS } from "#core/run/watching/spent-turns.ts";
import { buildEnd, runRow, taskRow } from "../../support/ledger-rows.ts";
import { planOf, vertex } from "../../support/run-builders.ts";

const key = { project: "shop", runId: "run-1" };
const T0 = 1_700_000_000_000;
const MINUTE = 60_000;

const runOf = (policy: object = {}, changes: Partial<RunRow> = {}): RunRow => {
  const plain = runRow(key);
  const settings = { ...plain.settings, policy: policySchema.parse(policy) };
  return { ...plain, settings, startedAtMs: T0 - 10 * MINUTE, deadlineAtMs: T0 + 60 * MINUTE, ...changes };
};
const over = taskRow(1, { state: "over", kind: "producer", end: buildEnd({ endedAtMs: T0 - 1_000, exitCode: 1 }) });
const builds = taskRow(1, { state: "running", kind: "producer", heartbeatAtMs: T0, startedAtMs: T0 - MINUTE });
const plan = planOf([vertex("a"), vertex("b", ["a"])]);

function look(run: RunRow, tasks: readonly TaskRow[], rows: StepInput["rows"] = [], stopReason: string | null = null) {
  const { policy } = run.settings;
  const asked = { plan, rows, tasks, policy, maxTasks: 4, stopReason, heldSinceMs: null, nowMs: T0 };
  return nextLook({ run, tasks, asked, nowMs: T0, horizonMs: MINUTE });
}
const said = (uniqueId: string, changes: Partial<VertexRow>): VertexRow => ({
  uniqueId,
  ownerTask: 1,
  epoch: 0,
  tryTasks: [],
  lostTasks: [],
  ...changes,
});
const failed = (endedAtMs: number) => [
  said("a", {
    status: "error",
    statusTask: 1,
    evidence: true,
    tryTasks: [1],
    endedAtMs,
    message: "deadlock detected",
  }),
  said("b", { status: "skipped", statusTask: 1, evidence: false }),
];
const inSeconds = (ms: number | null) => (ms === null ? null : Math.round((ms - T0) / 100) / 10);

describe("when a run's loop looks next by itself", () => {
  it("F13: a retry is looked for when it is due, not with the net's next turn", () => {
    const { exactMs } = look(runOf({ retryDelaySeconds: 20 }), [over], failed(T0 - 5_000));
    expect(inSeconds(exactMs)).toBeCloseTo(15, 0);
  });

  it("F13: a moment is found to a tenth of a second, and of a large plan to the second", () => {
    const due = (of: typeof plan) => {
      const { policy } = runOf({ retryDelaySeconds: 20 }).settings;
      const rest = { maxTasks: 4, stopReason: null, heldSinceMs: null, nowMs: T0 };
      const asked = { plan: of, rows: failed(T0 - 5_360), tasks: [over], policy, ...rest };
      return inSeconds(nextLook({ run: runOf(), tasks: [over], asked, nowMs: T0, horizonMs: MINUTE }).exactMs);
    };
    expect(due(plan)).toBe(14.7);
    const others = Array.from({ length: 5_000 }, (_, at) => vertex(`other_${at}`, ["b"]));
    expect(due(planOf([...plan.vertices, ...others]))).toBe(15);
  });

  it("a launch that ECS refused, when its back-off is over", () => {
    const refused = taskRow(2, { state: "launching", kind: "fallback", nextLaunchAtMs: T0 + 9_000 });
    expect(inSeconds(look(runOf(), [builds, refused]).exactMs)).toBe(9);
  });

  it("the deadline, and the moment at which a node has run for longer than it may", () => {
    expect(inSeconds(look(runOf({}, { deadlineAtMs: T0 + 40_000 }), [builds]).exactMs)).toBe(40);
    const running = [
      said("a", {
        status: "started",
        statusTask: 1,
        evidence: true,
        tryTasks: [1],
        startedAtMs: T0 - 4.5 * MINUTE,
      }),
    ];
    expect(inSeconds(look(runOf({ nodeTimeoutMinutes: 5 }), [builds], running).exactMs)).toBe(30);
    expect(inSeconds(look(runOf({}), [builds], running).exactMs)).toBe(3_600);
  });

  it("D10, D11: roughly: ECS is asked of a task that is on its way, and of one that has fallen silent", () => {
    const onItsWay = taskRow(1, { state: "launching", kind: "producer", taskArn: "arn", launchedAtMs: T0 });
    expect(inSeconds(look(runOf(), [onItsWay]).roughlyMs)).toBe(15);
    const live = (beatMs: number) => taskRow(1, { state: "running", kind: "producer", heartbeatAtMs: T0 - beatMs });
    expect(inSeconds(look(runOf(), [live(5_000)]).roughlyMs)).toBe(55);
    expect(inSeconds(look(runOf(), [live(90_000)]).roughlyMs)).toBe(15);
    expect(look(runOf(), [over]).roughlyMs).toBeNull();
  });
  it("D10: what is past is not looked for each second: a deadline that is obeyed, a task that stays silent", () => {
    const late = runOf({}, { deadlineAtMs: T0 - 5_000 });
    expect(inSeconds(look(late, [builds], [], "its deadline has passed.").exactMs)).toBeNull();
    expect(inSeconds(look(late, [builds]).exactMs)).toBe(0);
    expect(inSeconds(look(runOf(), [builds], [], "stopped by ana.").exactMs)).toBe(3_600);
    const silent = { ...builds, heartbeatAtMs: T0 - 10 * MINUTE };
    expect(inSeconds(look(runOf(), [silent]).roughlyMs)).toBe(15);
  });
});

describe("whether the wait is another one then", () => {
  const at = (seconds: number | null) => (seconds === null ? null : T0 + seconds * 1_000);
  it.each([
    // waits, exactly, roughly, and waits then
    [60, null, null, null],
    [60, 3_600, null, null],
    [60, 12.3, null, 13],
    [60, 0, null, 1],
    [60, null, 55, null],
    [60, null, 15, 15],
    [15, null, 15, null],
    [15, null, 55, 55],
    [15, 4, 55, 4],
    [55, null, 52, null],
    [1, null, null, 60],
    [1, 1, null, null],
    [1, 2, null, 2],
    [40, null, null, 60],
  ])("waits %s s, time decides in %s s, ECS is asked in %s s: %s", (waitSeconds, exact, roughly, expected) => {
    const present = { waitSeconds, netSeconds: 60, averageSeconds: 7, leastSeconds: 1 };
    expect(otherWait({ exactMs: at(exact), roughlyMs: at(roughly) }, present, runOf(), T0)).toBe(expected);
  });

  it.each([
    // whole seconds, the moment, the least wait, the turn's own end, and how it is waited
    [5, 4.3, 1, 60, { waitSeconds: 4, afterMs: 300 }],
    [5, 5, 1, 60, { waitSeconds: 5 }],
    [15, 24.3, 1, 60, { waitSeconds: 15 }],
    [15, null, 1, 60, { waitSeconds: 15 }],
    [1, 0.3, 1, 60, { waitSeconds: 1 }],
    [5, 4.3, 5, 60, { waitSeconds: 5 }],
    [5, 4.3, 1, 1.2, { waitSeconds: 5 }],
    [5, 4.3, 1, 1.3, { waitSeconds: 4, afterMs: 300 }],
  ])(
    "of %s s until a moment in %s s, at least %s s, in a turn that lasts %s s: %o",
    (seconds, exact, least, ends, how) => {
      const turn = { leastSeconds: least, turnEndsMs: at(ends)! };
      expect(toTheMoment({ seconds, exactMs: at(exact) }, turn, T0)).toEqual(how);
    },
  );

  it("a wait that is shorter than a check may have is drawn out, and none is cut below that", () => {
    const present = { netSeconds: 60, averageSeconds: 7, leastSeconds: 8 };
    const of = (waitSeconds: number, exact: number | null) =>
      otherWait({ exactMs: at(exact), roughlyMs: null }, { ...present, waitSeconds }, runOf(), T0);
    expect([of(1, 0), of(1, 20), of(60, 3), of(8, 3)]).toEqual([8, 20, 8, null]);
  });

  it("without turns to spare no wait is cut, and a short one is drawn out to the net", () => {
    const spent = runOf({}, { turns: SPARE_TURNS + 1 + (10 * MINUTE) / 7_000 });
    expect(hasTurnsToSpare(spent, T0, 7)).toBe(false);
    const cut = (waitSeconds: number) =>
      otherWait(
        { exactMs: T0, roughlyMs: T0 },
        { waitSeconds, netSeconds: 60, averageSeconds: 7, leastSeconds: 1 },
        spent,
        T0,
      );
    expect([cut(60), cut(1)]).toEqual([null, 60]);
  });

  it("turns are spared by the time that a run's own rounds took, not by the days between them", () => {
    const round = { round: 1, state: "red", verdict: "", startedAtMs: 0, endedAtMs: 70_000 } as const;
    const again = runOf({}, { round: 2, rounds: [round], roundStartedAtMs: T0, turns: SPARE_TURNS + 10 });
    expect(hasTurnsToSpare(again, T0, 7)).toBe(false);
    expect(hasTurnsToSpare(again, T0 + 1, 7)).toBe(true);
    expect(hasTurnsToSpare({ ...again, rounds: [{ ...round, round: 0 }] }, T0 + 1, 7)).toBe(false);
  });
});
