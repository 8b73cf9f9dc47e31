import type { Ledger } from "#clients/ledger.ts";
import {
  type LockRow,
  lockRowSchema,
  type QueueEntry,
  queueEntrySchema,
  runIndexRowSchema,
} from "#core/contracts/project-rows.ts";
import { keys } from "#core/names.ts";
import { absent, allOf, anyOf, below, equals, notLater, present } from "./expressions.ts";
import { expiry, readRow } from "./rows.ts";
import type { DynamoTable, Key, Row } from "./table.ts";

type Lock = Pick<Ledger, "takeLock" | "replaceLock" | "readLock" | "listLocks" | "releaseLock">;
type Queue = Pick<Ledger, "joinQueue" | "readQueue" | "markReplaced" | "listWaiting" | "leaveQueue">;
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
      if (refusal?.row == null) return null;
      if (refusal.row.runId !== lock.runId) return readRow(lockRowSchema, refusal.row);
      return (await keepForRound(lock)) ? null : await this.takeLock(lock);
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

    async listLocks(project) {
      const rows = await table.query(keys.projectPartition(project), keys.lockPrefix);
      return rows.map((row) => readRow(lockRowSchema, row));
    },

    async releaseLock(project, lockKey, runId, round) {
      const ofRound = round === undefined ? [] : [notLater("round", round)];
      await table.delete(lockKeyOf(project, lockKey), allOf(equals("runId", runId), ...ofRound));
    },
  };

  /** Notes the round on a lock that its run has already. False: it has been given back in between. */
  async function keepForRound(lock: LockRow): Promise<boolean> {
    const { round } = lock;
    if (round === undefined) return true;
    const refusal = await table.update(lockKeyOf(lock.project, lock.lockKey), {
      set: { round },
      when: allOf(equals("runId", lock.runId), anyOf(absent("round"), below("round", round))),
    });
    return refusal === null || refusal.row?.runId === lock.runId;
  }
}

/** The queue of runs that wait for a lock: one row a run, in order of arrival. */
export function queueRows(table: DynamoTable): Queue {
  return {
    async joinQueue(project, lockKey, entry) {
      const known = (await entriesOf(project, lockKey)).find((other) => other.runId === entry.runId);
      const { taskToken } = entry;
      if (known !== undefined && taskToken !== undefined)
        await table.update(keyOf(known), { set: { taskToken }, when: present("pk") });
      if (known === undefined) {
        const sk = keys.queue(lockKey, entry.atMs, entry.runId);
        await table.insert({ pk: keys.projectPartition(project), sk, lockKey, ...entry });
      }
      return (await entriesOf(project, lockKey)).map(queueEntry);
    },

    async readQueue(project, lockKey) {
      return (await entriesOf(project, lockKey)).map(queueEntry);
    },

    async markReplaced(project, lockKey, { atMs, runId }, replacedBy) {
      const key = { pk: keys.projectPartition(project), sk: keys.queue(lockKey, atMs, runId) };
      await table.update(key, { setOnce: { replacedBy }, when: present("pk") });
    },

    async listWaiting(project) {
      const rows = await table.query(keys.projectPartition(project), keys.queuesPrefix);
      return rows.map((row) => ({
        lockKey: String(row.lockKey),
        runId: String(row.runId),
        executionArn: String(row.executionArn),
        atMs: Number(row.atMs),
      }));
    },

    async leaveQueue(project, lockKey, entry) {
      for (const row of await entriesOf(project, lockKey))
        if (row.runId === entry.runId) await table.delete(keyOf(row), present("pk"));
    },
  };

  /** A lock key is a dbt target's name and may hold the separator, so that prefixes of two keys can overlap. */
  async function entriesOf(project: string, lockKey: string): Promise<Row[]> {
    const rows = await table.query(keys.projectPartition(project), keys.queuePrefix(lockKey));
    return rows.filter((row) => row.lockKey === lockKey);
  }
}

const keyOf = ({ pk, sk }: Row): Key => ({ pk: String(pk), sk: String(sk) });

const queueEntry = (row: Row): QueueEntry => readRow(queueEntrySchema, row);

/** The index of past runs. */
export function runIndexRows(table: DynamoTable): RunIndex {
  return {
    async putRunIndex(run, ttlDays) {
      const key = { pk: keys.projectPartition(run.project), sk: keys.runIndex(run.startedAtMs, run.runId) };
      const expiresAt = expiry(run.endedAtMs ?? run.startedAtMs, ttlDays);
      // A start-run that is repeated late does not bring a run back to life that settle-run has closed.
      const { round = 1 } = run;
      const anew = round > 1 ? [absent("round"), below("round", round)] : [];
      const isPresent = notLater("round", round);
      const notOver = allOf(anyOf(absent("endedAtMs"), ...anew), isPresent);
      await table.update(key, {
        set: { ...run, round, expiresAt },
        remove: run.endedAtMs === undefined ? ["endedAtMs", "verdict"] : [],
        when: run.endedAtMs === undefined ? notOver : isPresent,
      });
    },

    async listRuns(project, limit) {
      const pk = keys.projectPartition(project);
      const rows = await table.query(pk, keys.runIndexPrefix, { newestFirst: true, limit });
      return rows.map((row) => readRow(runIndexRowSchema, row));
    },
  };
}
