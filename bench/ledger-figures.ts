import { NODE_TYPES, TEST_TYPES } from "#core/dbt/resource-types.ts";
import { keys } from "#core/names.ts";
import type { CountedWrite } from "./ledger-proxy.ts";
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
  /** How long the emulator took for a write, proxy included. Milliseconds. */
  readonly writeMsP95: number | null;
}

const WRITE_UNIT_BYTES = 1024;
const READ_UNIT_BYTES = 4096;

export function ledgerFigures({ traffic, plan, run, tasks, vertices }: MeasuredRun): LedgerFigures {
  const types = new Map(plan.vertices.map((vertex) => [keys.vertex(vertex.uniqueId), vertex.resourceType]));
  const ofTypes = (wanted: ReadonlySet<string>) =>
    traffic.writes.filter((write) => wanted.has(types.get(write.sortKey) ?? "")).length;
  const count = (wanted: ReadonlySet<string>) =>
    plan.vertices.filter((vertex) => vertex.builds && wanted.has(vertex.resourceType)).length;
  const per = (wanted: ReadonlySet<string>) => (count(wanted) === 0 ? null : ofTypes(wanted) / count(wanted));
  const vertexWrites = traffic.writes.filter((write) => write.sortKey.startsWith(keys.vertexPrefix));
  const taskWrites = traffic.writes.filter((write) => write.sortKey.startsWith(keys.taskPrefix));
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
    readUnits: total(traffic.reads.map(({ rows, bytes }) => Math.max(rows, Math.ceil(bytes / READ_UNIT_BYTES)))),
    writeMsP95: percentile(
      traffic.writes.map((write) => write.tookMs),
      0.95,
    ),
  };
}

/** A write is billed by the size of the whole row, as it was at the end of the run; a transaction's twice. */
function writeUnitsOf({ sortKey, bytes, transaction }: CountedWrite, sizes: ReadonlyMap<string, number>): number {
  return Math.ceil((sizes.get(sortKey) ?? bytes) / WRITE_UNIT_BYTES) * (transaction ? 2 : 1);
}

const sizeOf = (row: object): number => Buffer.byteLength(JSON.stringify(row));

function countBy(writes: readonly CountedWrite[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { caller } of writes) counts[caller] = (counts[caller] ?? 0) + 1;
  return counts;
}

const total = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0);
