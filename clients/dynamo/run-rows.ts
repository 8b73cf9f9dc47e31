import type { RunRows } from "#clients/ledger.ts";
import { type RunRow, runRowSchema } from "#core/contracts/ledger.ts";
import { absent, allOf, equals, present } from "./expressions.ts";
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
      expiries.remember(runKey(run), Number(row.expiresAt));
      return readRow(runRowSchema, fromTexts(row));
    },

    async setPlan(run, plan) {
      const key = runKey(run);
      const refusal = await table.update(key, { set: plan, when: allOf(present("pk"), absent("planKey")) });
      return refusal === null || isSame(requireRow(refusal, key), plan);
    },

    async requestStop(run, stop) {
      const key = runKey(run);
      const change = { stopRequestedAtMs: stop.atMs, stopReason: stop.reason };
      lateIsFine(await table.update(key, { setOnce: change, when: present("pk") }), key);
    },

    async markFault(run, fault) {
      const key = runKey(run);
      const change = { fault: fault.sentence, stopRequestedAtMs: fault.atMs, stopReason: fault.sentence };
      lateIsFine(await table.update(key, { setOnce: change, when: equals("state", "running") }), key);
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

    async endRun(run, end) {
      const key = runKey(run);
      const verdict = { ...end, summaryKey: end.summaryKey ?? undefined };
      const refusal = await table.update(key, { set: verdict, when: equals("state", "running") });
      return refusal === null || isSame(requireRow(refusal, key), verdict);
    },

    async markEventsSent(run, eventsSentAtMs) {
      const key = runKey(run);
      lateIsFine(await table.update(key, { setOnce: { eventsSentAtMs }, when: present("endedAtMs") }), key);
    },
  };
}

/**
 * A person's input and the project's settings are stored as JSON text: DynamoDB would refuse some numbers that `vars`
 * may hold and would nest them beyond its depth.
 */
const asTexts = (run: RunRow): Row => ({
  ...run,
  input: JSON.stringify(run.input),
  settings: JSON.stringify(run.settings),
});

const fromTexts = (row: Row): Row => ({
  ...row,
  input: JSON.parse(String(row.input)),
  settings: JSON.parse(String(row.settings)),
});
