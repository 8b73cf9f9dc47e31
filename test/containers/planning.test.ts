import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { effectiveOptions } from "#core/contracts/run-input.ts";
import { artefactKeys, lockKey } from "#core/names.ts";
import { planSchema } from "#core/run/planning/plan.ts";
import { EXIT } from "../../containers/dbt-runner/exit-codes.ts";
import { choosePlanSource } from "../../containers/dbt-runner/plan-source.ts";
import { runRow } from "../support/ledger-rows.ts";
import { planOf, vertex } from "../support/run-builders.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { type Bench, type BenchOptions, benches, KEY, until } from "./bench.ts";
import { closing, concurrency, ended, manifestOf, type Step, started, version } from "./dbt-lines.ts";

const A = "model.shop.a";
const B = "model.shop.b";
const manifest = manifestOf([{ id: A }, { id: B, parents: [A] }]);
const good = [version(), { manifest: true }, concurrency(2), started(A), ended(A), started(B), ended(B), closing()];

const newBench = benches();
const commands = (it: Bench) =>
  it
    .noted()
    .map((note) => note.started)
    .filter((name) => name !== "--version");

const dir = temporaryFolder("plan-source");
const source = (over: Partial<Parameters<typeof choosePlanSource>[0]> = {}) =>
  choosePlanSource({ options: {}, env: {}, projectDir: dir, dbtVersion: "1.11.16", ...over });

test("H6: dbt is asked for its selection wherever anything selects", async () => {
  expect(await source()).toBe("manifest");
  expect(await source({ options: { select: ["a+"] } })).toBe("ls_beside");
  expect(await source({ options: { exclude: ["b"] } })).toBe("ls_beside");
  expect(await source({ options: { selector: "nightly" } })).toBe("ls_beside");
  expect(await source({ options: { excludeResourceTypes: ["test"] } })).toBe("ls_beside");
  expect(await source({ options: { select: [], threads: 4, fullRefresh: true } })).toBe("manifest");
  expect(await source({ env: { DBT_RESOURCE_TYPES: "model" } })).toBe("ls_beside");
  expect(await source({ env: { DBT_ENGINE_EXCLUDE_RESOURCE_TYPES: "test" } })).toBe("ls_beside");
  expect(await source({ env: { DBT_RESOURCE_TYPES: "", DBT_PROFILES_DIR: "x" } })).toBe("manifest");
  expect(await source({ dbtVersion: "2.0.1" })).toBe("ls_first");
});

test.each([
  ["selectors:\n  - name: nightly\n    default: true\n", "ls_beside"],
  ["selectors:\n  - name: nightly\n    default: \"{{ target.name == 'prod' }}\"\n", "ls_beside"],
  ["selectors:\n  - {name: nightly, default: yes}\n", "ls_beside"],
  ["selectors:\n  - name: nightly\n    default: false\n  # default: true\n", "manifest"],
])("H6: a default selector in selectors.yml counts: %j", async (text, expected) => {
  const projectDir = temporaryFolder("selectors");
  writeFileSync(join(projectDir, "selectors.yml"), text);
  expect(await source({ projectDir })).toBe(expected);
});

test("H6: a manifest that does not agree with dbt's count is not believed: dbt ls is", async () => {
  const it = await newBench({
    script: {
      build: [version(), { manifest: true }, concurrency(1), started(B), ended(B), closing()],
      manifest,
      ls: { ids: [B] },
    },
  });
  await it.container();
  expect(commands(it)).toEqual(["build", "ls"]);
  expect(it.plan()).toMatchObject({ source: "ls", vertices: [{ uniqueId: B }] });
});

test("a manifest that is half written at the first line leads to dbt ls", async () => {
  const build = [version(), { write: ["manifest.json", '{"nodes": {'] }, ...good.slice(2)];
  const it = await newBench({ script: { build, manifest, ls: { ids: [A, B] } } });
  await it.container();
  expect(it.plan()).toMatchObject({ source: "ls", vertices: [{ uniqueId: A }, { uniqueId: B }] });
});

