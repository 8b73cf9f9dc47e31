import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { readManifest } from "#core/dbt/manifest.ts";
import { agreesWithCount, buildableIds, makePlan } from "#core/run/planning/make-plan.ts";
import { type Plan, planSchema } from "#core/run/planning/plan.ts";

type Node = { id: string; parents?: string[]; config?: object; raw?: string; path?: string; extra?: object };

const SECTION: Readonly<Record<string, string>> = {
  exposure: "exposures",
  unit_test: "unit_tests",
  saved_query: "saved_queries",
  semantic_model: "semantic_models",
  source: "sources",
};

function manifest(nodes: readonly Node[]) {
  const file: Record<string, Record<string, object>> = {
    nodes: {},
    sources: {},
    exposures: {},
    unit_tests: {},
    saved_queries: {},
    semantic_models: {},
  };
  for (const { id, parents = [], config, raw = "select 1", path, extra } of nodes) {
    const [type = "", , ...rest] = id.split(".");
    file[SECTION[type] ?? "nodes"]![id] = {
      unique_id: id,
      resource_type: type,
      name: rest.join("."),
      package_name: "shop",
      original_file_path: path ?? `models/${rest.join(".")}.sql`,
      fqn: ["shop", ...rest],
      depends_on: { nodes: parents },
      raw_code: raw,
      config: { enabled: true, ...(type === "model" ? { materialized: "table" } : {}), ...config },
      ...extra,
    };
  }
  return readManifest(
    JSON.stringify({ metadata: { dbt_version: "1.11.16", project_name: "shop", adapter_type: "postgres" }, ...file }),
  );
}

const plan = (nodes: readonly Node[], selectedIds = nodes.map((node) => node.id)): Plan =>
  makePlan({
    project: "shop",
    runId: "r",
    manifest: manifest(nodes),
    selectedIds,
    source: "ls",
    dbtVersion: "1.11.16",
  });
const vertex = (made: Plan, id: string) => made.vertices.find((found) => found.uniqueId === id);
const safe = (config: object, id = "model.shop.m") => vertex(plan([{ id, config }]), id)?.safeToRepeat;

test("C4: what the selection leaves out is not planned, and gates through it are kept", () => {
  const made = plan(
    [
      { id: "model.shop.a" },
      { id: "model.shop.b", parents: ["model.shop.a"] },
      { id: "model.shop.c", parents: ["model.shop.b"] },
      { id: "test.shop.t", parents: ["model.shop.b"] },
    ],
    ["model.shop.c", "model.shop.a"],
  );
  expect(made.vertices.map((found) => [found.uniqueId, found.gateParents])).toEqual([
    ["model.shop.a", []],
    ["model.shop.c", ["model.shop.a"]],
  ]);
});

test("F10: ephemerals, files without SQL, exposures and saved queries are planned and not built", () => {
  const made = plan([
    { id: "model.shop.eph", config: { materialized: "ephemeral" } },
    { id: "model.shop.hollow", raw: " \n" },
    { id: "exposure.shop.board", parents: ["model.shop.eph"] },
    { id: "saved_query.shop.q" },
    { id: "model.shop.real" },
  ]);
  expect(Object.fromEntries(made.vertices.map((found) => [found.uniqueId, found.builds]))).toEqual({
    "model.shop.eph": false,
    "model.shop.hollow": false,
    "exposure.shop.board": false,
    "saved_query.shop.q": false,
    "model.shop.real": true,
  });
});

test("sources, semantic models and ids without a node are no vertices; unknown ids are told", () => {
  const made = plan(
    [
      { id: "source.shop.raw.t" },
      { id: "semantic_model.shop.s" },
      { id: "model.shop.a", parents: ["source.shop.raw.t"] },
    ],
    ["source.shop.raw.t", "semantic_model.shop.s", "model.shop.a", "model.shop.ghost"],
  );
  expect(made.vertices.map((found) => found.uniqueId)).toEqual(["model.shop.a"]);
  expect(made.warnings).toEqual([expect.stringContaining("model.shop.ghost")]);
});

