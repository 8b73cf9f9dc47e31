import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** A build as a played dbt prints it: `nodes` models in a row, `tests` of them, and as many lines more of no vertex. */
export interface PlayedBuild {
  readonly name: string;
  readonly nodes: number;
  readonly tests: number;
  readonly otherLines: number;
  /** From the first line to the last. */
  readonly seconds: number;
}

const INVOCATION = "4c131c03-54c8-4856-b7d5-3363c7937c75";
const THREADS = 8;

interface Vertex {
  readonly id: string;
  readonly type: "model" | "test";
  readonly parents: readonly string[];
}

/** Writes what the played dbt needs into a folder; returns the path of its script. */
export function writePlayedBuild(folder: string, build: PlayedBuild): string {
  const vertices = verticesOf(build);
  const path = join(folder, "played.json");
  const linesFile = join(folder, "played.jsonl");
  const lines = linesOf(build, vertices);
  writeFileSync(linesFile, `${lines.join("\n")}\n`);
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifestOf(vertices)));
  writeFileSync(join(folder, "run_results.json"), JSON.stringify(resultsOf(vertices)));
  const script = { folder, linesFile, lines: lines.length, seconds: build.seconds, usageFile: join(folder, "usage") };
  writeFileSync(path, JSON.stringify(script));
  return path;
}

function verticesOf({ nodes, tests }: PlayedBuild): Vertex[] {
  const idOf = (at: number) => `model.bench.m_${String(at + 1).padStart(5, "0")}`;
  return Array.from({ length: nodes }, (_, at): Vertex[] => {
    const node: Vertex = { id: idOf(at), type: "model", parents: at === 0 ? [] : [idOf(at >> 1)] };
    const count = Math.floor((tests * (at + 1)) / nodes) - Math.floor((tests * at) / nodes);
    const ofNode = Array.from({ length: count }, (_, nth): Vertex => {
      const id = `test.bench.accepted_values_m_${at + 1}_id__${nth}.${String(at * 1000 + nth).padStart(10, "0")}`;
      return { id, type: "test", parents: [node.id] };
    });
    return [node, ...ofNode];
  }).flat();
}

/** Each vertex starts, and ends when the next few have started, as under several threads. */
function linesOf({ otherLines }: PlayedBuild, vertices: readonly Vertex[]): string[] {
  const total = vertices.length;
  const own = vertices.flatMap((_, at) => [
    startOf(vertices[at]!, at, total),
    ...(at >= THREADS ? [endOf(vertices[at - THREADS]!, at - THREADS, total)] : []),
  ]);
  const last = Array.from({ length: Math.min(THREADS, total) }, (_, at) => {
    const which = total - Math.min(THREADS, total) + at;
    return endOf(vertices[which]!, which, total);
  });
  const others = Array.from({ length: otherLines }, (_, at) =>
    line("Formatting", "info", { msg: "x".repeat(40 + (at % 60)) }, at),
  );
  const head = [
    line("MainReportVersion", "info", { log_version: 3, version: "=1.11.16" }, 0, "Running with dbt=1.11.16"),
    line("ConcurrencyLine", "info", { num_threads: THREADS, target_name: "dev", node_count: total }, 0, "Concurrency"),
  ];
  const stats = { pass: total, warn: 0, error: 0, skip: 0, total };
  const end = line("StatsLine", "info", { stats }, 0, `Done. PASS=${total}`);
  return [...head, ...spread([...own, ...last], others), end];
}

/** The second list dealt out evenly among the first. */
function spread(lines: readonly string[], others: readonly string[]): string[] {
  const upTo = (at: number) => Math.floor((others.length * at) / lines.length);
  return lines.flatMap((text, at) => [text, ...others.slice(upTo(at), upTo(at + 1))]);
}

const TIME = "2026-01-01T00:00:00.000000Z";

/** A test that stores no failures has none. */
const relationOf = (id: string, type: Vertex["type"]): string | null =>
  type === "test" ? null : `"dw"."bench"."${id.split(".")[2]}"`;

