import type { RoundKey, RunRows } from "#clients/ledger.ts";
import { type RunRow, runRowSchema } from "#core/contracts/ledger.ts";
import { absent, allOf, type Condition, equals, hasEntries, present } from "./expressions.ts";
import { isSame, lateIsFine, type RunExpiry, readRow, requireRow, runExpiry, runKey } from "./rows.ts";
import type { DynamoTable, Row } from "./table.ts";

/** The run row. Written by start-run, check-run and settle-run; the plan's attributes by the producer, the stop flag by whoever stops. */
export function runRows(table: DynamoTable, expiries: RunExpiry): RunRows {
  return {
    async createRun(run) {
      const key = runKey(run);
      const expiresAt = runExpiry(run);
      const refusal = await table.insert({ ...key, ...asTexts(run), expiresAt });
      if (refusal === null) expiries.remember(key, expiresAt);
      return refusal === null;
    },

    async readRun(run) {
      const row = await table.get(runKey(run));
      if (row === null) return null;
      return runOf(row, expiries);
    },

    async setPlan(run, plan) {
      const key = runKey(run);
      const refusal = await table.update(key, { set: plan, when: allOf(present("pk"), absent("planKey")) });
      return refusal === null || isSame(requireRow(refusal, key), plan);
    },

    async requestStop(run, stop) {
      const key = runKey(run);
      const { atMs, reason: stopReason, by: stopRequestedBy, afterCurrent = false } = stop;
      const moment = afterCurrent ? { stopAfterCurrentAtMs: atMs } : { stopRequestedAtMs: atMs };
      const first = [absent("stopRequestedAtMs"), ...(afterCurrent ? [absent("stopAfterCurrentAtMs")] : [])];
      const change = {
        set: { ...moment, stopReason, stopRequestedBy },
        remove: stopRequestedBy === undefined ? ["stopRequestedBy"] : [],
        when: allOf(runsIn(run), ...first),
      };
      lateIsFine(await table.update(key, change), key);
    },

    async markFault(run, fault) {
      const key = runKey(run);
      const change = { fault: fault.sentence, stopRequestedAtMs: fault.atMs, stopReason: fault.sentence };
      lateIsFine(await table.update(key, { setOnce: change, when: runsIn(run) }), key);
    },

    async keepRunWait(run, wait) {
      await table.update(runKey(run), { set: { wait }, add: { turns: 1 }, when: present("pk") });
    },

    async setHeldSince(run, version, heldSinceMs) {
      const refusal = await table.update(runKey(run), {
        ...(heldSinceMs === null ? { remove: ["heldSinceMs"] } : { set: { heldSinceMs } }),
        when: equals("version", version),
      });
      return refusal === null;
    },

    async markReady(run, version, readyAtMs) {
      const change = {
        set: { readyAtMs, version: version + 1 },
        remove: ["heldSinceMs"],
        when: equals("version", version),
      };
      return (await table.update(runKey(run), change)) === null;
    },

    async endRun(run, { tally, ...end }) {
      const key = runKey(run);
      const verdict = { ...end, summaryKey: end.summaryKey ?? undefined };
      const refusal = await table.update(key, { set: { ...verdict, tally }, when: runsIn(run) });
      return refusal === null || isSame(requireRow(refusal, key), { ...verdict, round: run.round });
    },

    async markEventsSent(run, eventsSentAtMs) {
      const key = runKey(run);
      const when = allOf(present("endedAtMs"), isPresent(run));
      lateIsFine(await table.update(key, { setOnce: { eventsSentAtMs }, when }), key);
    },

    async requestRound(run, request) {
      const key = runKey(run);
      const when = equals("round", request.round);
      const refusal = await table.update(key, { append: { requests: [request] }, when });
      if (refusal !== null) requireRow(refusal, key);
      return refusal === null;
    },

    async openRound(run, next) {
      const key = runKey(run);
      const round = run.round + 1;
      const refusal = await table.update(key, {
        set: {
          round,
          state: "running",
          version: run.version + 1,
          opening: next.opening,
          rounds: [...(run.rounds ?? []), next.past],
          roundStartedAtMs: next.startedAtMs,
          deadlineAtMs: next.deadlineAtMs,
          notBeforeMs: next.notBeforeMs,
          redrives: next.redrives,
          expiresAt: runExpiry({ ...run, deadlineAtMs: next.deadlineAtMs }),
        },
        remove: [...OF_A_ROUND, ...(next.notBeforeMs === undefined ? ["notBeforeMs"] : [])],
        when: allOf(isPresent(run), equals("state", run.state), hasEntries("requests", run.requests?.length ?? 0)),
      });
      if (refusal === null) return true;
      return isSame(requireRow(refusal, key), { round, state: "running", roundStartedAtMs: next.startedAtMs });
    },

    async markRedriven(run, redrives) {
      const key = runKey(run);
      lateIsFine(await table.update(key, { set: { redrives }, when: runsIn(run) }), key);
    },
  };
}

/** The run of a row as the table holds it. */
export function runOf(row: Row, expiries: RunExpiry): RunRow {
  expiries.remember({ pk: String(row.pk), sk: String(row.sk) }, Number(row.expiresAt));
  return readRow(runRowSchema, fromTexts(row));
}

/** What is marked on the run row in a round, or asked of it, and void with the next one. */
const OF_A_ROUND = [
  "readyAtMs",
  "heldSinceMs",
  "stopRequestedAtMs",
  "stopAfterCurrentAtMs",
  "stopReason",
  "stopRequestedBy",
  "fault",
  "verdict",
  "summaryKey",
  "tally",
  "endedAtMs",
  "eventsSentAtMs",
  "requests",
];

const isPresent = ({ round }: RoundKey): Condition => equals("round", round);

const runsIn = (run: RoundKey): Condition => allOf(equals("state", "running"), isPresent(run));

/**
 * A person's input and the project's settings are stored as JSON text: DynamoDB would refuse some numbers that `vars`
 * may hold and would nest them beyond its depth.
 */
const asTexts = (run: RunRow): Row => ({
  ...run,
  input: JSON.stringify(run.input),
  settings: JSON.stringify(run.settings),
});

/** As {@link asTexts} has written it. */
export const fromTexts = (row: Row): Row => ({
  ...row,
  input: JSON.parse(String(row.input)),
  settings: JSON.parse(String(row.settings)),
});
