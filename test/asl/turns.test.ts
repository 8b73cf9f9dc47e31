import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SPARE_TURNS } from "../../core/run/watching/spent-turns.ts";
import { LOOP_RETRY } from "../../infra/state-machines/retries.ts";
import {
  consumerMachineTimeoutSeconds,
  EVENTS_PER_QUEUE_TURN,
  EVENTS_PER_TIMED_TURN,
  HISTORY_LIMIT,
  LONGEST_QUEUE_MINUTES,
  QUEUE_TURN_SECONDS,
  runMachineTimeoutSeconds,
  runWait,
  turnSeconds,
} from "../../infra/state-machines/turns.ts";

/** What AWS writes for a turn that times out: entered, scheduled, started, submitted, timed out, exited. */
const EVENTS = 6;
/** What AWS writes for an attempt that is retried: scheduled, started, failed. */
const RETRY_EVENTS = 3;

const longestRunMinutes = fc.integer({ min: 1, max: 10_080 });
const pollIntervalSeconds = fc.integer({ min: 1, max: 300 });

describe("the history budget", () => {
  test("the default, four hours at five seconds, keeps its interval", () => {
    expect(turnSeconds(240, 5)).toBe(5);
  });

  test("a longer run lengthens the turn, never shortens it", () => {
    expect(turnSeconds(1440, 5)).toBeGreaterThan(20);
    fc.assert(
      fc.property(
        longestRunMinutes,
        pollIntervalSeconds,
        (minutes, interval) => turnSeconds(minutes, interval) >= interval,
      ),
    );
  });

  test("no run reaches the limit, whatever its timeout, its time in the queue and its retries", () => {
    const retries = LOOP_RETRY.reduce((sum, retrier) => sum + retrier.MaxAttempts, 0) * RETRY_EVENTS;
    fc.assert(
      fc.property(longestRunMinutes, pollIntervalSeconds, (minutes, interval) => {
        const queueSeconds = LONGEST_QUEUE_MINUTES * 60;
        const rest = runMachineTimeoutSeconds(minutes) - queueSeconds;
        const queueEvents = Math.ceil(queueSeconds / QUEUE_TURN_SECONDS) * EVENTS_PER_QUEUE_TURN;
        const polls = Math.ceil(rest / turnSeconds(minutes, interval)) * EVENTS;
        const watching = { watch: "wake", longestRunMinutes: minutes, pollIntervalSeconds: interval } as const;
        const { averageSeconds, waitSeconds } = runWait(watching);
        const woken = (SPARE_TURNS + 1 + Math.ceil(rest / averageSeconds!)) * EVENTS_PER_TIMED_TURN;
        const most = queueEvents + Math.max(polls, woken) + 2 * retries;
        return most < HISTORY_LIMIT && waitSeconds >= Math.max(60, averageSeconds!);
      }),
    );
  });

  test("no consumer reaches the limit, and it lives as long as its run may", () => {
    fc.assert(
      fc.property(longestRunMinutes, pollIntervalSeconds, (minutes, interval) => {
        const seconds = consumerMachineTimeoutSeconds(minutes);
        return seconds > minutes * 60 && Math.ceil(seconds / turnSeconds(minutes, interval)) * EVENTS < 20_100;
      }),
    );
  });
});
