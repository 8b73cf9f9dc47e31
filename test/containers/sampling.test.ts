import { expect, test } from "vitest";
import { artefactKeys } from "#core/names.ts";
import { benches, KEY } from "./bench.ts";
import { closing, concurrency, ended, manifestOf, started, version } from "./dbt-lines.ts";

const A = "model.shop.a";
const T = "test.shop.unique_a_id.abc";
const RELATION = '"shop"."audit"."unique_a_id"';
const manifest = manifestOf([{ id: A }, { id: T, parents: [A] }]);
const build = (relation?: string) => [
  version(),
  { manifest: true },
  concurrency(2),
  ...[started(A), ended(A), started(T), ended(T, "fail", relation)],
  closing(),
  { exitCode: 1 },
];
const rows = (values: readonly (string | null)[]) =>
  `10:00:00  stepwatch-rows ${JSON.stringify({ id: T, columns: ["id", "name"], rows: [values] })}`;

const newBench = benches();
type Options = Parameters<typeof newBench>[0];
const run = async (script: Options["script"], more: Partial<Options> = {}) => {
  const it = await newBench({ script: { manifest, ...script }, ...more });
  await it.container();
  const kept = it.objects.get(artefactKeys.task(KEY.project, KEY.runId, 1, "failing_rows.json"));
  const compiles = it.noted().filter((note) => note.started === "compile").length;
  return { it, kept, compiles };
};

test("C11: of a failed test that stores what it found some rows are kept, apart from the ledger and the log", async () => {
  const { it, kept, compiles } = await run({ build: build(RELATION), compile: rows(["7", null]) });
  expect(kept).toEqual({ [T]: { columns: ["id", "name"], rows: [["7", null]] } });
  expect(compiles).toBe(1);
  expect(await it.statuses()).toEqual({ [A]: "success", [T]: "fail" });
  expect((await it.task()).end).toMatchObject({ inOrder: true, exitCode: 1 });
  expect(it.lines.join("\n")).not.toContain("stepwatch-rows");
});

test("C11: a test that stores nothing, and failureRows: 0, cost no dbt process", async () => {
  expect(await run({ build: build(), compile: rows(["7"]) })).toMatchObject({ kept: undefined, compiles: 0 });
  const none = await run({ build: build(RELATION), compile: rows(["7"]) }, { policy: { failureRows: 0 } });
  expect(none).toMatchObject({ kept: undefined, compiles: 0 });
});

test("C11: rows that can not be read, or are of another test, leave the build as it ended", async () => {
  const other = rows(["7"]).replace(T, "test.shop.other");
  for (const compile of ["Runtime Error: no such table", other]) {
    const { it, kept } = await run({ build: build(RELATION), compile });
    expect(kept).toBeUndefined();
    expect((await it.task()).end).toMatchObject({ inOrder: true, cause: { kind: "test" } });
  }
});

test("A22: a secret in a row is masked", async () => {
  const secret = "a-long-password-of-somebody";
  const script = { build: build(RELATION), compile: rows([`x ${secret}`, "y"]) };
  const { kept } = await run(script, { env: { DBT_ENV_SECRET_PASSWORD: secret } });
  expect(JSON.stringify(kept)).toContain("*****");
  expect(JSON.stringify(kept)).not.toContain(secret);
});
