import type { Ledger } from "#clients/ledger.ts";
import { scheduleRowSchema } from "#core/contracts/project-rows.ts";
import { keys } from "#core/names.ts";
import { readRow } from "./rows.ts";
import type { DynamoTable } from "./table.ts";

/** The schedule of a project as it was seen last. Two sweeps at once may both note a new one: their times are one. */
export function scheduleRows(table: DynamoTable): Pick<Ledger, "knowSchedule"> {
  return {
    async knowSchedule(project, schedule, nowMs, job) {
      const key = { pk: keys.projectPartition(project), sk: keys.schedule(job) };
      const row = await table.get(key);
      const known = row === null ? null : readRow(scheduleRowSchema, row);
      if (known?.schedule === schedule) return known.sinceMs;
      await table.update(key, { set: { schedule, sinceMs: nowMs } });
      return nowMs;
    },
  };
}