test("C2: a test over two models is one vertex that counts for both, and gates what hangs on both", () => {
  const made = plan([
    { id: "model.shop.a" },
    { id: "model.shop.b" },
    { id: "test.shop.rel", parents: ["model.shop.a", "model.shop.b"], config: { materialized: "test" } },
    { id: "model.shop.child", parents: ["model.shop.a", "model.shop.b"] },
    { id: "model.shop.only_a", parents: ["model.shop.a"] },
  ]);
  expect(vertex(made, "test.shop.rel")).toMatchObject({
    nodes: ["model.shop.a", "model.shop.b"],
    gateParents: ["model.shop.a", "model.shop.b"],
  });
  expect(vertex(made, "model.shop.child")?.gateParents).toContain("test.shop.rel");
  expect(vertex(made, "model.shop.only_a")?.gateParents).toEqual(["model.shop.a"]);
});

test("B5: a unit test gates its model", () => {
  const made = plan([
    { id: "model.shop.a" },
    { id: "model.shop.m", parents: ["model.shop.a"] },
    { id: "unit_test.shop.m.u", parents: ["model.shop.m"] },
  ]);
  expect(vertex(made, "model.shop.m")?.gateParents).toContain("unit_test.shop.m.u");
  expect(vertex(made, "unit_test.shop.m.u")).toMatchObject({ gateParents: ["model.shop.a"], nodes: ["model.shop.m"] });
});

test.each([
  [{ materialized: "table" }, true],
  [{ materialized: "view" }, true],
  [{ materialized: "incremental" }, false],
  [{ materialized: "incremental", unique_key: "id" }, true],
  [{ materialized: "incremental", unique_key: ["id", "day"], incremental_strategy: "merge" }, true],
  [{ materialized: "incremental", unique_key: "id", incremental_strategy: "delete+insert" }, true],
  [{ materialized: "incremental", incremental_strategy: "merge" }, false],
  [{ materialized: "incremental", unique_key: "id", incremental_strategy: "append" }, false],
  [{ materialized: "incremental", unique_key: "id", incremental_strategy: "insert_overwrite" }, false],
  [{ materialized: "incremental", incremental_strategy: "microbatch" }, true],
  [{ materialized: "own_materialization" }, false],
])("D12: %j is safe to repeat: %s", (config, expected) => {
  expect(safe(config)).toBe(expected);
});

test("D12: seeds, snapshots and tests are safe to repeat", () => {
  expect(["seed.shop.s", "snapshot.shop.h", "test.shop.t"].map((id) => safe({}, id))).toEqual([true, true, true]);
});

test("H5: a bad value of meta.stepwatch is ignored with a warning that names it; the others beside it hold", () => {
  const nodes = [
    { id: "model.shop.a", config: { meta: { stepwatch: { retries: 3, size: "producer" } } } },
    { id: "model.shop.b", config: { meta: { stepwatch: { retries: "many", retryOn: "all" } } } },
    { id: "model.shop.c", config: { meta: { stepwatch: { retires: 3 } } } },
    { id: "model.shop.d", config: { meta: { stepwatch: "fast" } } },
    { id: "model.shop.e", config: { meta: { stepwatch: { onTestFailure: "none", timeoutMinutes: 0 } } } },
  ];
  const made = plan(nodes);
  expect(made.vertices.map((found) => found.overrides)).toEqual([
    { retries: 3, size: "producer" },
    { retryOn: "all" },
    {},
    {},
    {},
  ]);
  expect(made.warnings).toEqual([
    'Ignored: meta of model.shop.b: stepwatch.retries = "many": must be a number.',
    "Ignored: meta of model.shop.c: stepwatch.retires: there is no such setting; did you mean retries?",
    'Ignored: meta of model.shop.d: stepwatch = "fast": must be a mapping (lines of the form key: value).',
    "Ignored: meta of model.shop.e: stepwatch.timeoutMinutes = 0: must be more than 0.",
    "Ignored: meta of model.shop.e: stepwatch.onTestFailure: is for data tests alone.",
  ]);
});

