import { expect, test } from "vitest";
import { artefactKeys } from "#core/names.ts";
import { EXIT } from "../../containers/dbt-runner/exit-codes.ts";
import { StopSwitch } from "../../containers/dbt-runner/stop-switch.ts";
import { ARN, benches, KEY } from "./bench.ts";
import {
  closing,
  concurrency,
  ended,
  failureText,
  manifestOf,
  nothingSelected,
  runResultsOf,
  skipped,
  started,
  version,
  warningText,
} from "./dbt-lines.ts";

const A = "model.shop.a";
const B = "model.shop.b";
const C = "model.shop.c";
const T = "test.shop.a_is_there";
const manifest = manifestOf([{ id: A }, { id: B, parents: [A] }, { id: C, parents: [B] }, { id: T, parents: [A] }]);
const good = [
  version(),
  { manifest: true },
  concurrency(4),
  started(A),
  ended(A),
  started(T),
  ended(T),
  started(B),
  ended(B),
  started(C),
  ended(C),
  closing(),
];

const newBench = benches();

test("a build in order: statuses, plan, artefacts and end are in the ledger", async () => {
  const it = await newBench({
    script: {
      build: [...good, { runResults: true }],
      manifest,
      runResults: runResultsOf([{ id: A, status: "success", sql: "select 1" }]),
    },
  });
  expect(await it.container()).toBe(EXIT.recorded);
  expect(await it.statuses()).toEqual({ [A]: "success", [B]: "success", [C]: "success", [T]: "pass" });
  const task = await it.task();
  expect(task).toMatchObject({
    state: "over",
    fencedBy: ARN,
    sequence: it.writes.length,
    end: { inOrder: true, exitCode: 0, cause: { kind: "none" } },
  });
  expect(it.plan()).toMatchObject({ source: "manifest", dbtVersion: "1.11.16", adapterType: "postgres" });
  expect((await it.task()).toldPlanKey).toBe(artefactKeys.plan(KEY.project, KEY.runId, 1));
  expect([...it.objects.keys()].filter((key) => key.includes("/tasks/1/")).map((key) => key.split("/").at(-1))).toEqual(
    expect.arrayContaining(["run_results.json", "manifest.json", "compiled.json"]),
  );
  expect(it.noted().map((note) => note.started)).toEqual(["--version", "build"]);
});

test("G18: dbt is told of run, task, kind and time, and keeps the container's own environment", async () => {
  const it = await newBench({ script: { build: good, manifest }, env: { DBT_OWN_THING: "kept" } });
  await it.container();
  expect(it.noted().at(-1)?.env).toMatchObject({
    STEPWATCH_RUN_ID: KEY.runId,
    STEPWATCH_TASK: "1",
    STEPWATCH_BUILD_KIND: "producer",
    STEPWATCH_STARTED_AT: expect.stringMatching(/^20\d\d-.*Z$/),
    DBT_OWN_THING: "kept",
  });
});

test("D2: of two containers of one task one builds; the loser never starts dbt and says why", async () => {
  const it = await newBench({ script: { build: good, manifest } });
  const codes = await Promise.all([it.container(ARN), it.container(`${ARN}-second`, new StopSwitch())]);
  expect(codes.toSorted()).toEqual([EXIT.recorded, EXIT.fenceLost]);
  expect(it.noted().filter((note) => note.started === "build")).toHaveLength(1);
  expect(it.said("fence refused")).toMatchObject([{ task: 1, sentence: expect.stringContaining("Another container") }]);
  expect((await it.task()).end?.inOrder).toBe(true);
});

test("D2: a container that is started after the task is over does not start dbt", async () => {
  const it = await newBench({ script: { build: good, manifest } });
  await it.container();
  expect(await it.container(ARN, new StopSwitch())).toBe(EXIT.fenceLost);
  expect(it.noted().filter((note) => note.started === "build")).toHaveLength(1);
});

test("A6: garbage, empty lines, a half line at the end, invalid UTF-8 and a line of 20 MB change nothing", async () => {
  const garbage = [
    { text: 'not json\n\n{"half": \n' },
    { base64: Buffer.from([0xff, 0xfe, 0x0a]).toString("base64") },
    { text: `{"x":"${"y".repeat(20_000_000)}"}\n` },
  ];
  const it = await newBench({
    script: {
      build: [...good.slice(0, 5), ...garbage, ...good.slice(5), { text: '{"info": {"name": "LogModelRes' }],
      manifest,
    },
  });
  expect(await it.container()).toBe(EXIT.recorded);
  expect(await it.statuses()).toEqual({ [A]: "success", [B]: "success", [C]: "success", [T]: "pass" });
  expect(it.lines).toContain("not json");
  expect(it.lines).toContain("\ufffd\ufffd");
  expect(it.lines.at(-1)).not.toContain("undefined");
  expect(it.lines).toContain('{"info": {"name": "LogModelRes');
  expect(Math.max(...it.lines.map((line) => line.length))).toBeLessThan(201_000);
  expect(it.said("a line was too long to be kept")).toHaveLength(1);
});

