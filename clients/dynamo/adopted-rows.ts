import type { Ledger } from "#clients/ledger.ts";
import { eachLimited } from "#core/limit.ts";
import { runExpiry, taskKey, vertexKey, wholeId } from "./rows.ts";
import type { DynamoTable } from "./table.ts";

/** Inserts at once; DynamoDB takes some thousand a second of one partition. */
const INSERTS_AT_ONCE = 16;

/** Rows of another run under a new one's key. A row that is there already is left as it is. */
export function adoptedRows(table: DynamoTable): Pick<Ledger, "adoptRows"> {
  return {
    async adoptRows(run, tasks, rows) {
      const expiresAt = runExpiry(run);
      await eachLimited(tasks, INSERTS_AT_ONCE, async (task) => {
        await table.insert({ ...taskKey(run, task.task), ...task, expiresAt });
      });
      await eachLimited(rows, INSERTS_AT_ONCE, async ({ uniqueId, tryTasks, lostTasks, ...row }) => {
        const sets = { ...numberSet("tryTasks", tryTasks), ...numberSet("lostTasks", lostTasks) };
        await table.insert({ ...vertexKey(run, uniqueId), ...wholeId(uniqueId), ...row, ...sets, expiresAt });
      });
    },
  };
}

/** DynamoDB has no empty sets. */
const numberSet = (name: string, numbers: readonly number[]) =>
  numbers.length === 0 ? {} : { [name]: new Set(numbers) };
