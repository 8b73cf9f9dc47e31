/** Builders of dbt's stdout lines, in the shapes of the recordings (1.x unless said otherwise). */

export const INVOCATION = "11111111-2222-3333-4444-555555555555";

/** What a line is made of; everything has a default. */
export interface LineParts {
  name: string;
  id?: string;
  nodeStatus?: string;
  status?: string;
  level?: string;
  msg?: string;
  /** Milliseconds after 2026-01-01T00:00:00Z. */
  at?: number;
  data?: Record<string, unknown>;
  node?: Record<string, unknown>;
  invocation?: string;
}

export const START_MS = Date.parse("2026-01-01T00:00:00Z");

const iso = (at: number) => new Date(START_MS + at).toISOString().replace("Z", "000Z");

/** One JSON line. */
export function line(parts: LineParts): string {
  const at = parts.at ?? 0;
  const node =
    parts.id === undefined ? {} : { node_info: nodeOf(parts.id, parts.nodeStatus ?? "None", parts.node ?? {}) };
  return JSON.stringify({
    data: { ...node, ...(parts.status === undefined ? {} : { status: parts.status }), ...parts.data },
    info: {
      name: parts.name,
      level: parts.level ?? "info",
      msg: parts.msg ?? parts.name,
      ts: iso(at),
      thread: "Thread-1 (worker)",
      invocation_id: parts.invocation ?? INVOCATION,
      pid: 1,
      code: "",
      category: "",
      extra: {},
    },
  });
}

function nodeOf(id: string, nodeStatus: string, more: Record<string, unknown>) {
  return {
    unique_id: id,
    resource_type: id.split(".")[0],
    materialized: id.startsWith("model.") ? "table" : "test",
    node_name: id.split(".").at(-1),
    node_status: nodeStatus,
    node_started_at: "",
    node_finished_at: "",
    node_relation: { relation_name: `"db"."main"."${id.split(".").at(-1)}"` },
    ...more,
  };
}

export const version = (is: string) => line({ name: "MainReportVersion", msg: `Running with dbt=${is}` });
export const start = (id: string, at = 0) => line({ name: "LogStartLine", id, nodeStatus: "started", at });
export const result = (id: string, word: string, at = 10, more: Partial<LineParts> = {}) =>
  line({ name: resultName(id), id, nodeStatus: word, status: word === "success" ? "OK" : word, at, ...more });
export const skip = (id: string, at = 10) => line({ name: "SkippingDetails", id, nodeStatus: "skipped", at });
export const finished = (id: string, word: string, at = 11, runResult: Record<string, unknown> = {}) =>
  line({
    name: "NodeFinished",
    level: "debug",
    id,
    nodeStatus: word,
    at,
    data: { run_result: { status: word, ...runResult } },
  });
export const lateError = (id: string, msg: string, at = 90) =>
  line({ name: "RunResultError", level: "error", id, at, msg: `  ${msg}`, data: { msg } });
export const batchStart = (id: string, day: string, index: number, at = 1) =>
  line({
    name: "LogStartBatch",
    id,
    nodeStatus: "started",
    at,
    data: { description: `batch ${day} of main.x`, batch_index: index, total_batches: 4 },
  });
export const batchEnd = (id: string, day: string, index: number, word: string, at = 2) =>
  line({
    name: "LogBatchResult",
    id,
    nodeStatus: word,
    status: "OK",
    at,
    data: { description: `batch ${day} of main.x`, batch_index: index, total_batches: 4 },
  });
/** dbt 2: an error about a vertex, printed just before its end. */
export const generic = (id: string | null, msg: string, at = 9, level = "error") =>
  line({ name: "Generic", level, msg, at, data: id === null ? {} : { node_info: { unique_id: id } } });
export const stats = (at = 100) => line({ name: "StatsLine", at, msg: "Done. PASS=1", data: { stats: {} } });

function resultName(id: string): string {
  if (id.startsWith("seed.")) return "LogSeedResult";
  if (id.startsWith("snapshot.")) return "LogSnapshotResult";
  return id.startsWith("model.") ? "LogModelResult" : "LogTestResult";
}
