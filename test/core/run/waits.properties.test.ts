import fc from "fast-check";
import { expect, test } from "vitest";
import type { Decision, StepInput } from "#core/run/deciding/decision.ts";
import { nextMomentMs } from "#core/run/deciding/next-moment.ts";
import { step } from "#core/run/deciding/step.ts";
import { isOver, viewVertices } from "#core/run/judging/vertex-view.ts";
import { liveRun } from "#core/run/reporting/waits.ts";
import { runOf } from "../../support/run-builders.ts";
import { randomProject } from "../../support/simulated-project.ts";
import { Random } from "../../support/simulated-random.ts";
import { simulateRun } from "../../support/simulated-run.ts";

const seed = Number(process.env.STEPWATCH_TEST_SEED ?? Date.now() % 1_000_000_000);

/** What `why` would say at this moment of a run. */
function told({ plan, rows, tasks, policy, maxTasks, heldSinceMs, nowMs }: StepInput) {
  const { settings } = runOf();
  const executionQueue = { ...settings.executionQueue, maxTasks };
  const held = heldSinceMs === null ? {} : { heldSinceMs };
  const run = runOf({ settings: { ...settings, policy, executionQueue }, deadlineAtMs: 1e15, ...held });
  const views = plan === null ? new Map() : viewVertices(plan, rows, tasks);
  return { views, live: liveRun({ run, plan, rows, tasks, nowMs, usualMs: new Map() }, views) };
}

/** @throws where a vertex that is open is told neither as running nor as waiting, or the next decision is not told */
function expectTold(asked: StepInput): void {
  const { views, live } = told(asked);
  const decision = step(asked);
  const closed = new Set(decision.finals.map((final) => final.uniqueId));
  const open = [...views.values()].filter(
    (view) =>
      !["good", "skipped"].includes(view.class) && view.row?.final === undefined && !closed.has(view.plan.uniqueId),
  );
  if (asked.plan !== null) {
    const counted = live.waits.reduce((sum, wait) => sum + wait.count, 0);
    const running = open.filter((view) => view.class === "running").length;
    expect(counted + running, "each open vertex runs or waits").toBe(open.length);
  }
  const launched = decision.launches.flatMap((launch) => launch.uniqueIds).length;
  const turn = live.waits.find((wait) => wait.for === "turn")?.count ?? 0;
  expect(turn, "what the step launches is told as launched").toBeLessThanOrEqual(launched);
  const acts = decision.launches.length + decision.finals.length > 0 || decision.settle;
  if (acts) expect(live.next.words).toContain("next turn");
  else if (asked.tasks.every(isOver))
    expect(live.next.at, "a run in which nothing runs knows when it goes on").not.toBeNull();
  if (live.next.at !== null) expect(Date.parse(live.next.at)).toBeGreaterThan(asked.nowMs);
}

test(`at every turn of random runs each open vertex runs or waits for something, and the next decision is told (STEPWATCH_TEST_SEED=${seed})`, () => {
  let turns = 0;
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), fc.constantFrom("after", "early"), (number, recovery) => {
      const random = new Random(number);
      const project = randomProject(random, { policy: { recovery, retryDelaySeconds: 20, holdSeconds: 15 } });
      simulateRun(project, random, (asked) => {
        turns += 1;
        if (number % 3 === 0 || turns % 5 === 0) expectTold(asked);
      });
    }),
    { seed, numRuns: 150, endOnFailure: true },
  );
  expect(turns).toBeGreaterThan(1_000);
});

test("the moment of the next decision is that from which the step decides, at all later ones too, and not before", () => {
  let moments = 0;
  const horizonMs = 15 * 60_000;
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), fc.constantFrom("after", "early"), (number, recovery) => {
      const random = new Random(number);
      const project = randomProject(random, { policy: { recovery, retryDelaySeconds: 20, holdSeconds: 15 } });
      simulateRun(project, random, (asked) => {
        const acts = ({ launches, finals, settle }: Decision) => launches.length + finals.length > 0 || settle;
        const now = step(asked);
        if (acts(now) || now.stopTasks) return;
        const decides = (nowMs: number) => {
          const forMs = nowMs - asked.nowMs;
          const tasks = asked.tasks.map((task) =>
            task.heartbeatAtMs === undefined ? task : { ...task, heartbeatAtMs: task.heartbeatAtMs + forMs },
          );
          return acts(step({ ...asked, tasks, heldSinceMs: now.heldSinceMs, nowMs }));
        };
        const atMs = nextMomentMs(asked, horizonMs);
        if (atMs !== null) moments += 1;
        const dueFromMs = atMs ?? Number.POSITIVE_INFINITY;
        for (let laterMs = 150; laterMs <= horizonMs; laterMs *= 1.7)
          if (Math.abs(asked.nowMs + laterMs - dueFromMs) > 200)
            expect(decides(asked.nowMs + laterMs), `after ${laterMs} ms`).toBe(asked.nowMs + laterMs > dueFromMs);
      });
    }),
    { seed, numRuns: 60, endOnFailure: true },
  );
  expect(moments).toBeGreaterThan(50);
});
