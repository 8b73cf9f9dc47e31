import { once } from "node:events";
import { createWriteStream } from "node:fs";

/** Vertices of the synthetic build: each has a start and an end; what is left of the size are debug lines about them. */
export const LOG_VERTICES = 20_000;

const THREADS = 8;

/** Writes a JSON log of dbt 1.11's shape, of at least `bytes` bytes. Returns the number of lines. */
export async function writeSyntheticLog(path: string, bytes: number): Promise<number> {
  const file = createWriteStream(path);
  const perVertex = Math.ceil(bytes / LOG_VERTICES);
  let lines = 0;
  for (let at = 0; at < LOG_VERTICES; at += 1) {
    const text = vertexLines(at, perVertex);
    lines += text.length;
    if (!file.write(`${text.join("\n")}\n`)) await once(file, "drain");
  }
  file.end();
  await once(file, "finish");
  return lines;
}

function vertexLines(at: number, bytes: number): string[] {
  const node = nodeInfo(at);
  const place = { index: at + 1, total: LOG_VERTICES, node_info: node };
  const lines = [
    line(at, "LogStartLine", "info", { ...place, description: `sql table model dbt_bench.${node.node_name}` }),
  ];
  const result = line(at, "LogModelResult", "info", {
    ...place,
    execution_time: 1.25,
    status: "SELECT 42",
    node_info: { ...node, node_status: "success", node_finished_at: TIME },
  });
  let length = (lines[0]?.length ?? 0) + result.length;
  while (length < bytes) {
    const sql = `select id, parent_rows, slept from "dw"."bench"."${node.node_name}" -- ${"x".repeat(300 + (length % 400))}`;
    const query = line(at, "SQLQuery", "debug", { conn_name: node.unique_id, node_info: node, sql });
    lines.push(query);
    length += query.length;
  }
  return [...lines, result];
}

const TIME = "2026-01-01T00:00:00.000000Z";

function nodeInfo(at: number) {
  const name = `m_${String(at + 1).padStart(5, "0")}`;
  return {
    materialized: "table",
    meta: {},
    node_checksum: "d955d9ce33ebd7891e7d8ebb00c71a25aecba1665bf94289f9399fbe5d72a4f8",
    node_finished_at: "",
    node_name: name,
    node_path: `layer/${name}.sql`,
    node_relation: { alias: name, database: "dw", relation_name: `"dw"."bench"."${name}"`, schema: "bench" },
    node_started_at: TIME,
    node_status: "started",
    resource_type: "model",
    unique_id: `model.bench.${name}`,
  };
}

function line(at: number, name: string, level: string, data: object): string {
  const info = {
    category: "",
    code: "Q011",
    extra: {},
    invocation_id: "4c131c03-54c8-4856-b7d5-3363c7937c75",
    level,
    msg: `${at + 1} of ${LOG_VERTICES} ${name}`,
    name,
    pid: 1896,
    thread: `Thread-${(at % THREADS) + 1}`,
    ts: TIME,
  };
  return JSON.stringify({ data, info });
}