test("with a selection dbt ls runs beside the build, which does not wait for it", async () => {
  const it = await newBench({
    script: { build: good, manifest, ls: { ids: [A, B], waitFor: "ls" } },
    run: { input: { select: ["a+"] } },
  });
  const done = it.container();
  await until(async () => (await it.statuses())[B] === "success", "the last status");
  expect(it.plan()).toBeUndefined();
  it.letGo("ls");
  await done;
  expect(it.plan()).toMatchObject({ source: "ls" });
  const flags = it.noted().find((note) => note.started === "ls")?.argv ?? [];
  expect(flags.join(" ")).toContain("--select a+");
  expect(flags[flags.indexOf("--target-path") + 1]).toMatch(/plan-target$/);
});

test("dbt 2 is asked before the build, since it writes its manifest at the end alone", async () => {
  const it = await newBench({
    script: { version: "2.0.1", build: good, manifest, ls: { ids: [A, B], waitFor: "ls" } },
  });
  const done = it.container();
  await until(() => commands(it).includes("ls"), "dbt ls");
  expect(commands(it)).toEqual(["ls"]);
  it.letGo("ls");
  await done;
  expect(commands(it)).toEqual(["ls", "build"]);
  expect(it.plan()).toMatchObject({ source: "ls" });
});

test("H5: where the plan comes before the build, a bad value of meta.stepwatch ends the run before anything is built", async () => {
  const wrong = manifestOf([
    { id: A, config: { meta: { stepwatch: { retries: "many" } } } },
    { id: B, parents: [A] },
  ]);
  const it = await newBench({
    script: { version: "2.0.1", build: good, manifest: wrong, ls: { ids: [A, B] } },
  });
  await it.container();
  expect(commands(it)).toEqual(["ls"]);
  expect((await it.task()).end).toMatchObject({
    cause: { kind: "parse", sentence: expect.stringContaining('stepwatch.retries = "many": must be a number.') },
    retryableLaunch: false,
  });
  expect((await it.ledger.readRun(KEY))?.planKey).toBeUndefined();
});

test("H5: where dbt builds already, it is a warning of the plan", async () => {
  const wrong = manifestOf([
    { id: A, config: { meta: { stepwatch: { retries: "many" } } } },
    { id: B, parents: [A] },
  ]);
  const it = await newBench({ script: { build: good, manifest: wrong } });
  await it.container();
  expect(it.plan()).toMatchObject({ warnings: [expect.stringContaining("Ignored: meta of model.shop.a")] });
});

test("A23: what a macro prints while dbt lists is no part of the selection", async () => {
  const listed = (id: string, more: object) => JSON.stringify({ unique_id: id, fqn: ["p"], ...more });
  const prints = [
    '{"unique_id": "model.p.ghost", "resource_type": "model"}',
    JSON.stringify({ unique_id: B }),
    listed(B, { resource_type: "model", original_file_path: "elsewhere.sql" }),
    listed(B, { resource_type: "model", original_file_path: "", name: "one key too many" }),
    listed(B, { resource_type: "seed", original_file_path: "" }),
    `[${JSON.stringify({ unique_id: B })}]`,
  ];
  const it = await newBench({ kind: "plan", script: { manifest, ls: { prints, ids: [A] } } });
  expect(await it.container()).toBe(EXIT.recorded);
  expect(it.plan()?.vertices.map((vertex) => vertex.uniqueId)).toEqual([A]);
  expect(it.plan()).toMatchObject({ warnings: [] });
});

test("a plan that can not be made stops no build, and the end says why", async () => {
  const it = await newBench({
    script: { build: good, manifest, ls: { ids: [], exitCode: 2, stderr: "Compilation Error in selector" } },
    run: { input: { select: ["x"] } },
  });
  expect(await it.container()).toBe(EXIT.recorded);
  expect(Object.values(await it.statuses())).toEqual(["success", "success"]);
  expect((await it.task()).end?.cause).toMatchObject({
    kind: "none",
    sentence: expect.stringMatching(/plan could not be made.*Compilation Error in selector/s),
  });
  expect((await it.ledger.readRun(KEY))?.planKey).toBeUndefined();
});

test("a plan task makes the plan and builds nothing", async () => {
  const it = await newBench({ kind: "plan", script: { manifest, ls: { ids: [A, B] } } });
  expect(await it.container()).toBe(EXIT.recorded);
  expect(commands(it)).toEqual(["ls"]);
  expect((await it.task()).toldPlanKey).toBe(artefactKeys.plan(KEY.project, KEY.runId, 1));
  expect((await it.task()).end).toMatchObject({ inOrder: true, cause: { kind: "none" } });
});