function infoOf({ id, type }: Vertex, status: string) {
  const name = id.split(".")[2] ?? "";
  return {
    materialized: type === "model" ? "table" : "test",
    meta: {},
    node_checksum: type === "test" ? "" : "d955d9ce33ebd7891e7d8ebb00c71a25aecba1665bf94289f9399fbe5d72a4f8",
    node_finished_at: status === "started" ? "" : TIME,
    node_name: name,
    node_path: `layer/${name}.sql`,
    node_relation: { alias: name, database: "dw", relation_name: relationOf(id, type) ?? "", schema: "bench" },
    node_started_at: TIME,
    node_status: status,
    resource_type: type,
    unique_id: id,
  };
}

function startOf(vertex: Vertex, at: number, total: number): string {
  const description = `sql table model bench.${vertex.id.split(".")[2]}`;
  return line(
    "LogStartLine",
    "info",
    { description, index: at + 1, total, node_info: infoOf(vertex, "started") },
    at,
    `${at + 1} of ${total} START ${description}`,
  );
}

function endOf(vertex: Vertex, at: number, total: number): string {
  const isTest = vertex.type === "test";
  const status = isTest ? "pass" : "SELECT 42";
  const place = { index: at + 1, total, execution_time: 1.25, node_info: infoOf(vertex, isTest ? "pass" : "success") };
  const data = isTest ? { ...place, name: vertex.id.split(".")[2], num_failures: 0, status } : { ...place, status };
  return line(isTest ? "LogTestResult" : "LogModelResult", "info", data, at, `${at + 1} of ${total} OK`);
}

function line(name: string, level: string, data: object, at: number, msg = name): string {
  const info = {
    category: "",
    code: "Q011",
    extra: {},
    invocation_id: INVOCATION,
    level,
    msg,
    name,
    pid: 1896,
    thread: `Thread-${(at % THREADS) + 1}`,
    ts: TIME,
  };
  return JSON.stringify({ data, info });
}

/** Some 6 kB an entry, as dbt writes it: columns, docs and configuration that nobody here reads. */
function manifestOf(vertices: readonly Vertex[]): object {
  const nodes = vertices.map(({ id, type, parents }) => {
    const name = id.split(".")[2] ?? "";
    const columns = Object.fromEntries(
      Array.from({ length: 12 }, (_, at) => [
        `c_${at}`,
        { name: `c_${at}`, description: "a column ".repeat(8), meta: {} },
      ]),
    );
    const node = {
      unique_id: id,
      resource_type: type,
      name,
      package_name: "bench",
      original_file_path: `models/${name}.sql`,
      fqn: ["bench", name],
      depends_on: { macros: [], nodes: parents },
      raw_code: "select 1 as id ".repeat(40),
      checksum: { name: "sha256", checksum: "d955d9ce33ebd7891e7d8ebb00c71a25" },
      relation_name: relationOf(id, type),
      config: { enabled: true, materialized: type === "model" ? "table" : "test" },
      columns,
      ...(type === "test" ? { attached_node: parents[0] } : {}),
    };
    return [id, node] as const;
  });
  const metadata = {
    dbt_version: "1.11.16",
    invocation_id: INVOCATION,
    project_name: "bench",
    adapter_type: "postgres",
  };
  return { metadata, nodes: Object.fromEntries(nodes) };
}

function resultsOf(vertices: readonly Vertex[]): object {
  const results = vertices.map(({ id, type }) => ({
    unique_id: id,
    status: type === "test" ? "pass" : "success",
    timing: [{ name: "execute", started_at: TIME, completed_at: TIME }],
    thread_id: "Thread-1",
    execution_time: 1.25,
    adapter_response: { rows_affected: 42 },
    message: type === "test" ? null : "SELECT 42",
    failures: type === "test" ? 0 : null,
    relation_name: relationOf(id, type),
    compiled: true,
    compiled_code: "select 1 as id ".repeat(40),
  }));
  return { metadata: { dbt_version: "1.11.16", invocation_id: INVOCATION }, results, elapsed_time: 1, args: {} };
}
