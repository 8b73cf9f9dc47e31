/** Lines of dbt 1.11 and steps of the fake dbt, for tests. Times are put in by the fake when it prints. */
export const INVOCATION = "11111111-2222-4333-8444-555555555555";

export type Step = Readonly<Record<string, unknown>>;

const event = (name: string, level: string, data: object, msg = ""): Step => ({
  line: {
    info: {
      name,
      level,
      msg,
      invocation_id: INVOCATION,
      code: "X",
      pid: 1,
      thread: "Thread-1",
      category: "",
      extra: {},
    },
    data,
  },
});

const typeOf = (uniqueId: string) => uniqueId.slice(0, uniqueId.indexOf("."));

const nodeInfo = (uniqueId: string, status: string, relation?: string) => ({
  ...(relation === undefined ? {} : { node_relation: { relation_name: relation } }),
  unique_id: uniqueId,
  resource_type: typeOf(uniqueId),
  materialized: typeOf(uniqueId) === "model" ? "table" : typeOf(uniqueId),
  node_name: uniqueId.split(".").at(-1),
  node_status: status,
  node_started_at: "",
  node_finished_at: "",
});

const LINE_OF: Readonly<Record<string, string>> = {
  model: "LogModelResult",
  seed: "LogSeedResult",
  snapshot: "LogSnapshotResult",
  test: "LogTestResult",
  unit_test: "LogTestResult",
};

const BAD = new Set(["error", "fail"]);

export const version = (number = "1.11.16"): Step =>
  event("MainReportVersion", "info", { log_version: 3, version: `=${number}` }, `Running with dbt=${number}`);

export const concurrency = (nodeCount: number): Step =>
  event(
    "ConcurrencyLine",
    "info",
    { num_threads: 4, target_name: "dev", node_count: nodeCount },
    "Concurrency: 4 threads",
  );

export const started = (uniqueId: string): Step =>
  event(
    "LogStartLine",
    "info",
    { description: uniqueId, index: 1, total: 9, node_info: nodeInfo(uniqueId, "started") },
    `START ${uniqueId}`,
  );

export function ended(
  uniqueId: string,
  status = typeOf(uniqueId).endsWith("test") ? "pass" : "success",
  relation?: string,
): Step {
  const data = {
    description: uniqueId,
    status,
    index: 1,
    total: 9,
    execution_time: 0.1,
    num_failures: 0,
    node_info: nodeInfo(uniqueId, status, relation),
  };
  return event(
    LINE_OF[typeOf(uniqueId)] ?? "LogModelResult",
    BAD.has(status) ? "error" : "info",
    data,
    `${status} ${uniqueId}`,
  );
}

export const skipped = (uniqueId: string): Step =>
  event(
    "SkippingDetails",
    "info",
    {
      resource_type: typeOf(uniqueId),
      schema: "main",
      node_name: uniqueId,
      index: 1,
      total: 9,
      node_info: nodeInfo(uniqueId, "skipped"),
    },
    `SKIP ${uniqueId}`,
  );

export const failureText = (uniqueId: string, msg: string): Step =>
  event("RunResultError", "error", { msg, node_info: nodeInfo(uniqueId, "None") }, msg);

export const warningText = (uniqueId: string, msg: string): Step =>
  event("RunResultWarningMessage", "warn", { msg, node_info: nodeInfo(uniqueId, "None") }, msg);

export const nothingSelected = (): Step =>
  event("NothingToDo", "warn", {}, "Nothing to do. Try checking your model configs and model specification args");

/** dbt's closing line. */
export const closing = (): Step =>
  event("StatsLine", "info", { stats: { pass: 1, warn: 0, error: 0, skip: 0, total: 1 } }, "Done.");

/** A node of manifest.json. */
export interface FakeNode {
  readonly id: string;
  readonly parents?: readonly string[];
  readonly config?: object;
  readonly path?: string;
}

export function manifestOf(nodes: readonly FakeNode[], adapterType = "postgres"): object {
  const sections: Record<string, Record<string, object>> = { nodes: {}, sources: {}, exposures: {}, unit_tests: {} };
  for (const node of nodes) {
    const type = typeOf(node.id);
    const section = { exposure: "exposures", source: "sources", unit_test: "unit_tests" }[type] ?? "nodes";
    const name = node.id.split(".").at(-1);
    sections[section]![node.id] = {
      unique_id: node.id,
      resource_type: type,
      name,
      package_name: "shop",
      original_file_path: node.path ?? `models/${name}.sql`,
      fqn: ["shop", name],
      depends_on: { nodes: node.parents ?? [] },
      raw_code: "select 1",
      config: { enabled: true, materialized: type === "model" ? "table" : type, ...node.config },
      checksum: { name: "sha256", checksum: `sum of ${node.id}` },
    };
  }
  return {
    metadata: { dbt_version: "1.11.16", invocation_id: INVOCATION, project_name: "shop", adapter_type: adapterType },
    ...sections,
  };
}

export function runResultsOf(
  results: readonly { id: string; status: string; message?: string; sql?: string }[],
  invocationId = INVOCATION,
): object {
  return {
    metadata: { invocation_id: invocationId, dbt_version: "1.11.16" },
    results: results.map(({ id, status, message, sql }) => ({
      unique_id: id,
      status,
      message: message ?? null,
      failures: null,
      execution_time: 0.1,
      timing: [],
      adapter_response: {},
      compiled_code: sql ?? null,
      relation_name: null,
    })),
  };
}