test("C8: with test behaviour none neither build nor plan holds tests", async () => {
  const it = await newBench({
    script: { build: good, manifest, ls: { ids: [A, B] } },
    policy: { testBehavior: "none" },
  });
  await it.container();
  for (const note of it.noted().filter((found) => found.started !== "--version")) {
    expect(note.argv?.join(" ")).toMatch(
      /--exclude-resource-type test .*--exclude-resource-type unit_test|--exclude-resource-type test --exclude-resource-type unit_test/,
    );
  }
});

const plan = {
  contract: 1,
  project: KEY.project,
  runId: KEY.runId,
  dbtVersion: "1.11.16",
  adapterType: "postgres",
  dbtProject: "shop",
  source: "ls",
  warnings: [],
  vertices: [A, B].map((uniqueId) => ({
    uniqueId,
    name: uniqueId,
    resourceType: "model",
    materialized: "table",
    builds: true,
    gateParents: [],
    nodes: [],
    fqn: ["shop"],
    packageName: "shop",
    originalFilePath: "x.sql",
  })),
};

test("G10: a build runs on the target that its run has locked, wherever stepwatch.yaml names it", async () => {
  const settings = { ...runRow(KEY).settings, target: "prod", build: { target: "dev" }, defaultTarget: "none" };
  const it = await newBench({ script: { build: good, manifest }, run: { settings } });
  await it.container();
  const locked = lockKey(effectiveOptions(settings, { project: KEY.project }).target, settings.defaultTarget);
  expect(
    it
      .noted()
      .findLast((note) => note.started === "build")
      ?.argv?.join(" "),
  ).toContain(`--target ${locked}`);
});

test("G17: the fallback of a microbatch model gets the window that its set names", async () => {
  const it = await newBench({
    kind: "fallback",
    set: [B],
    script: { build: [version(), concurrency(1), started(B), ended(B), closing()], manifest },
  });
  it.objects.set(`runs/${KEY.project}/${KEY.runId}/plan.json`, plan);
  const eventWindow = { start: "2024-03-01T00:00:00", end: "2024-03-05T00:00:00" };
  it.objects.set("set.json", { uniqueIds: [B], eventWindow });
  expect(await it.container()).toBe(EXIT.recorded);
  expect(
    it
      .noted()
      .findLast((note) => note.started === "build")
      ?.argv?.join(" "),
  ).toContain(`--event-time-start ${eventWindow.start} --event-time-end ${eventWindow.end}`);
});

test.each([
  [{}, "day"],
  [{ eventTimeStart: "2024-03-01", eventTimeEnd: "2024-03-05" }, undefined],
  [{ fullRefresh: true }, undefined],
])("G17: the plan of a run with %j knows whose window has to be pinned", async (input, batchSize) => {
  const tides = manifestOf([{ id: A }]);
  const config = { materialized: "incremental", incremental_strategy: "microbatch", batch_size: "day" };
  const nodes = { [A]: { ...(tides as { nodes: Record<string, object> }).nodes[A], config } };
  const it = await newBench({
    script: {
      build: [version(), { manifest: true }, concurrency(1), started(A), ended(A), closing()],
      manifest: { ...tides, nodes },
    },
    run: { input },
  });
  await it.container();
  const vertices = (it.plan()?.vertices ?? []) as readonly { uniqueId: string; batchSize?: string }[];
  expect(vertices.map((one) => [one.uniqueId, one.batchSize])).toEqual([[A, batchSize]]);
});

/** The argv of a fallback that is given a window, of a model whose batches dbt chooses. */
async function pinned(changes: Partial<BenchOptions>, vertex: object = {}) {
  const build = [version(), concurrency(1), started(B), ended(B), closing()];
  const it = await newBench({ kind: "fallback", set: [B], script: { build, manifest }, ...changes });
  const vertices = plan.vertices.map((one) => ({ ...one, batchSize: "day", ...vertex }));
  it.objects.set(`runs/${KEY.project}/${KEY.runId}/plan.json`, { ...plan, vertices });
  it.objects.set("set.json", {
    uniqueIds: [B],
    eventWindow: { start: "2024-03-01T00:00:00", end: "2024-03-02T00:00:00" },
  });
  await it.container();
  const argv =
    it
      .noted()
      .findLast((note) => note.started === "build")
      ?.argv?.join(" ") ?? null;
  return { it, argv, end: (await it.task()).end };
}

