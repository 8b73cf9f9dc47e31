import type { Ledger } from "#clients/ledger.ts";
import { alertRowSchema } from "#core/contracts/alerts.ts";
import { keys } from "#core/names.ts";
import { expiry, readRow } from "./rows.ts";
import type { DynamoTable } from "./table.ts";

/** What is wrong for longer is told of by others than an alert. Days. */
const KEPT_DAYS = 180;

/** What channels were told, by project and lock: one small row for each thing that is wrong. */
export function alertRows(table: DynamoTable): Pick<Ledger, "listAlerts" | "putAlert"> {
  return {
    async listAlerts(project, lockKey, channel) {
      const rows = await table.query(keys.projectPartition(project), keys.alertPrefix(lockKey, channel));
      return rows.map((row) => readRow(alertRowSchema, row));
    },

    async putAlert(project, row) {
      const key = { pk: keys.projectPartition(project), sk: keys.alert(row.lockKey, row.channel, row.about) };
      await table.update(key, { set: { ...row, expiresAt: expiry(row.toldAtMs, KEPT_DAYS) } });
    },
  };
}
