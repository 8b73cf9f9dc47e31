import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { Condition, RowChange } from "#clients/dynamo/expressions.ts";
import { DynamoTable, type Key, type Refusal, type Row, type TransactionPart } from "#clients/dynamo/table.ts";
import { holds } from "./conditions.ts";

const WRITE_UNIT_BYTES = 1024;
const READ_UNIT_BYTES = 4096;
const PAGE_BYTES = 2 ** 20;
const KEYS_PER_BATCH = 100;

/** What one kind of caller has done to the ledger. */
export interface LedgerUse {
  calls: number;
  rows: number;
  bytes: number;
  /** As DynamoDB bills them on demand: consistent reads by 4 KiB, writes by 1 KiB of the row. */
  units: number;
}

interface Stored {
  readonly row: Row;
  readonly bytes: number;
}

interface Partition {
  readonly rows: Map<string, Stored>;
  /** Sort keys in order; null: one was added since. */
  order: string[] | null;
}

/** One row's change, as the table's stream has it. */
export interface RowChanged {
  readonly before: Row | null;
  readonly after: Row | null;
}

/** The rows of a table in memory, and what callers have used of it. */
export class TableStore {
  readonly partitions = new Map<string, Partition>();
  readonly reads = new Map<string, LedgerUse>();
  readonly writes = new Map<string, LedgerUse>();
  onChange: (change: RowChanged) => void = () => undefined;

  partition(pk: string): Partition {
    const known = this.partitions.get(pk) ?? { rows: new Map(), order: null };
    this.partitions.set(pk, known);
    return known;
  }

  find({ pk, sk }: Key): Stored | undefined {
    return this.partitions.get(pk)?.rows.get(sk);
  }

  put({ pk, sk }: Key, row: Row | null): void {
    const partition = this.partition(pk);
    const before = partition.rows.get(sk)?.row ?? null;
    if (row === null) partition.rows.delete(sk);
    else partition.rows.set(sk, { row, bytes: rowBytes(row) });
    if ((before === null) !== (row === null)) partition.order = null;
    this.onChange({ before, after: row });
  }
}

export const noUse = (): LedgerUse => ({ calls: 0, rows: 0, bytes: 0, units: 0 });

/**
 * The ledger's table as its client sees it, kept in memory: the client's own code runs on it, so that what is counted for
 * a caller is what it would read and write on DynamoDB.
 */
export class MemoryTable extends DynamoTable {
  readonly #store: TableStore;
  readonly #reads: LedgerUse;
  readonly #writes: LedgerUse;