describe("G17: a full refresh and a window never meet in one build", () => {
  const FULL = { DBT_ENGINE_FULL_REFRESH: "yes" };
  test("G17: a window that a set names is left away where the environment asks for a full refresh", async () => {
    const { argv } = await pinned({ env: FULL });
    expect(argv).toContain("--full-refresh");
    expect(argv).not.toContain("--event-time");
  });

  test("G17: unless the model's own full_refresh: false keeps its rows", async () => {
    const { argv } = await pinned({ env: FULL }, { keepsRows: true });
    expect(argv).toContain(
      "--event-time-start 2024-03-01T00:00:00 --event-time-end 2024-03-02T00:00:00 --full-refresh",
    );
  });

  test("G17: the plan of a run whose .env asks for a full refresh pins no window, with the dbt that reads it", async () => {
    const config = { materialized: "incremental", incremental_strategy: "microbatch", batch_size: "day" };
    const tides = manifestOf([{ id: A }]) as { nodes: Record<string, object> };
    const nodes = { [A]: { ...tides.nodes[A], config } };
    const dates = { format: "date" as const, eventTime: "day" as const };
    for (const [known, batchSize] of [
      ["1.12.6", undefined],
      ["1.11.16", undefined],
    ] as const) {
      const build = [version(known), { manifest: true }, concurrency(1), started(A), ended(A), closing()];
      const it = await newBench({
        script: { version: known, build, manifest: { ...tides, nodes } },
        run: { settings: { ...runRow(KEY).settings, dates } },
      });
      writeFileSync(join(it.projectDir, ".env"), "DBT_FULL_REFRESH=1\n");
      await it.container();
      const argv = it
        .noted()
        .findLast((note) => note.started === "build")
        ?.argv?.join(" ");
      expect([argv?.includes("--full-refresh"), argv?.includes("--event-time-start")]).toEqual(
        known === "1.12.6" ? [true, false] : [false, true],
      );
      const vertices = (it.plan()?.vertices ?? []) as readonly { batchSize?: string }[];
      expect(vertices.map((one) => one.batchSize)).toEqual([batchSize]);
    }
  });

  const WINDOW = { eventTimeStart: "2024-03-01", eventTimeEnd: "2024-03-02" };
  test.each([
    [{ env: FULL, run: { input: WINDOW } }, 'eventTimeStart = "2024-03-01": beside a full refresh'],
    [{ row: { fullRefresh: true }, run: { input: WINDOW } }, 'eventTimeStart = "2024-03-01": beside a full refresh'],
    [
      { row: { fullRefresh: true }, env: { DBT_EVENT_TIME_START: "2024-03-01" } },
      `In the container's environment, eventTimeStart = "2024-03-01": beside a full refresh`,
    ],
  ])("G17: %j: nothing is built, and the end says why", async (changes, sentence) => {
    const { argv, end } = await pinned(changes);
    expect(argv).toBeNull();
    expect(end).toMatchObject({ inOrder: false, cause: { kind: "flags" } });
    expect(end!.cause.sentence).toContain(sentence);
  });

  test("G17: a model that is never replaced would miss the window of the run's dates: nothing is built", async () => {
    const dates = { format: "date" as const, eventTime: "day" as const };
    const settings = { ...runRow(KEY).settings, dates };
    const asked = { row: { fullRefresh: true }, run: { settings } };
    const { argv, end } = await pinned(asked, { keepsRows: true, batchSize: undefined });
    expect(argv).toBeNull();
    expect(end!.cause.sentence).toContain(`${B} has full_refresh: false`);
    expect((await pinned(asked, { batchSize: undefined })).argv).toContain("--full-refresh");
  });
});

test("G2: a sample of the environment is one window for all builds", async () => {
  const { argv } = await pinned({ env: { DBT_SAMPLE: "3 days" } });
  expect(argv).toMatch(/--sample \{"start":"\S+","end":"\S+"\}/);
});

