import { expect, test } from "vitest";
import { follow, type RunSnapshot } from "../../cli/follow.ts";
import { runOf } from "../support/run-builders.ts";

const SNAPSHOT = { plan: null, tasks: [], vertices: [] };

/** Moments at which the ledger was asked, where each answer takes so long, until the run has its verdict. */
async function looks(answerMs: number, untilMs: number): Promise<number[]> {
  let nowMs = 0;
  const asked: number[] = [];
  const snapshot = async (): Promise<RunSnapshot> => {
    asked.push(nowMs);
    nowMs += answerMs;
    return { ...SNAPSHOT, run: runOf({ state: nowMs < untilMs ? "running" : "green" }) };
  };
  await follow(
    {
      snapshot,
      execution: async () => ({ status: "RUNNING", error: null, cause: null, output: null }),
      sleep: async (milliseconds) => {
        nowMs += milliseconds;
      },
      now: () => nowMs,
      fromRound: 1,
      onSilence: () => undefined,
    },
    () => undefined,
  );
  return asked;
}

test("the live view looks about once a second at a ledger that answers at once", async () => {
  expect((await looks(10, 5_000)).slice(0, 3)).toEqual([0, 1_010, 2_020]);
});

test("the live view takes a third of a slow ledger's time at most, so that the build's statuses go first", async () => {
  expect(await looks(2_000, 15_000)).toEqual([0, 6_000, 12_000, 18_000]);
});
