import { randomUUID } from "node:crypto";
import { SCALE_PROJECT } from "./project.ts";
import type { ScriptedWord } from "./scripted-build.ts";

/** Lines of dbt 1.11 at level info, each with its line end and the time at which it is made. */
const INVOCATION = randomUUID();

const nameOf = (uniqueId: string): string => uniqueId.split(".")[2] ?? uniqueId;
const typeOf = (uniqueId: string): string => uniqueId.slice(0, uniqueId.indexOf("."));

function line(name: string, level: "info" | "error", data: object, msg: string): string {
  const info = {
    category: "",
    code: "Q011",
    extra: {},
    invocation_id: INVOCATION,
    level,
    msg,
    name,
    pid: process.pid,
    thread: "Thread-1 (worker)",
    ts: new Date().toISOString().replace("Z", "000Z"),
  };
  return `${JSON.stringify({ data, info })}\n`;
}

function nodeInfo(uniqueId: string, status: string) {
  const [type, name] = [typeOf(uniqueId), nameOf(uniqueId)];
  const relation = type === "model" ? `"dw"."${SCALE_PROJECT}"."${name}"` : "";
  return {
    materialized: type === "model" ? "table" : "test",
    meta: {},
    node_checksum: "d955d9ce33ebd7891e7d8ebb00c71a25aecba1665bf94289f9399fbe5d72a4f8",
    node_finished_at: "",
    node_name: name,
    node_path: `models/${name}.sql`,
    node_relation: { alias: name, database: "dw", relation_name: relation, schema: SCALE_PROJECT },
    node_started_at: "",
    node_status: status,
    resource_type: type,
    unique_id: uniqueId,
  };
}

export const versionLine = (): string =>
  line("MainReportVersion", "info", { log_version: 3, version: "=1.11.16" }, "Running with dbt=1.11.16");

export const concurrencyLine = (threads: number, total: number): string =>
  line(
    "ConcurrencyLine",
    "info",
    { num_threads: threads, target_name: "dev", node_count: total },
    `Concurrency: ${threads} threads (target='dev')`,
  );

export function startLine(uniqueId: string, total: number): string {
  const description = `${typeOf(uniqueId)} ${nameOf(uniqueId)}`;
  const data = { description, index: 1, total, node_info: nodeInfo(uniqueId, "started") };
  return line("LogStartLine", "info", data, `1 of ${total} START ${description}`);
}

export function endLine(uniqueId: string, status: string, total: number): string {
  const isTest = typeOf(uniqueId) === "test";
  const isBad = status === "error" || status === "fail";
  const place = { index: 1, total, execution_time: 1.25, node_info: nodeInfo(uniqueId, status) };
  const told = isTest ? { name: nameOf(uniqueId), num_failures: status === "fail" ? 3 : 0, status } : { status };
  const data = { ...place, description: nameOf(uniqueId), ...told };
  const name = isTest ? "LogTestResult" : "LogModelResult";
  return line(name, isBad ? "error" : "info", data, `1 of ${total} ${status.toUpperCase()} ${nameOf(uniqueId)}`);
}

export function skipLine(uniqueId: string, total: number): string {
  const place = { index: 1, total, schema: SCALE_PROJECT, node_name: nameOf(uniqueId) };
  const data = { ...place, resource_type: typeOf(uniqueId), node_info: nodeInfo(uniqueId, "skipped") };
  return line("SkippingDetails", "info", data, `1 of ${total} SKIP relation ${nameOf(uniqueId)}`);
}

export const messageLine = (uniqueId: string, msg: string): string =>
  line("RunResultError", "error", { msg, node_info: nodeInfo(uniqueId, "None") }, `  ${msg}`);

export function statsLine(words: readonly ScriptedWord[]): string {
  const count = (...of: ScriptedWord["status"][]) => words.filter(({ status }) => of.includes(status)).length;
  const stats = { pass: count("success", "pass"), warn: 0, error: count("error", "fail"), skip: count("skipped") };
  const total = stats.pass + stats.error + stats.skip;
  const said = `Done. PASS=${stats.pass} WARN=0 ERROR=${stats.error} SKIP=${stats.skip} TOTAL=${total}`;
  return line("StatsLine", "info", { stats: { ...stats, total } }, said);
}