test("G4: a recovery build selects its set alone, with no more threads than vertices, and hides selecting variables", async () => {
  const it = await newBench({
    set: [B],
    script: { build: [version(), concurrency(1), started(B), ended(B), closing()], manifest },
    env: { DBT_RESOURCE_TYPES: "model", DBT_ENGINE_FAIL_FAST: "1" },
    run: { input: { select: ["a"], threads: 8, target: "prod" } },
  });
  it.objects.set(`runs/${KEY.project}/${KEY.runId}/plan.json`, plan);
  expect(await it.container()).toBe(EXIT.recorded);
  const note = it.noted().findLast((note) => note.started === "build");
  const argv = note?.argv?.join(" ") ?? "";
  expect(argv).toContain("--threads 1");
  expect(argv).toContain("--target prod");
  expect(argv).toContain("--indirect-selection empty");
  expect(argv).not.toContain("--select a");
  expect(note?.env).toMatchObject({ STEPWATCH_BUILD_KIND: "recovery", STEPWATCH_TASK: "2" });
  expect(Object.keys(note?.env ?? {}).filter((name) => name.startsWith("DBT_"))).toEqual([]);
  expect(await it.statuses()).toEqual({ [B]: "success" });
});

test.each([
  ["1.12.6", ""],
  ["2.0.1", undefined],
])("G4 D7: what a .env would put back is empty for a set's build by dbt %s", async (known, value) => {
  const it = await newBench({
    set: [B],
    script: { version: known, build: [version(), concurrency(1), started(B), ended(B), closing()], manifest },
    env: { DBT_FAIL_FAST: "1" },
  });
  writeFileSync(
    join(it.projectDir, ".env"),
    "DBT_FAIL_FAST=1\nexport DBT_ENGINE_RESOURCE_TYPES='model'\nDBT_TARGET=prod\n",
  );
  it.objects.set(`runs/${KEY.project}/${KEY.runId}/plan.json`, plan);
  expect(await it.container()).toBe(EXIT.recorded);
  const env = it.noted().findLast((note) => note.started === "build")?.env ?? {};
  expect([env.DBT_FAIL_FAST, env.DBT_ENGINE_RESOURCE_TYPES, env.DBT_TARGET]).toEqual([value, value, undefined]);
});

test.each([
  ["1.11.16", { DBT_STATE: "/prod", DBT_DEFER: "1" }, "/prod"],
  ["1.11.16", { DBT_ENGINE_STATE: "/prod", DBT_DEFER: "1" }, "/prod"],
  ["1.11.16", { DBT_STATE: "/old", DBT_DEFER_STATE: "/prod" }, "/prod"],
  ["1.11.16", { DBT_DEFER: "1" }, undefined],
])(
  "G2: dbt %s with %j: a set's build, whose state selects, still defers to the environment's",
  async (known, env, value) => {
    const it = await newBench({
      set: [B],
      script: { version: known, build: [version(), concurrency(1), started(B), ended(B), closing()], manifest },
      env,
    });
    it.objects.set(`runs/${KEY.project}/${KEY.runId}/plan.json`, plan);
    expect(await it.container()).toBe(EXIT.recorded);
    const build = it.noted().findLast((note) => note.started === "build")?.env ?? {};
    expect([build.DBT_DEFER_STATE, build.DBT_STATE, build.DBT_ENGINE_STATE]).toEqual([value, undefined, undefined]);
  },
);

test("H6 D7: a .env that selects counts, also above the project, as dbt 1.12 reads it", async () => {
  const above = temporaryFolder("dot-env");
  const projectDir = join(above, "dbt");
  mkdirSync(projectDir);
  writeFileSync(join(above, ".env"), "# DBT_RESOURCE_TYPES=model\nOTHER=1\n");
  expect(await source({ projectDir })).toBe("manifest");
  writeFileSync(join(above, ".env"), "OTHER=1\n  export DBT_ENGINE_RESOURCE_TYPES = model\n");
  expect(await source({ projectDir })).toBe("ls_beside");
  writeFileSync(join(projectDir, ".env"), "OTHER=1\n");
  expect(await source({ projectDir })).toBe("manifest");
});

test("G1: what a set's build ends as not good beside its set is in its end, since no row says it", async () => {
  const it = await newBench({
    set: [B],
    script: {
      build: [version(), concurrency(2), started(A), ended(A, "error"), started(B), ended(B), closing()],
      manifest,
    },
  });
  it.objects.set(`runs/${KEY.project}/${KEY.runId}/plan.json`, plan);
  expect(await it.container()).toBe(EXIT.recorded);
  expect((await it.task()).end?.strays).toEqual([{ uniqueId: A, status: "error" }]);
});