test("A11: at the default level there is no NodeFinished, and statuses are complete", async () => {
  const it = await newBench({ script: { build: good, manifest } });
  await it.container();
  expect(it.lines.join("\n")).not.toContain("NodeFinished");
  expect(Object.values(await it.statuses())).toEqual(["success", "success", "success", "pass"]);
});

test("A20: format, level and quiet are forced on the command line, whatever the environment says", async () => {
  const it = await newBench({
    script: { build: good, manifest },
    env: { DBT_QUIET: "1", DBT_LOG_LEVEL: "error", DBT_LOG_FORMAT: "text" },
  });
  await it.container();
  const argv = it.noted().at(-1)?.argv?.join(" ");
  expect(argv).toContain("--log-format json");
  expect(argv).toContain("--log-level info");
  expect(argv).toContain("--no-quiet");
});

test("A13: a dbt before 1.8 is told before anything is built", async () => {
  const it = await newBench({ script: { version: "1.7.19", build: good, manifest } });
  expect(await it.container()).toBe(EXIT.recorded);
  expect(it.noted().map((note) => note.started)).toEqual(["--version"]);
  expect((await it.task()).end).toMatchObject({
    inOrder: false,
    cause: { kind: "unsupported_dbt", sentence: expect.stringContaining("1.7.19") },
  });
});

test("A13: a dbt that hides its age until its first line is killed before a node starts", async () => {
  const build = [version("1.7.19"), { sleepMs: 60_000 }, started(A), ended(A), closing()];
  const it = await newBench({ script: { version: "unknown", build, manifest } });
  expect(await it.container()).toBe(EXIT.recorded);
  expect((await it.task()).end).toMatchObject({ inOrder: false, cause: { kind: "unsupported_dbt" } });
  expect(await it.statuses()).toEqual({});
});

test("A17: run_results.json of another invocation is ignored", async () => {
  const build = [
    version(),
    { manifest: true },
    concurrency(4),
    started(A),
    ended(A),
    started(B),
    { runResults: true },
    { kill: "SIGKILL" },
  ];
  const stale = runResultsOf(
    [
      { id: B, status: "success" },
      { id: C, status: "success" },
    ],
    "00000000-0000-4000-8000-000000000000",
  );
  const it = await newBench({ script: { build, manifest, runResults: stale } });
  await it.container();
  expect(await it.statuses()).toEqual({ [A]: "success", [B]: "cancelled" });
  expect((await it.task()).end).toMatchObject({ filled: [], inOrder: false, cause: { kind: "killed" } });
});

test("D4: a dbt that the kernel killed for memory is told apart from any other kill", async () => {
  let kills = 3;
  const build = [version(), { manifest: true }, concurrency(4), started(A), ended(A), started(B), { kill: "SIGKILL" }];
  const it = await newBench({ script: { build, manifest }, memoryKills: async () => kills++ });
  await it.container();
  expect((await it.task()).end).toMatchObject({ signal: "SIGKILL", cause: { kind: "out_of_memory" } });
  expect(await it.statuses()).toEqual({ [A]: "success", [B]: "cancelled" });
});

test("C10: an empty selection is told as such", async () => {
  const it = await newBench({
    script: { build: [version(), nothingSelected()], ls: { ids: [] }, manifest },
    run: { input: { select: ["typo"] } },
  });
  await it.container();
  expect((await it.task()).end?.cause).toMatchObject({ kind: "empty_selection" });
  expect(it.plan()?.vertices).toEqual([]);
});

test("D13: each task has target and log folders of its own, below the work folder", async () => {
  const it = await newBench({ script: { build: good, manifest } });
  await it.container();
  const argv = it.noted().at(-1)?.argv ?? [];
  const folder = (flag: string) => argv[argv.indexOf(flag) + 1];
  expect(folder("--target-path")).toBe(`${it.dir}/work/${KEY.runId}/1/target`);
  expect(folder("--log-path")).toBe(`${it.dir}/work/${KEY.runId}/1/logs`);
  expect(it.noted().at(-1)?.cwd).toBe(it.projectDir);
});

test("C3: a result that is printed twice is written once, and none of fifty at once is lost", async () => {
  const tests = Array.from({ length: 50 }, (_, n) => `test.shop.number_${n}`);
  const all = manifestOf([{ id: A }, ...tests.map((id) => ({ id, parents: [A] }))]);
  const build = [
    version(),
    { manifest: true },
    concurrency(51),
    started(A),
    ended(A),
    ...tests.map(started),
    ...tests.flatMap((id) => [ended(id), ended(id)]),
    closing(),
  ];
  const it = await newBench({ script: { build, manifest: all } });
  await it.container();
  const statuses = await it.statuses();
  expect(tests.filter((id) => statuses[id] !== "pass")).toEqual([]);
  const ends = (id: string) => it.writes.filter((write) => write.uniqueId === id && write.status === "pass");
  for (const id of tests) expect(ends(id)).toHaveLength(1);
});

