import type { z } from "zod";
import type { RunKey } from "#clients/ledger.ts";
import { InputError, RowMissing } from "#core/errors.ts";
import { isWholeId, keys, partsOfWord } from "#core/names.ts";
import { inOurWords } from "#core/zod-sentences.ts";
import { type DynamoTable, EXPIRES_AT, type Key, type Refusal, type Row } from "./table.ts";

export const runKey = ({ project, runId }: RunKey): Key => ({ pk: keys.runPartition(project, runId), sk: keys.run });

export const taskKey = ({ project, runId }: RunKey, task: number): Key => ({
  pk: keys.runPartition(project, runId),
  sk: keys.task(task),
});

export const vertexKey = ({ project, runId }: RunKey, uniqueId: string): Key => ({
  pk: keys.runPartition(project, runId),
  sk: keys.vertex(uniqueId),
});

/** What the container of a task tells of it. */
export const toldTaskKey = ({ project, runId }: RunKey, task: number): Key => ({
  pk: keys.buildPartition(project, runId),
  sk: keys.task(task),
});

/** A task's own word on a vertex. */
export const wordKey = ({ project, runId }: RunKey, task: number, uniqueId: string): Key => ({
  pk: keys.buildPartition(project, runId),
  sk: keys.word(task, uniqueId),
});

/** The same of a word's row. */
export const wholeIdOfWord = (task: number, uniqueId: string): { uniqueId?: string } =>
  partsOfWord(keys.word(task, uniqueId))?.uniqueId === uniqueId ? {} : { uniqueId };

/** An id that is too long for a key stands in the row itself. */
export const wholeId = (uniqueId: string): { uniqueId?: string } => (isWholeId(uniqueId) ? {} : { uniqueId });

/** A row by its schema. Throws {@link InputError} for a row that another version, or a hand, has written. */
export function readRow<S extends z.ZodType>(schema: S, row: Row): z.infer<S> {
  const parsed = schema.safeParse(row, { error: inOurWords });
  if (parsed.success) return parsed.data;
  throw new InputError(
    `Ledger row ${row.pk}/${row.sk} can not be read; look at it, or run the stepwatch version that wrote it`,
    parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`),
  );
}

/** The row of a refused write. Throws {@link RowMissing} if the write was refused because there is none. */
export function requireRow(refusal: Refusal, key: Key): Row {
  if (refusal.row !== null) return refusal.row;
  throw new RowMissing(`The ledger has no row ${key.pk}/${key.sk}: check the run id, or whether the run has expired.`);
}

/**
 * Throws {@link RowMissing} if a write was refused because its row is missing; any other refusal means that the row
 * has moved on and the write came too late to matter.
 */
export function lateIsFine(refusal: Refusal | null, key: Key): void {
  if (refusal !== null) requireRow(refusal, key);
}

/**
 * Whether attributes stand as a write wanted them: a refused write that finds its own effect is a repetition by the
 * SDK, whose first answer was lost, and has succeeded.
 */
export const isSame = (stored: unknown, wanted: Readonly<Record<string, unknown>>): boolean =>
  typeof stored === "object" &&
  stored !== null &&
  Object.entries(wanted).every(([name, value]) => (stored as Row)[name] === value);

const DAY_SECONDS = 86_400;

/** When a run's rows expire, in epoch seconds: days are counted from the deadline, so that no live run loses rows. */
export const runExpiry = (run: { deadlineAtMs: number; settings: { policy: { ttlDays: number } } }): number =>
  expiry(run.deadlineAtMs, run.settings.policy.ttlDays);

export const expiry = (fromMs: number, ttlDays: number): number => Math.ceil(fromMs / 1000) + ttlDays * DAY_SECONDS;

/** Runs of which one process remembers this: a warm function sees many, a container one. */
const REMEMBERED_RUNS = 100;

/** Tells when the rows of a run expire: as its run row, which is read once a run and process. */
export class RunExpiry {
  readonly #table: DynamoTable;
  readonly #known = new Map<string, number>();

  constructor(table: DynamoTable) {
    this.#table = table;
  }

  /** Throws {@link RowMissing} if there is no such run: a row without its run would never expire. */
  async of(run: RunKey): Promise<number> {
    const key = runKey(run);
    const known = this.#known.get(key.pk);
    if (known !== undefined) return known;
    const row = requireRow({ row: await this.#table.get(key) }, key);
    return this.remember(key, Number(row[EXPIRES_AT]));
  }

  remember({ pk }: Key, expiresAt: number): number {
    if (this.#known.size >= REMEMBERED_RUNS) this.#known.clear();
    this.#known.set(pk, expiresAt);
    return expiresAt;
  }
}

/**
 * Tasks that build what nobody has claimed, as the run row numbers them; only these rules read it there. A run's first
 * task is its producer.
 */
export const producersOf = (runRow: Row | null | undefined): readonly number[] =>
  Array.isArray(runRow?.producers) ? (runRow.producers as number[]) : [1];