test("G1: an ephemeral parent that dbt 2 compiles for a set is no stray: it has no table", async () => {
  const asEphemeral = (step: Step) => JSON.parse(JSON.stringify(step).replaceAll("table", "ephemeral")) as Step;
  const lines = [started(A), ended(A, "error")].map(asEphemeral);
  const build = [version("2.0.0"), concurrency(2), ...lines, started(B), ended(B), closing()];
  const it = await newBench({ set: [B], script: { build, manifest } });
  it.objects.set(`runs/${KEY.project}/${KEY.runId}/plan.json`, plan);
  expect(await it.container()).toBe(EXIT.recorded);
  expect((await it.task()).end?.strays).toEqual([]);
});

test("G4: where nobody set a number, one vertex has one thread and two have dbt's own number", async () => {
  for (const set of [[B], [A, B]]) {
    const it = await newBench({ set, script: { build: [version(), closing()], manifest } });
    it.objects.set(`runs/${KEY.project}/${KEY.runId}/plan.json`, plan);
    await it.container();
    const argv = it.noted().findLast((note) => note.started === "build")?.argv ?? [];
    expect(argv.join(" ").includes("--threads 1 ")).toBe(set.length === 1);
    expect(argv.includes("--threads")).toBe(set.length === 1);
  }
});

test("F15: a set that dbt selects nothing of is told as an empty selection", async () => {
  const { nothingSelected } = await import("./dbt-lines.ts");
  const it = await newBench({ set: [B], script: { build: [version(), nothingSelected()] } });
  it.objects.set(`runs/${KEY.project}/${KEY.runId}/plan.json`, planOf([vertex(B)]));
  await it.container();
  expect((await it.task()).end?.cause.kind).toBe("empty_selection");
  expect(it.said("reported is not claimed")).toMatchObject([{ missing: [B] }]);
});

test("a set that can not be read ends the task without dbt, with the object's name", async () => {
  const it = await newBench({ set: [B], script: { build: good } });
  expect(await it.container()).toBe(EXIT.taskUnreadable);
  expect(commands(it)).toEqual([]);
  expect((await it.task()).end?.cause).toMatchObject({
    kind: "environment",
    sentence: expect.stringContaining("plan.json"),
  });
});

test("D13: the project's partial parse is used by a copy, and that of this run is left to the next one", async () => {
  const it = await newBench({ script: { build: [{ write: ["partial_parse.msgpack", "newer"] }, ...good], manifest } });
  mkdirSync(join(it.projectDir, "target"));
  writeFileSync(join(it.projectDir, "target/partial_parse.msgpack"), "older");
  await it.container();
  const { readFileSync, readdirSync } = await import("node:fs");
  expect(readFileSync(join(it.projectDir, "target/partial_parse.msgpack"), "utf8")).toBe("newer");
  expect(readdirSync(join(it.projectDir, "target"))).toEqual(["partial_parse.msgpack"]);
});

test("C7: with test behaviour after_all the build holds no tests, the plan has them, and they gate nothing", async () => {
  const testOfA = "test.shop.not_null_a";
  const withTest = manifestOf([{ id: A }, { id: B, parents: [A] }, { id: testOfA, parents: [A] }]);
  const script = good.map((line) => ("manifest" in line ? { manifest: true } : line));
  const it = await newBench({
    script: { build: script, manifest: withTest, ls: { ids: [A, B, testOfA] } },
    policy: { testBehavior: "after_all" },
  });
  await it.container();
  const argvOf = (name: string) =>
    it
      .noted()
      .find((note) => note.started === name)
      ?.argv?.join(" ");
  expect(argvOf("build")).toMatch(/--exclude-resource-type test --exclude-resource-type unit_test/);
  expect(argvOf("ls")).not.toMatch(/--exclude-resource-type/);
  const plan = planSchema.parse(it.objects.get(`runs/${KEY.project}/${KEY.runId}/tasks/1/plan.json`));
  expect(plan.vertices.find((vertex) => vertex.uniqueId === testOfA)).toMatchObject({
    deferred: true,
    gateParents: [A],
  });
  expect(plan.vertices.filter((vertex) => vertex.gateParents.includes(testOfA))).toEqual([]);
});