test("D1: a failed build is recorded with exit code, cause and dbt's message, which comes at its end", async () => {
  const build = [
    version(),
    { manifest: true },
    concurrency(4),
    started(A),
    ended(A, "error"),
    skipped(T),
    skipped(B),
    skipped(C),
    failureText(A, "relation does not exist"),
    closing(),
    { exitCode: 1 },
  ];
  const it = await newBench({ script: { build, manifest } });
  await it.container();
  expect(await it.vertex(A)).toMatchObject({
    status: "error",
    message: expect.stringContaining("relation does not exist"),
    tryTasks: [1],
  });
  expect(await it.vertex(B)).toMatchObject({ status: "skipped", evidence: false, tryTasks: [] });
  expect((await it.task()).end).toMatchObject({ inOrder: true, exitCode: 1, cause: { kind: "node" } });
});

test("A5: what a warning says comes after the test's end, and is in the ledger", async () => {
  const warning = "Got 1 result, configured to warn if != 0";
  const build = [version(), { manifest: true }, concurrency(2), started(A), ended(A), started(T), ended(T, "warn")];
  const it = await newBench({ script: { build: [...build, warningText(T, warning), closing()], manifest } });
  await it.container();
  expect(await it.vertex(T)).toMatchObject({ status: "warn", message: warning });
});

test("C11: where dbt 2 would keep a test's failures is taken back once run_results.json says that it kept none", async () => {
  const fails = ended(T, "fail", "db.audit.t");
  const build = [version("2.0.0"), { manifest: true }, started(A), ended(A), started(T), fails, closing()];
  const results = runResultsOf([{ id: T, status: "fail" }]);
  const script = { build: [...build, { runResults: true }, { exitCode: 1 }], manifest, runResults: results };
  const it = await newBench({ script });
  await it.container();
  expect(await it.vertex(T)).toMatchObject({ status: "fail" });
  expect((await it.vertex(T))?.relation).toBeUndefined();
});

test("B8: a build that may fail fast and has no failure did not: its silence on a vertex counts", async () => {
  const it = await newBench({ script: { build: good, manifest }, run: { input: { failFast: true } } });
  await it.container();
  expect((await it.task()).end).toMatchObject({ inOrder: true, failFast: false });
  const failing = [...good.slice(0, 4), ended(A, "error"), closing(), { exitCode: 1 }];
  const other = await newBench({ script: { build: failing, manifest }, run: { input: { failFast: true } } });
  await other.container();
  expect((await other.task()).end).toMatchObject({ failFast: true });
});

test("an executable that is not there is the environment's fault, and said so", async () => {
  const it = await newBench({ script: {}, executable: "/nowhere/dbt" });
  expect(await it.container()).toBe(EXIT.recorded);
  expect((await it.task()).end?.cause).toMatchObject({
    kind: "environment",
    sentence: expect.stringContaining("ENOENT"),
  });
});

test("D7: an argument that would blind the reader ends the task before dbt starts", async () => {
  const it = await newBench({ script: { build: good, manifest }, run: { input: { extraArgs: ["--quiet"] } } });
  expect(await it.container()).toBe(EXIT.recorded);
  expect((await it.task()).end?.cause).toMatchObject({ kind: "flags", sentence: expect.stringContaining("--quiet") });
  expect(it.noted().map((note) => note.started)).toEqual(["--version"]);
});

test("a task that the ledger does not have is not built, and the exit code says so", async () => {
  const it = await newBench({ script: { build: good, manifest }, rowsOf: 7 });
  expect(await it.container()).toBe(EXIT.taskUnreadable);
  expect(it.noted()).toEqual([]);
});

test("D3, D4: a dbt that printed nothing and has run models is told as outcome unknown, and is not launched again", async () => {
  const run = (name: string) => ({ write: [`run/${name}`, "create table"] });
  const of = (...build: object[]) => newBench({ script: { build: build as never } });
  const it = await of(run("m0.sql"), run("m1.py"), run("dbt_project.yml"), { kill: "SIGKILL" });
  await it.container();
  const end = (await it.task()).end!;
  expect(end).toMatchObject({ inOrder: false, retryableLaunch: false, ranUnseen: 2, cause: { kind: "killed" } });
  expect(end.cause.sentence).toContain("Outcome unknown: dbt printed nothing of any node and has run 2 models");
  const idle = await of({ kill: "SIGKILL" });
  await idle.container();
  expect((await idle.task()).end).toMatchObject({ retryableLaunch: true, ranUnseen: 0 });
});
