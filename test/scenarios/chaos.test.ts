import { describe, expect, it } from "vitest";
import { play, TROUBLES } from "../support/simulated-play.ts";

const first = Number(process.env.STEPWATCH_TEST_SEED ?? Date.now() % 1_000_000_000);

/** Of each kind; `npm run simulate` plays as many as one likes. */
const SEEDS = 20;

describe(`a simulated world (STEPWATCH_TEST_SEED=${first})`, () => {
  it.each(TROUBLES)("$title", async (trouble) => {
    for (let seed = first; seed < first + SEEDS; seed++) {
      const { violation } = await play(seed, trouble);
      expect(violation, `seed ${seed}`).toBeNull();
    }
  });
});

it("a scenario is told by its seed", async () => {
  const [once, again] = [await play(5, TROUBLES[4]!), await play(5, TROUBLES[4]!)];
  expect(once.world.calls.calls).toBe(again.world.calls.calls);
  expect(once.world.schedule.nowMs).toBe(again.world.schedule.nowMs);
});

it("G19: under recovery: early some builds of a simulated world begin while the producer goes on", async () => {
  const trouble = TROUBLES.find(({ title }) => title.startsWith("G19, F3"))!;
  let beside = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const { tasks } = await (await play(seed, trouble)).world.rows("run-1");
    const endedAtMs = tasks[0]!.end?.endedAtMs ?? 0;
    beside += tasks.filter((task) => task.kind !== "producer" && task.claimedAtMs < endedAtMs).length;
  }
  expect(beside).toBeGreaterThan(5);
});