test("H5: what a folder's +meta says wrong of many models is one warning", () => {
  const config = { meta: { stepwatch: { retries: -1 } } };
  const many = Array.from({ length: 40 }, (_, n) => ({ id: `model.shop.m${String(n).padStart(2, "0")}`, config }));
  expect(plan(many).warnings).toEqual([
    "Ignored: meta of model.shop.m00, model.shop.m01, model.shop.m02, …: stepwatch.retries = -1: must be at least 0.",
  ]);
});

test("H5: before anything is built a bad value is refused", () => {
  const node = { id: "model.shop.b", config: { meta: { stepwatch: { retries: "many" } } } };
  const given = {
    project: "shop",
    runId: "r",
    manifest: manifest([node]),
    selectedIds: [node.id],
    source: "ls",
    dbtVersion: "2.0.1",
  } as const;
  expect(() => makePlan({ ...given, beforeBuild: true })).toThrow(
    'Settings in the dbt project refused: meta of model.shop.b: stepwatch.retries = "many": must be a number.',
  );
  expect(() => makePlan({ ...given, selectedIds: [], beforeBuild: true })).not.toThrow();
});

test("H5: dbt hands meta of a folder down to what is in it; a stepwatch of its own replaces the folder's as a whole", () => {
  const recorded = gunzipSync(readFileSync(new URL("../../fixtures/dbt-meta/manifest.json.gz", import.meta.url)));
  const real = readManifest(recorded.toString("utf8"));
  const base = { project: "shop", runId: "r", source: "manifest", dbtVersion: "1.11.16" } as const;
  const made = makePlan({ ...base, manifest: real, selectedIds: buildableIds(real) });
  expect(Object.fromEntries(made.vertices.map((one) => [one.name, one.overrides]))).toEqual({
    m1: { retries: 2, timeoutMinutes: 30 },
    m2: { retries: 5 },
    m3: { retryOn: "all" },
    m4: { size: "producer" },
    s: { size: "producer" },
    unique_m2_id: { onTestFailure: "none" },
    not_null_m2_id: { retries: 3, retryOn: "all" },
  });
  expect(made.warnings).toHaveLength(2);
});

test.each([
  ["postgres", { "post-hook": [{ sql: "grant select", transaction: true }], grants: { select: ["x"] } }, false],
  ["postgres", { "post-hook": [{ sql: "vacuum", transaction: false }] }, true],
  ["snowflake", { "post-hook": [{ sql: "call x()", transaction: true }] }, true],
  ["snowflake", { grants: { select: ["x"] } }, true],
  ["snowflake", { persist_docs: { relation: true } }, true],
  ["snowflake", {}, false],
])("B12: on %s what follows the replacement of a table may fail over it: %j", (adapter, config, expected) => {
  const file = manifest([
    { id: "model.shop.m", config },
    { id: "test.shop.t", config },
  ]);
  const base = { project: "shop", runId: "r", source: "ls", dbtVersion: "1.11.16" } as const;
  const selectedIds = ["model.shop.m", "test.shop.t"];
  const made = makePlan({ ...base, manifest: { ...file, adapterType: adapter }, selectedIds });
  expect(made.vertices.map((one) => one.mayFailAfterReplacing)).toEqual([expected, false]);
});

test("G18: on-run hooks are told in the plan", () => {
  expect(plan([{ id: "operation.shop.on-run-start-0" }, { id: "model.shop.a" }], ["model.shop.a"]).warnings).toEqual([
    expect.stringContaining("1 on-run hook, which runs again"),
  ]);
});

