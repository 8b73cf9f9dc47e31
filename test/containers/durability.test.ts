import { expect, test } from "vitest";
import { isTerminal } from "#core/dbt/status.ts";
import { EXIT } from "../../containers/dbt-runner/exit-codes.ts";
import { type Bench, benches, refusal, until } from "./bench.ts";
import { closing, concurrency, ended, manifestOf, runResultsOf, type Step, started, version } from "./dbt-lines.ts";

const ids = (count: number) => Array.from({ length: count }, (_, n) => `model.shop.m${n}`);
const testsOf = (count: number) => Array.from({ length: count }, (_, n) => `test.shop.t${n}`);

const newBench = benches();

/** Models and tests one after the other, each printed with these steps between start and end. */
function buildOf(models: readonly string[], tests: readonly string[], between: (id: string) => Step[] = () => []) {
  const all = [...models, ...tests];
  const steps = all.flatMap((id) => [started(id), ...between(id), ended(id)]);
  return {
    manifest: manifestOf(all.map((id) => ({ id }))),
    build: [version(), { manifest: true }, concurrency(all.length), ...steps, closing()],
  };
}

test("E1: each terminal status is in the ledger before dbt has said anything more", async () => {
  const all = [...ids(4), ...testsOf(2)];
  const steps = all.flatMap((id) => [started(id), ended(id), { waitFor: id }]);
  const it = await newBench({
    script: {
      manifest: manifestOf(all.map((id) => ({ id }))),
      build: [version(), { manifest: true }, concurrency(all.length), ...steps, closing()],
    },
  });
  const done = it.container();
  for (const id of all) {
    await until(
      async () => isTerminal((await it.vertex(id))?.status ?? ""),
      `the end of ${id}, while dbt stands still`,
    );
    it.letGo(id);
  }
  expect(await done).toBe(EXIT.recorded);
});

test("E2: in flush mode nothing is written before the end", async () => {
  const { manifest, build } = buildOf(ids(3), []);
  const it = await newBench({
    script: { manifest, build: [...build, { waitFor: "end" }] },
    policy: { backup: "end" },
  });
  const done = it.container();
  await until(() => it.lines.some((line) => line.includes("StatsLine")), "dbt's closing line");
  expect(it.writes).toEqual([]);
  it.letGo("end");
  await done;
  expect(Object.values(await it.statuses())).toEqual(["success", "success", "success"]);
  expect((await it.task()).sequence).toBe(3);
});

test("E2, G28: in flush mode what a second build could double is written at once: a kill must not take it away", async () => {
  const of = (id: string, materialized: string, step: Step): Step => {
    const { line } = step as { line: { data: { node_info: object } } };
    const data = { ...line.data, node_info: { ...line.data.node_info, unique_id: id, materialized } };
    return { line: { ...line, data } };
  };
  const [table, append, own] = ids(3) as [string, string, string];
  const steps = [
    started(table),
    ended(table),
    of(append, "incremental", started(append)),
    of(append, "incremental", ended(append)),
    of(own, "insert_by_period", started(own)),
  ];
  const manifest = manifestOf(ids(3).map((id) => ({ id })));
  const it = await newBench({
    script: { manifest, build: [version(), { manifest: true }, concurrency(3), ...steps, { waitFor: "end" }] },
    policy: { backup: "end" },
  });
  const done = it.container();
  await until(async () => Object.keys(await it.statuses()).length === 2, "both words");
  expect(await it.statuses()).toEqual({ [append]: "success", [own]: "started" });
  it.letGo("end");
  await done;
});

test("E2: in flush mode a SIGTERM flushes", async () => {
  const { manifest, build } = buildOf(ids(3), []);
  const it = await newBench({
    script: { manifest, build: [...build.slice(0, -2), { sleepMs: 60_000 }], sigint: [{ exitCode: 2 }] },
    policy: { backup: "end" },
  });
  const done = it.container();
  await until(() => it.lines.filter((line) => line.includes("LogStartLine")).length === 3, "the third start");
  expect(it.writes).toEqual([]);
  it.stop.ask("terminated", "SIGTERM");
  await done;
  expect(Object.values(await it.statuses())).toEqual(["success", "success", "cancelled"]);
});

test("E3: writes are linear: at most 2 a test and 5 a node, also where every test takes its time", async () => {
  const [models, tests] = [ids(20), testsOf(20)];
  const { manifest, build } = buildOf(models, tests, () => [{ sleepMs: 20 }]);
  const runResults = runResultsOf(
    [...models, ...tests].map((id) => ({
      id,
      status: id.startsWith("test") ? "pass" : "success",
      message: "CREATE TABLE (5 rows)",
    })),
  );
  const it = await newBench({ script: { manifest, build: [...build, { runResults: true }], runResults } });
  await it.container();
  const count = (id: string) => it.writes.filter((write) => write.uniqueId === id).length;
  expect(Math.max(...models.map(count))).toBeLessThanOrEqual(2);
  expect(Math.max(...tests.map(count))).toBeLessThanOrEqual(2);
  const bytes = it.writes.reduce((sum, write) => sum + JSON.stringify(write).length, 0);
  expect(bytes).toBeLessThan((models.length + tests.length) * 1_000);
});

test("D5: a ledger that refuses most writes for a while costs the build nothing, and no status is lost", async () => {
  const models = ids(60);
  const { manifest, build } = buildOf(models, [], () => [{ sleepMs: 5 }]);
  let calls = 0;
  const hasClosed = () => it.lines.some((line) => line.includes("StatsLine"));
  const it: Bench = await newBench({
    script: { manifest, build },
    // Also for as long as dbt prints, however long that takes: the build ends without the ledger.
    onWrite: () => {
      calls += 1;
      if ((calls < 100 || !hasClosed()) && calls % 4 !== 0) throw refusal();
    },
  });
  expect(await it.container()).toBe(EXIT.recorded);
  const statuses = await it.statuses();
  expect(models.filter((id) => statuses[id] !== "success")).toEqual([]);
  const recorded = it.said("recorded")[0]!;
  expect(recorded.repeated).toBeGreaterThan(20);
  expect(recorded.lost).toBe(0);
});

test("D5: a ledger that answers nothing at all does not hold back dbt's lines", async () => {
  const { manifest, build } = buildOf(ids(30), []);
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const it = await newBench({ script: { manifest, build }, onWrite: () => gate });
  const done = it.container();
  await until(() => it.lines.some((line) => line.includes("StatsLine")), "dbt's closing line");
  expect(it.writes).toEqual([]);
  expect((await it.task()).end).toBeUndefined();
  release();
  expect(await done).toBe(EXIT.recorded);
  expect(Object.keys(await it.statuses())).toHaveLength(30);
});

test("F12: the end is recorded after the last status", async () => {
  const { manifest, build } = buildOf(ids(10), []);
  const endSeenAt: (string | undefined)[] = [];
  const it = await newBench({
    script: { manifest, build },
    onWrite: async () => void endSeenAt.push((await it.task()).state),
  });
  await it.container();
  expect(new Set(endSeenAt)).toEqual(new Set(["running"]));
  expect((await it.task()).sequence).toBe(it.writes.length);
});

test("a bucket that refuses uploads does not hold up the end", async () => {
  const { manifest, build } = buildOf(ids(2), []);
  const it = await newBench({
    script: { manifest, build },
    onPut: (key) => {
      if (key.includes("/tasks/")) throw new Error("AccessDenied");
    },
  });
  expect(await it.container()).toBe(EXIT.recorded);
  expect(it.said("an artefact could not be uploaded").length).toBeGreaterThan(0);
  expect((await it.task()).end?.inOrder).toBe(true);
});
