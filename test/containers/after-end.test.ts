import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { artefactKeys } from "#core/names.ts";
import { EXIT } from "../../containers/dbt-runner/exit-codes.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { type BenchOptions, benches, KEY, until } from "./bench.ts";
import { closing, concurrency, ended, manifestOf, runResultsOf, started, version } from "./dbt-lines.ts";

const A = "model.shop.a";
const T = "test.shop.unique_a_id.abc";
const RELATION = '"shop"."audit"."unique_a_id"';
const manifest = manifestOf([{ id: A }, { id: T, parents: [A] }]);
const script: BenchOptions["script"] = {
  manifest,
  build: [
    version(),
    { manifest: true },
    concurrency(2),
    ...[started(A), ended(A), started(T), ended(T, "fail", RELATION)],
    { runResults: true },
    closing(),
    { exitCode: 1 },
  ],
  runResults: runResultsOf([{ id: A, status: "success", sql: "select 1" }]),
  compile: `10:00:00  stepwatch-rows ${JSON.stringify({ id: T, columns: ["id"], rows: [["7"]] })}`,
};
const keyOf = (name: string) => artefactKeys.task(KEY.project, KEY.runId, 1, name);

const newBench = benches();

/** A bench whose bucket takes no object of the task until it is let go. */
async function withSlowBucket(options: Partial<BenchOptions> = {}, isSlow = (key: string) => key.includes("/tasks/")) {
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const it = await newBench({ script, ...options, onPut: (key) => (isSlow(key) ? gate : undefined) });
  return { it, open };
}

const isFileOfDbt = (key: string) => /\/(?:compiled|run_results|manifest)\.json$|\/dbt\.log$/.test(key);

test("F12: the end is recorded before dbt's files go up, and the container lives on for them", async () => {
  const { it, open } = await withSlowBucket({}, isFileOfDbt);
  const ends = it.container();
  await until(async () => (await it.task()).state === "over", "the recorded end, while the bucket takes no file");
  expect(await it.statuses()).toEqual({ [A]: "success", [T]: "fail" });
  expect(it.objects.has(keyOf("manifest.json"))).toBe(false);
  open();
  expect(await ends).toBe(EXIT.recorded);
  for (const name of ["run_results.json", "manifest.json", "compiled.json"])
    expect(it.objects.has(keyOf(name))).toBe(true);
});

test("F12: a container that has recorded its end beats no more, and takes the closed task for no lost fence", async () => {
  const { it, open } = await withSlowBucket({ policy: { heartbeatSeconds: 0.5 } }, isFileOfDbt);
  const ends = it.container();
  await until(async () => (await it.task()).state === "over", "the recorded end");
  const { heartbeatAtMs } = await it.task();
  // Longer than two beats: one that came would be refused, and be taken for another container's fence.
  await new Promise((resolve) => setTimeout(resolve, 1_300));
  expect((await it.task()).heartbeatAtMs).toBe(heartbeatAtMs);
  expect(it.stop.request).toBeNull();
  open();
  expect(await ends).toBe(EXIT.recorded);
});

test("F12: a stop by ECS while files go up ends the container within its stop timeout, and the end stays recorded", async () => {
  const { it } = await withSlowBucket({ stopTimeoutSeconds: 2 }, isFileOfDbt);
  const ends = it.container();
  await until(async () => (await it.task()).state === "over", "the recorded end");
  const toldAtMs = Date.now();
  it.stop.ask("terminated", "SIGTERM");
  expect(await ends).toBe(EXIT.recorded);
  expect(Date.now() - toldAtMs).toBeLessThan(2_000);
  expect(it.said("artefacts are given up: no time is left")).toHaveLength(1);
  expect((await it.task()).end).toMatchObject({ inOrder: true, cause: { kind: "test" } });
});

test("C11: sampled rows are in the bucket before the end: the next build may replace them, or need the warehouse alone", async () => {
  const { it, open } = await withSlowBucket({}, (key) => key === keyOf("failing_rows.json"));
  const ends = it.container();
  await until(async () => (await it.statuses())[T] === "fail", "the last status");
  await until(() => it.noted().some((note) => note.started === "compile"), "the dbt that reads rows");
  expect((await it.task()).state).toBe("running");
  open();
  expect(await ends).toBe(EXIT.recorded);
  expect(it.objects.has(keyOf("failing_rows.json"))).toBe(true);
});

/** The scripted dbt, which tells the runner that it has changed its hooks as it was asked to. */
function dbtThatHoldsHooks(): string {
  const path = join(temporaryFolder("dbt"), "dbt");
  const holds = '[ -z "$STEPWATCH_ASKED" ] || touch "$STEPWATCH_ASKED/changed"';
  writeFileSync(
    path,
    `#!/bin/sh\n${holds}\nexec node "${join(import.meta.dirname, "../support/fake-dbt.mjs")}" "$@"\n`,
  );
  chmodSync(path, 0o755);
  return path;
}

test("G30: under hooks: once dbt's results are in the bucket before the end, since the hooks read them", async () => {
  const putWhile: Record<string, string> = {};
  const it = await newBench({
    script: { ...script, build: [...script.build!.slice(0, 6), ended(T), { runResults: true }, closing()] },
    policy: { hooks: "once" },
    executable: dbtThatHoldsHooks(),
    onPut: async (key) => {
      putWhile[key] = (await it.task()).state;
    },
  });
  expect(await it.container()).toBe(EXIT.recorded);
  expect(putWhile).toMatchObject({ [keyOf("run_results.json")]: "running", [keyOf("manifest.json")]: "over" });
});

test("D8: a failed vertex names its compiled SQL in the write of its end: no write of its own", async () => {
  const it = await newBench({ script });
  await it.container();
  expect(it.writes.filter(({ uniqueId, status }) => uniqueId === T && status === "fail")).toHaveLength(1);
  expect((await it.vertex(T))?.compiledKey).toBe(keyOf("compiled.json"));
  expect((await it.vertex(A))?.compiledKey).toBeUndefined();
  expect(Object.keys(it.objects.get(keyOf("compiled.json")) as object)).toContain(A);
});