  constructor(store: TableStore, caller: string) {
    super("memory", undefined as unknown as DynamoDBClient);
    this.#store = store;
    this.#reads = store.reads.get(caller) ?? noUse();
    this.#writes = store.writes.get(caller) ?? noUse();
    store.reads.set(caller, this.#reads);
    store.writes.set(caller, this.#writes);
  }

  override async get(key: Key): Promise<Row | null> {
    const found = this.#store.find(key);
    this.#read([found], 1);
    return found === undefined ? null : { ...found.row };
  }

  override async query(
    pk: string,
    prefix: string,
    options: { newestFirst?: boolean; limit?: number } = {},
  ): Promise<Row[]> {
    const partition = this.#store.partition(pk);
    partition.order ??= [...partition.rows.keys()].sort();
    const keys = between(partition.order, prefix);
    if (options.newestFirst === true) keys.reverse();
    const found = keys.slice(0, options.limit).map((sk) => partition.rows.get(sk)!);
    const bytes = found.reduce((sum, one) => sum + one.bytes, 0);
    const units = Math.max(1, Math.ceil(bytes / READ_UNIT_BYTES));
    add(this.#reads, { calls: 1 + Math.floor(bytes / PAGE_BYTES), rows: found.length, bytes, units });
    return found.map(({ row }) => ({ ...row }));
  }

  override async getMany(keys: readonly Key[]): Promise<Row[]> {
    const unique = new Map(keys.map((key) => [`${key.pk}\n${key.sk}`, key]));
    const found = [...unique.values()].map((key) => this.#store.find(key));
    this.#read(found, Math.ceil(found.length / KEYS_PER_BATCH));
    return found.flatMap((one) => (one === undefined ? [] : [{ ...one.row }]));
  }

  override async insert(row: Key & Row): Promise<Refusal | null> {
    return this.#write(row, (before) => (before === null ? stored(row) : undefined), 1);
  }

  override async putMany(rows: readonly (Key & Row)[]): Promise<Key[]> {
    for (const row of rows) this.#write(row, () => stored(row), 1);
    return [];
  }

  override async update(key: Key, change: RowChange): Promise<Refusal | null> {
    return this.#write(key, (before) => (holds(change.when, before) ? changed(key, before, change) : undefined), 1);
  }

  override async delete(key: Key, when: Condition): Promise<Refusal | null> {
    return this.#write(key, (before) => (holds(when, before) ? null : undefined), 1);
  }

  override async transact(parts: readonly TransactionPart[]): Promise<boolean> {
    const isHeld = (part: TransactionPart): boolean => {
      const before = this.#store.find("insert" in part ? part.insert : part.update)?.row ?? null;
      return "insert" in part ? before === null : holds(part.change.when, before);
    };
    if (!parts.every(isHeld)) return false;
    for (const part of parts)
      if ("insert" in part) this.#write(part.insert, () => stored(part.insert), 2);
      else this.#write(part.update, (before) => changed(part.update, before, part.change), 2);
    return true;
  }

  #read(found: readonly (Stored | undefined)[], calls: number): void {
    const units = found.reduce((sum, one) => sum + Math.max(1, Math.ceil((one?.bytes ?? 0) / READ_UNIT_BYTES)), 0);
    const bytes = found.reduce((sum, one) => sum + (one?.bytes ?? 0), 0);
    add(this.#reads, { calls, rows: found.filter((one) => one !== undefined).length, bytes, units });
  }

  /** @param next the row as it shall be; undefined refuses, which is billed like a write */
  #write(key: Key, next: (before: Row | null) => Row | null | undefined, factor: number): Refusal | null {
    const { pk, sk } = key;
    const before = this.#store.find(key);
    const row = next(before?.row ?? null);
    if (row !== undefined) this.#store.put({ pk, sk }, row);
    const bytes = Math.max(1, before?.bytes ?? 0, this.#store.find(key)?.bytes ?? 0);
    add(this.#writes, { calls: 1, rows: 1, bytes, units: factor * Math.ceil(bytes / WRITE_UNIT_BYTES) });
    return row === undefined ? { row: before === undefined ? null : { ...before.row } } : null;
  }
}

/** The keys that begin with a prefix, of keys in order. */
function between(order: readonly string[], prefix: string): string[] {
  let [from, to] = [0, order.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (order[middle]! < prefix) from = middle + 1;
    else to = middle;
  }
  let end = from;
  while (end < order.length && order[end]!.startsWith(prefix)) end += 1;
  return order.slice(from, end);
}

function changed(key: Key, before: Row | null, change: RowChange): Row {
  const row: Row = { ...(before ?? { pk: key.pk, sk: key.sk }) };
  for (const [name, value] of Object.entries(change.set ?? {})) if (value !== undefined) row[name] = copied(value);
  for (const [name, value] of Object.entries(change.setOnce ?? {}))
    if (value !== undefined && row[name] === undefined) row[name] = copied(value);
  for (const [name, values] of Object.entries(change.append ?? {}))
    row[name] = [...((row[name] as unknown[] | undefined) ?? []), ...(copied(values) as unknown[])];
  for (const [name, value] of Object.entries(change.add ?? {}))
    row[name] =
      typeof value === "number"
        ? ((row[name] as number | undefined) ?? 0) + value
        : new Set([...((row[name] as Set<number> | undefined) ?? []), ...value]);
  for (const [name, value] of Object.entries(change.takeOut ?? {})) {
    const left = new Set([...((row[name] as Set<number> | undefined) ?? [])].filter((one) => !value.has(one)));
    // DynamoDB has no empty sets.
    if (left.size > 0) row[name] = left;
    else delete row[name];
  }
  for (const name of change.remove ?? []) delete row[name];
  return row;
}

const stored = (row: Key & Row): Row =>
  Object.fromEntries(
    Object.entries(row).flatMap(([name, value]) => (value === undefined ? [] : [[name, copied(value)]])),
  );

/** As it comes back from the wire: without what is undefined, at any depth. */
function copied(value: unknown): unknown {
  if (value instanceof Set) return new Set(value);
  return typeof value === "object" && value !== null ? JSON.parse(JSON.stringify(value)) : value;
}

/** As DynamoDB counts a row: bench/item-bytes, of plain values. */
function rowBytes(row: Row): number {
  return Object.entries(row).reduce((sum, [name, value]) => sum + name.length + valueBytes(value), 0);
}

function valueBytes(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (typeof value === "number") return Math.ceil(String(value).length / 2) + 1;
  if (value instanceof Set) return [...(value as Set<unknown>)].reduce<number>((sum, one) => sum + valueBytes(one), 0);
  if (Array.isArray(value)) return value.reduce<number>((sum, one) => sum + 1 + valueBytes(one), 3);
  if (typeof value === "object" && value !== null)
    return Object.entries(value).reduce((sum, [name, one]) => sum + 1 + name.length + valueBytes(one), 3);
  return 1;
}

function add(use: LedgerUse, more: LedgerUse): void {
  use.calls += more.calls;
  use.rows += more.rows;
  use.bytes += more.bytes;
  use.units += more.units;
}
