import { NODE_TYPES, TEST_TYPES } from "#core/dbt/resource-types.ts";
import { keys, partsOfWord } from "#core/names.ts";
import type { CountedRead, CountedWrite } from "./ledger-proxy.ts";
import type { MeasuredRun } from "./measured-run.ts";
import { percentile } from "./table.ts";

export interface LedgerFigures {
  readonly writes: number;
  readonly bytes: number;
  /** Writes to rows of nodes, by node; null without any. */
  readonly perNode: number | null;
  readonly perTest: number | null;
  /** Writes to rows of vertices, by who wrote. */
  readonly vertexWritesBy: Readonly<Record<string, number>>;
  /** To rows of tasks: heartbeats and what moves a task. */
  readonly taskWrites: number;
  /** Everything else: run, lock, index. */
  readonly otherWrites: number;
  readonly refused: number;
  readonly bytesPerVertex: number;
  readonly reads: number;
  /** As DynamoDB bills them on demand. */
  readonly writeUnits: number;
  readonly readUnits: number;
  /** Read calls, rows and units by who read. */
  readonly readsBy: Readonly<Record<string, ReadFigures>>;
  /** How long the emulator took for a write, proxy included. Milliseconds. */
  readonly writeMsP95: number | null;
}

/** What one caller has read. */
export interface ReadFigures {
  readonly calls: number;
  readonly rows: number;
  readonly bytes: number;
  readonly units: number;
}

const WRITE_UNIT_BYTES = 1024;

export function ledgerFigures({ traffic, plan, run, tasks, vertices }: MeasuredRun): LedgerFigures {
  const types = new Map(plan.vertices.map((vertex) => [keys.vertex(vertex.uniqueId), vertex.resourceType]));
  const ofTypes = (wanted: ReadonlySet<string>) =>
    traffic.writes.filter((write) => wanted.has(types.get(vertexOf(write.sortKey) ?? "") ?? "")).length;
  const count = (wanted: ReadonlySet<string>) =>
    plan.vertices.filter((vertex) => vertex.builds && wanted.has(vertex.resourceType)).length;
  const per = (wanted: ReadonlySet<string>) => (count(wanted) === 0 ? null : ofTypes(wanted) / count(wanted));
  const vertexWrites = traffic.writes.filter((write) => vertexOf(write.sortKey) !== null);
  const taskWrites = traffic.writes.filter(
    ({ sortKey }) => sortKey.startsWith(keys.taskPrefix) && vertexOf(sortKey) === null,
  );
  const sizes = new Map<string, number>([
    [keys.run, sizeOf(run)],
    ...tasks.map((task) => [keys.task(task.task), sizeOf(task)] as const),
    ...vertices.map((row) => [keys.vertex(row.uniqueId), sizeOf(row)] as const),
  ]);
  return {
    writes: traffic.writes.length,
    bytes: total(traffic.writes.map((write) => write.bytes)),
    perNode: per(NODE_TYPES),
    perTest: per(TEST_TYPES),
    vertexWritesBy: countBy(vertexWrites),
    taskWrites: taskWrites.length,
    otherWrites: traffic.writes.length - vertexWrites.length - taskWrites.length,
    refused: traffic.writes.filter((write) => write.refused).length,
    bytesPerVertex: total(vertexWrites.map((write) => write.bytes)) / Math.max(1, vertices.length),
    reads: traffic.reads.length,
    writeUnits: total(traffic.writes.map((write) => writeUnitsOf(write, sizes))),
    readUnits: total(traffic.reads.map(({ units }) => units)),
    readsBy: readsBy(traffic.reads),
    writeMsP95: percentile(
      traffic.writes.map((write) => write.tookMs),
      0.95,
    ),
  };
}

/** Of what is decided of a vertex, or of a task's word on it. */
function vertexOf(sortKey: string): string | null {
  const word = partsOfWord(sortKey);
  if (word !== null) return `${keys.vertexPrefix}${word.uniqueId}`;
  return sortKey.startsWith(keys.vertexPrefix) ? sortKey : null;
}

/** A write is billed by the size of the whole row, as it was at the end of the run; a transaction's twice. */
function writeUnitsOf({ sortKey, bytes, transaction }: CountedWrite, sizes: ReadonlyMap<string, number>): number {
  return Math.ceil((sizes.get(vertexOf(sortKey) ?? sortKey) ?? bytes) / WRITE_UNIT_BYTES) * (transaction ? 2 : 1);
}

function readsBy(reads: readonly CountedRead[]): Record<string, ReadFigures> {
  const byCaller = Map.groupBy(reads, ({ caller }) => caller);
  const figures = [...byCaller].map(([caller, all]) => {
    const sum = (of: "rows" | "bytes" | "units") => total(all.map((read) => read[of]));
    return [caller, { calls: all.length, rows: sum("rows"), bytes: sum("bytes"), units: sum("units") }] as const;
  });
  return Object.fromEntries(figures);
}

const sizeOf = (row: object): number => Buffer.byteLength(JSON.stringify(row));

function countBy(writes: readonly CountedWrite[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { caller } of writes) counts[caller] = (counts[caller] ?? 0) + 1;
  return counts;
}

const total = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0);
