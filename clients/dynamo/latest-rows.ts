import type { Ledger } from "#clients/ledger.ts";
import { latestRowSchema } from "#core/contracts/project-rows.ts";
import { keys } from "#core/names.ts";
import { absent, anyOf, atMost } from "./expressions.ts";
import { readRow } from "./rows.ts";
import type { DynamoTable, Key } from "./table.ts";

const keyOf = (project: string, kind: string): Key => ({
  pk: keys.projectPartition(project),
  sk: keys.latest(kind),
});

/** Whose artefacts are the project's latest. The row never expires: the next newer run takes it over. */
export function latestRows(table: DynamoTable): Pick<Ledger, "claimLatest" | "readLatest"> {
  return {
    async claimLatest(row) {
      const when = anyOf(absent("startedAtMs"), atMost("startedAtMs", row.startedAtMs));
      const refusal = await table.update(keyOf(row.project, row.kind), { set: row, when });
      return refusal === null || refusal.row?.runId === row.runId;
    },

    async readLatest(project, kind) {
      const row = await table.get(keyOf(project, kind));
      return row === null ? null : readRow(latestRowSchema, row);
    },
  };
}
