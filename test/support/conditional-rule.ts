import type { VertexClaim, VertexFinal } from "#clients/ledger.ts";
import type { VertexRow } from "#core/contracts/ledger.ts";
import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { isTerminal } from "#core/dbt/status.ts";

type Row = { -readonly [K in keyof VertexRow]: VertexRow[K] };

const OF_A_TRY = [
  "startedAtMs",
  "endedAtMs",
  "message",
  "failures",
  "executionSeconds",
  "rowsAffected",
  "compiledKey",
] as const;

/**
 * A vertex as it was when container and decision maker wrote one row, each on a condition: what the joined row must come
 * to, whatever the order of the writes. Kept for that alone.
 */
export class ConditionalRow {
  #row: Row | null = null;

  get row(): VertexRow | null {
    return this.#row;
  }

  /** Refused where another task owns the vertex, or its last word has been given. */
  write(task: number, write: VertexWrite): void {
    const row = this.#row ?? newRow(write.uniqueId, task);
    if (row.ownerTask !== task || row.final !== undefined) return;
    const sameTry = row.statusTask === task;
    if (sameTry && row.endedAtMs !== undefined && !isTerminal(write.status)) return;
    const before: Partial<Row> = { ...row };
    if (!sameTry) for (const attribute of OF_A_TRY) delete before[attribute];
    const others = row.tryTasks.filter((other) => other !== task);
    const tryTasks = write.evidence ? [...others, task].sort((a, b) => a - b) : others;
    const said = Object.entries(write).filter(([, value]) => value !== undefined);
    const written = { ...before, ...Object.fromEntries(said), statusTask: task, tryTasks };
    this.#row = Object.fromEntries(Object.entries(written).filter(([, value]) => value !== null)) as unknown as Row;
  }

  claim(task: number, { uniqueId, from, lostTask, forget }: VertexClaim): boolean {
    if ((this.#row?.ownerTask ?? null) !== from) return this.#row?.ownerTask === task;
    const row: Partial<Row> & Row = { ...(this.#row ?? newRow(uniqueId, task)) };
    if (forget)
      for (const attribute of ["status", "statusTask", "evidence", ...OF_A_TRY] as const) delete row[attribute];
    for (const attribute of ["final", "finalReason", "finalRound", "rootCause", "mark"] as const) delete row[attribute];
    const lostTasks = lostTask === undefined ? row.lostTasks : [...new Set([...row.lostTasks, lostTask])].sort();
    this.#row = { ...row, ownerTask: task, epoch: row.epoch + 1, lostTasks };
    return true;
  }

  close(round: number, ownerTask: number, { uniqueId, ...final }: VertexFinal): void {
    const { rootCause: _, ...row } = this.#row ?? newRow(uniqueId, ownerTask);
    if (row.ownerTask !== ownerTask || (row.finalRound ?? 0) > round) return;
    this.#row = { ...row, ...final, finalRound: round };
  }
}

const newRow = (uniqueId: string, ownerTask: number): Row => ({
  uniqueId,
  ownerTask,
  epoch: 0,
  tryTasks: [],
  lostTasks: [],
});