test("B11: a plan knows whether the project has on-run-end hooks", () => {
  const hooked = (...hooks: string[]) =>
    plan([...hooks.map((id) => ({ id })), { id: "model.shop.a" }], ["model.shop.a"]).endHooks;
  expect(hooked("operation.shop.shop-on-run-end-0", "operation.shop.shop-on-run-start-0")).toBe(true);
  expect(hooked("operation.shop.shop-on-run-start-0")).toBe(false);
  expect(hooked()).toBe(false);
});

test("a versioned model is called by name and version", () => {
  expect(
    vertex(plan([{ id: "model.shop.dues.v2", extra: { name: "dues", version: 2 } }]), "model.shop.dues.v2")?.name,
  ).toBe("dues.v2");
});

test("H6: a whole-project plan is checked against dbt's count, however the version counts", () => {
  const nodes: Node[] = [
    { id: "model.shop.a" },
    { id: "model.shop.eph", config: { materialized: "ephemeral" } },
    { id: "model.shop.hollow", raw: "" },
    { id: "unit_test.shop.a.u", parents: ["model.shop.a"] },
    { id: "exposure.shop.e", parents: ["model.shop.a"] },
    { id: "source.shop.raw.t" },
  ];
  const made = plan(nodes, buildableIds(manifest(nodes)));
  expect(made.vertices).toHaveLength(5);
  expect([0, 1, 2, 3, 4, 5].filter((count) => agreesWithCount(made, count))).toEqual([1, 2, 3]);
});

test("the plan is what its contract says, and the same for any order of the selection", () => {
  const nodes: Node[] = [
    { id: "model.shop.a" },
    { id: "seed.shop.b" },
    { id: "test.shop.t", parents: ["model.shop.a"] },
  ];
  const made = plan(nodes);
  expect(planSchema.parse(JSON.parse(JSON.stringify(made)))).toEqual(made);
  expect(plan(nodes, nodes.map((node) => node.id).reverse())).toEqual(made);
});

test("G17: a microbatch model is planned with its batch size, unless the run's options give the window", () => {
  const config = { materialized: "incremental", incremental_strategy: "microbatch", batch_size: "hour" };
  const nodes = [
    { id: "model.shop.m", config },
    { id: "model.shop.unread", config: { ...config, batch_size: "fortnight" } },
    { id: "model.shop.merge", config: { materialized: "incremental", incremental_strategy: "merge" } },
  ];
  const sizes = (made: Plan) => Object.fromEntries(made.vertices.map((one) => [one.name, one.batchSize]));
  expect(sizes(plan(nodes))).toEqual({ m: "hour", unread: "day", merge: undefined });
  const base = { project: "shop", runId: "r", source: "ls", dbtVersion: "1.11.16", windowIsGiven: true } as const;
  const given = makePlan({ ...base, manifest: manifest(nodes), selectedIds: nodes.map((node) => node.id) });
  expect(sizes(given)).toEqual({ m: undefined, unread: undefined, merge: undefined });
});

test("G17: under --full-refresh a microbatch model begins at its begin, unless its own configuration forbids a full refresh", () => {
  const config = { materialized: "incremental", incremental_strategy: "microbatch", batch_size: "hour" };
  const nodes = [
    { id: "model.shop.m", config },
    { id: "model.shop.kept", config: { ...config, full_refresh: false } },
  ];
  const base = { project: "shop", runId: "r", source: "ls", dbtVersion: "1.11.16", fullRefresh: true } as const;
  const made = makePlan({ ...base, manifest: manifest(nodes), selectedIds: nodes.map((node) => node.id) });
  expect(made.vertices.map((one) => [one.name, one.batchSize])).toEqual([
    ["kept", "hour"],
    ["m", undefined],
  ]);
  const keeps = (made: Plan) => made.vertices.map(({ keepsRows }) => keepsRows);
  expect(keeps(made)).toEqual([true, undefined]);
  const given = { ...base, fullRefresh: false, windowIsGiven: true };
  expect(keeps(makePlan({ ...given, manifest: manifest(nodes), selectedIds: nodes.map((node) => node.id) }))).toEqual([
    true,
    undefined,
  ]);
});
