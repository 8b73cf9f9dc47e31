import type { Ledger } from "#clients/ledger.ts";
import { handRowSchema, imageRowSchema, pauseRowSchema } from "#core/contracts/project-rows.ts";
import { keys } from "#core/names.ts";
import { absent, present } from "./expressions.ts";
import { expiry, isSame, readRow } from "./rows.ts";
import type { DynamoTable, Key } from "./table.ts";

type Hands = Pick<
  Ledger,
  "readPause" | "pause" | "resume" | "readImage" | "chooseImage" | "dropImage" | "addHand" | "listHands"
>;

const pauseKey = (project: string): Key => ({ pk: keys.projectPartition(project), sk: keys.pause });

const imageKey = (project: string): Key => ({ pk: keys.projectPartition(project), sk: keys.image });

/** What people do to a project. A pause and an image never expire: they are taken back by a person. */
export function handRows(table: DynamoTable): Hands {
  return {
    async readPause(project) {
      const row = await table.get(pauseKey(project));
      return row === null ? null : readRow(pauseRowSchema, row);
    },

    async pause(row) {
      const refusal = await table.update(pauseKey(row.project), { set: row, when: absent("pk") });
      return refusal === null || isSame(refusal.row, row);
    },

    async resume(project) {
      return (await table.delete(pauseKey(project), present("pk"))) === null;
    },

    async readImage(project) {
      const row = await table.get(imageKey(project));
      return row === null ? null : readRow(imageRowSchema, row);
    },

    async chooseImage(row) {
      await table.update(imageKey(row.project), { set: row });
    },

    async dropImage(project) {
      return (await table.delete(imageKey(project), present("pk"))) === null;
    },

    async addHand(row, ttlDays) {
      const key = { pk: keys.projectPartition(row.project), sk: keys.hand(row.atMs, row.action, row.by) };
      await table.update(key, { set: { ...row, expiresAt: expiry(row.atMs, ttlDays) } });
    },

    async listHands(project, limit) {
      const rows = await table.query(keys.projectPartition(project), keys.handPrefix, { newestFirst: true, limit });
      return rows.map((row) => readRow(handRowSchema, row));
    },
  };
}
