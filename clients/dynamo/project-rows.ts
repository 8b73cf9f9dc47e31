import type { Ledger } from "#clients/ledger.ts";
import { lockRowSchema, runIndexRowSchema } from "#core/contracts/ledger.ts";
import { keys } from "#core/names.ts";
import { absent, equals, present } from "./expressions.ts";
import { expiry, readRow } from "./rows.ts";
import type { DynamoTable, Key, Row } from "./table.ts";

type Lock = Pick<Ledger, "takeLock" | "replaceLock" | "readLock" | "releaseLock">;
type Queue = Pick<Ledger, "joinQueue" | "leaveQueue">;
type RunIndex = Pick<Ledger, "putRunIndex" | "listRuns">;

const lockKeyOf = (project: string, lockKey: string): Key => ({
  pk: keys.projectPartition(project),
  sk: keys.lock(lockKey),
});

/** The lock. It never expires: it is given back, or taken from a holder that is known to be gone. */
export function lockRows(table: DynamoTable): Lock {
  return {
    async takeLock(lock) {
      const refusal = await table.update(lockKeyOf(lock.project, lock.lockKey), { set: lock, when: absent("runId") });
      if (refusal?.row == null || refusal.row.runId === lock.runId) return null;
      return readRow(lockRowSchema, refusal.row);
    },

    async replaceLock(lock, gone) {
      const key = lockKeyOf(lock.project, lock.lockKey);
      const refusal = await table.update(key, { set: lock, when: equals("runId", gone.runId) });
      return refusal === null || refusal.row?.runId === lock.runId;
    },

    async readLock(project, lockKey) {
      const row = await table.get(lockKeyOf(project, lockKey));
      return row === null ? null : readRow(lockRowSchema, row);
    },

    async releaseLock(project, lockKey, runId) {
      await table.delete(lockKeyOf(project, lockKey), equals("runId", runId));
    },
  };
}

/** The queue of runs that wait for a lock: one row a run, in order of arrival. */
export function queueRows(table: DynamoTable): Queue {
  return {
    async joinQueue(project, lockKey, entry) {
      const waiting = await entriesOf(project, lockKey);
      if (waiting.some((other) => other.runId === entry.runId)) return waiting.map(queueEntry);
      const sk = keys.queue(lockKey, entry.atMs, entry.runId);
      await table.insert({ pk: keys.projectPartition(project), sk, lockKey, ...entry });
      return (await entriesOf(project, lockKey)).map(queueEntry);
    },

    async leaveQueue(project, lockKey, entry) {
      for (const { pk, sk, runId } of await entriesOf(project, lockKey))
        if (runId === entry.runId) await table.delete({ pk: String(pk), sk: String(sk) }, present("pk"));
    },
  };

  /** A lock key is a dbt target's name and may hold the separator, so that prefixes of two keys can overlap. */
  async function entriesOf(project: string, lockKey: string): Promise<Row[]> {
    const rows = await table.query(keys.projectPartition(project), keys.queuePrefix(lockKey));
    return rows.filter((row) => row.lockKey === lockKey);
  }
}

const queueEntry = (row: Row) => ({
  runId: String(row.runId),
  executionArn: String(row.executionArn),
  atMs: Number(row.atMs),
});

/** The index of past runs. */
export function runIndexRows(table: DynamoTable): RunIndex {
  return {
    async putRunIndex(run, ttlDays) {
      const key = { pk: keys.projectPartition(run.project), sk: keys.runIndex(run.startedAtMs, run.runId) };
      const expiresAt = expiry(run.endedAtMs ?? run.startedAtMs, ttlDays);
      // A start-run that is repeated late does not bring a run back to life that settle-run has closed.
      const when = run.endedAtMs === undefined ? { when: absent("endedAtMs") } : {};
      await table.update(key, { set: { ...run, expiresAt }, ...when });
    },

    async listRuns(project, limit) {
      const pk = keys.projectPartition(project);
      const rows = await table.query(pk, keys.runIndexPrefix, { newestFirst: true, limit });
      return rows.map((row) => readRow(runIndexRowSchema, row));
    },
  };
}
