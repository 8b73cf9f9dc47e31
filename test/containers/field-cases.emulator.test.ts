import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { DEFAULT_DBT_PACKAGES } from "#core/config.ts";
import { ensureVenv } from "#local/python.ts";
import { EXIT } from "../../containers/dbt-runner/exit-codes.ts";
import { type Bench, type BenchOptions, benches } from "./bench.ts";

const CASES = join(import.meta.dirname, "../fixtures/field-cases");
const JAFFLE_SHOP = join(import.meta.dirname, "../../examples/jaffle-shop");
const PROFILES = "field_cases:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: field.duckdb, threads: 2}\n";

let dbt: string;
const newBench = benches();

beforeAll(async () => {
  dbt = join((await ensureVenv(DEFAULT_DBT_PACKAGES, { label: "the dbt environment" })).bin, "dbt");
});

/** A small project of the field in a container of its own, with the real dbt. */
async function ofCase(project: string, options: Omit<BenchOptions, "script"> = {}): Promise<Bench> {
  const made = await newBench({ script: {}, executable: dbt, ...options });
  const isSource = (path: string) => !/\/(target|logs)(\/|$)|\.duckdb/.test(path);
  cpSync(project, made.projectDir, { recursive: true, filter: isSource });
  if (project !== JAFFLE_SHOP) writeFileSync(join(made.projectDir, "profiles.yml"), PROFILES);
  return made;
}

test("A5: a test that warned says in the ledger what run_results.json says", async () => {
  const it = await ofCase(join(CASES, "warned_test"));
  expect(await it.container()).toBe(EXIT.recorded);
  expect(await it.vertex("test.warned_test.unique_m_n.4cedc776e0")).toMatchObject({
    status: "warn",
    message: "Got 1 result, configured to warn if != 0",
    failures: 1,
  });
});

test("A7 A23: JSON that a macro prints is no selection, and no event of dbt's", async () => {
  const it = await ofCase(join(CASES, "json_prints"), { run: { input: { select: ["fine", "real_failure"] } } });
  expect(await it.container()).toBe(EXIT.recorded);
  const ids = ["fine", "real_failure"].map((name) => `model.json_prints.${name}`);
  expect(it.plan()).toMatchObject({ source: "ls", warnings: [] });
  expect(
    it
      .plan()
      ?.vertices.map((vertex) => vertex.uniqueId)
      .toSorted(),
  ).toEqual(ids);
  expect(await it.statuses()).toEqual({ [ids[0]!]: "success", [ids[1]!]: "error" });
  expect((await it.task()).end).toMatchObject({ inOrder: true, cause: { kind: "node" } });
});

test.each([{ DBT_ENV_SECRET_SCHEMA: "orders" }, { DBT_ENV_SECRET_X: "1" }])(
  "A22: jaffle-shop with %j is refused before dbt starts, by the variable's name",
  async (env) => {
    const it = await ofCase(JAFFLE_SHOP, { env });
    expect(await it.container()).toBe(EXIT.recorded);
    const [variable, value] = Object.entries(env)[0]!;
    const { end } = await it.task();
    expect(end).toMatchObject({ exitCode: null, cause: { kind: "environment" } });
    expect(end!.cause.sentence).toMatch(new RegExp(`^The value of ${variable} (?!.*\\b${value}\\b)`));
    expect(await it.statuses()).toEqual({});
  },
);

test("A22: a secret with quotes and letters beyond ASCII is in no row and no line, though dbt prints it", async () => {
  const secret = `p"ä-${"x".repeat(12)}`;
  const it = await ofCase(join(CASES, "warned_test"), { env: { DBT_ENV_SECRET_TOKEN: secret } });
  writeFileSync(
    join(it.projectDir, "models/leak.sql"),
    `{% if execute %}{{ exceptions.raise_compiler_error("token " ~ env_var("LEAKED")) }}{% endif %}\nselect 1`,
  );
  const leaking = await ofCase(it.projectDir, { env: { DBT_ENV_SECRET_TOKEN: secret, LEAKED: secret } });
  expect(await leaking.container()).toBe(EXIT.recorded);
  const row = await leaking.vertex("model.warned_test.leak");
  expect(row).toMatchObject({ status: "error", message: expect.stringContaining("token *****") });
  const kept = JSON.stringify([row, await leaking.task(), leaking.lines]);
  expect(kept).not.toContain("xxxxxxxxxxxx");
});
