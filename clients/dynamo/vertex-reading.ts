import type { RunKey } from "#clients/ledger.ts";
import {
  type DecidedVertex,
  decidedVertexSchema,
  type VertexRow,
  type VertexWord,
  vertexWordSchema,
} from "#core/contracts/ledger.ts";
import { LedgerUnavailable } from "#core/errors.ts";
import { keys, partsOfWord } from "#core/names.ts";
import { joinVertex, tasksHeard } from "#core/run/judging/joined-rows.ts";
import { producersOf, readRow, runKey, vertexKey, wordKey } from "./rows.ts";
import type { DynamoTable, Key, Row } from "./table.ts";

/** A vertex as it is decided, and as it is with the word that counts. */
export interface Look {
  /** As the table holds it; null: there is none. */
  readonly runRow: Row | null;
  readonly decided: DecidedVertex | null;
  readonly row: VertexRow | null;
}

/**
 * Megabytes of what containers tell of a run, at most: a thousand bytes for each vertex of the largest plan, and a quarter
 * more for their tries. Code of a dbt project can write what it likes there, and must not keep its run from its verdict.
 */
const MOST_TOLD = 125;

/** Looks at one vertex whose owner moves on meanwhile; more would mean that somebody claims it again and again. */
const LOOKS = 5;

/**
 * Every vertex of a run. Words are read before what is decided: a word that is found, and whose task owns the vertex
 * afterwards, was its owner's when it was read. The other way round a word that came after a claim would count.
 */
export async function readAll(table: DynamoTable, run: RunKey): Promise<VertexRow[]> {
  const told = await table.query(keys.buildPartition(run.project, run.runId), keys.taskPrefix, {
    mostPages: MOST_TOLD,
  });
  const words = told.flatMap(wordOf);
  const [runRow, decidedRows] = await Promise.all([
    table.get(runKey(run)),
    table.query(keys.runPartition(run.project, run.runId), keys.vertexPrefix),
  ]);
  const producers = producersOf(runRow);
  const decided = new Map(decidedRows.map(decidedOf).map((row) => [row.uniqueId, row]));
  const wordsOn = Map.groupBy(words, ({ uniqueId }) => uniqueId);
  const ids = [...new Set([...decided.keys(), ...wordsOn.keys()])].sort();
  const joined = ids.map((id) => joinVertex(decided.get(id) ?? null, wordsOn.get(id) ?? [], producers));
  return joined.filter((row) => row !== null);
}

/** Some vertices, words first. A word of the run's first task is asked for before it is known whose counts. */
export async function readSome(table: DynamoTable, run: RunKey, uniqueIds: readonly string[]): Promise<VertexRow[]> {
  const looks = await lookAt(table, run, { uniqueIds: [...new Set(uniqueIds)], guess: 1, atOnce: false });
  return [...looks.values()].flatMap(({ row }) => (row === null ? [] : [row]));
}

/**
 * One vertex and its run's row, where the order of the reads does not matter: for a write on condition that the vertex is
 * still decided so, or to find that there is nothing to do.
 * @param guess the task whose word probably counts
 */
export async function lookAtOne(table: DynamoTable, run: RunKey, uniqueId: string, guess: number): Promise<Look> {
  const looks = await lookAt(table, run, { uniqueIds: [uniqueId], guess, atOnce: true });
  return looks.get(uniqueId)!;
}

interface Asked {
  readonly uniqueIds: readonly string[];
  readonly guess: number;
  /** Words and what is decided in one batch. */
  readonly atOnce: boolean;
}

async function lookAt(table: DynamoTable, run: RunKey, asked: Asked): Promise<Map<string, Look>> {
  const looks = new Map<string, Look>();
  const words = new Map<string, VertexWord | null>();
  let open = asked.uniqueIds;
  let wanted = open.map((uniqueId) => wordKey(run, asked.guess, uniqueId));
  for (let look = 0; look < LOOKS && open.length > 0; look += 1) {
    const ofRun = [runKey(run), ...open.map((uniqueId) => vertexKey(run, uniqueId))];
    const rows = asked.atOnce ? await rowsBy(table, [...wanted, ...ofRun]) : await rowsBy(table, wanted);
    for (const key of wanted) words.set(key.sk, wordOf(rows.get(key.sk))[0] ?? null);
    const decidedRows = asked.atOnce ? rows : await rowsBy(table, ofRun);
    const runRow = decidedRows.get(keys.run) ?? null;
    const producers = producersOf(runRow);
    wanted = [];
    const unheard: string[] = [];
    for (const uniqueId of open) {
      const row = decidedRows.get(keys.vertex(uniqueId));
      const decided = row === undefined ? null : decidedOf(row);
      const counting = tasksHeard(decided, producers).map((task) => wordKey(run, task, uniqueId));
      const missing = counting.filter(({ sk }) => !words.has(sk));
      if (missing.length > 0) unheard.push(uniqueId);
      else looks.set(uniqueId, { runRow, decided, row: joinVertex(decided, saidIn(counting, words), producers) });
      wanted.push(...missing);
    }
    open = unheard;
  }
  if (open.length === 0) return looks;
  throw new LedgerUnavailable(`The owner of ${open[0]} moved while it was read: read again in a moment.`);
}

const saidIn = (wanted: readonly Key[], words: ReadonlyMap<string, VertexWord | null>): VertexWord[] =>
  wanted.map(({ sk }) => words.get(sk)).filter((word) => word !== null && word !== undefined);

/** By their sort keys, which are unlike in the two partitions. */
async function rowsBy(table: DynamoTable, wanted: readonly Key[]): Promise<Map<string, Row>> {
  return new Map((await table.getMany(wanted)).map((row) => [String(row.sk), row]));
}

function wordOf(row: Row | undefined): VertexWord[] {
  const parts = row === undefined ? null : partsOfWord(String(row.sk));
  if (parts === null) return [];
  return [readRow(vertexWordSchema, { ...row, uniqueId: row!.uniqueId ?? parts.uniqueId, task: parts.task })];
}

function decidedOf(row: Row): DecidedVertex {
  const uniqueId = row.uniqueId ?? String(row.sk).slice(keys.vertexPrefix.length);
  const sets = { tryTasks: sorted(row.tryTasks), lostTasks: sorted(row.lostTasks) };
  return readRow(decidedVertexSchema, { ...row, uniqueId, ...sets });
}

/** DynamoDB has no empty sets: an absent one is empty. */
const sorted = (numbers: unknown): number[] => (numbers instanceof Set ? [...numbers].sort((a, b) => a - b) : []);
