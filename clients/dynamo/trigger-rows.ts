import type { Ledger } from "#clients/ledger.ts";
import { type TriggerRow, triggerRowSchema } from "#core/contracts/project-rows.ts";
import { keys } from "#core/names.ts";
import { absent, anyOf, atMost, equals } from "./expressions.ts";
import { expiry, readRow } from "./rows.ts";
import type { DynamoTable, Key } from "./table.ts";

type Triggers = Pick<Ledger, "claimTrigger" | "readTrigger" | "replaceTrigger">;

/** How long a trigger is remembered: EventBridge delivers again for a day at most, a person's queue may for two weeks. */
const TRIGGER_DAYS = 14;

const triggerKey = (project: string, dedupeKey: string): Key => ({
  pk: keys.projectPartition(project),
  sk: keys.trigger(dedupeKey),
});

/** Triggers that have started a run. One that DynamoDB has not deleted yet counts as forgotten once it has expired. */
export function triggerRows(table: DynamoTable): Triggers {
  const written = (trigger: TriggerRow, days: number) => ({
    set: { ...trigger, expiresAt: expiry(trigger.atMs, days) },
    // What the row said before of another run's is none of this one's.
    remove: trigger.goesOnWith === undefined ? ["goesOnWith"] : [],
  });
  return {
    async claimTrigger(project, dedupeKey, trigger, days = TRIGGER_DAYS) {
      const forgotten = atMost("expiresAt", Math.floor(trigger.atMs / 1_000));
      const when = anyOf(absent("pk"), forgotten);
      const refusal = await table.update(triggerKey(project, dedupeKey), { ...written(trigger, days), when });
      if (refusal?.row == null || refusal.row.runId === trigger.runId) return null;
      return readRow(triggerRowSchema, refusal.row);
    },

    async readTrigger(project, dedupeKey) {
      const row = await table.get(triggerKey(project, dedupeKey));
      return row === null ? null : readRow(triggerRowSchema, row);
    },

    async replaceTrigger(project, dedupeKey, trigger, gone, days = TRIGGER_DAYS) {
      const key = triggerKey(project, dedupeKey);
      const refusal = await table.update(key, { ...written(trigger, days), when: equals("runId", gone.runId) });
      return refusal === null || refusal.row?.runId === trigger.runId;
    },
  };
}
