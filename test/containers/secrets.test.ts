import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { EXIT } from "../../containers/dbt-runner/exit-codes.ts";
import { projectNames } from "../../containers/dbt-runner/project-names.ts";
import { benches } from "./bench.ts";
import { closing, concurrency, ended, failureText, manifestOf, runResultsOf, started, version } from "./dbt-lines.ts";

const A = "model.shop.a";
const T = "test.shop.a_is_there";
const manifest = manifestOf([{ id: A }, { id: T, parents: [A] }]);

const newBench = benches();
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

test.each([{ DBT_ENV_SECRET_X: "1" }, { DBT_ENV_SECRET_X: "node_status" }])(
  "A22: %j is refused before dbt starts, by name and never by value",
  async (env) => {
    const it = await newBench({ script: { build: [version(), closing()], manifest }, env });
    expect(await it.container()).toBe(EXIT.recorded);
    expect(it.noted().some((note) => note.started === "build")).toBe(false);
    const { end } = await it.task();
    expect(end).toMatchObject({
      inOrder: false,
      retryableLaunch: false,
      cause: { kind: "environment", sentence: expect.stringContaining("DBT_ENV_SECRET_X") },
    });
    expect(end!.cause.sentence).not.toContain(`${env.DBT_ENV_SECRET_X} `);
  },
);

test("A22: a secret in the .env that dbt 1.12 reads by itself is refused as well, and by no dbt that does not", async () => {
  const refusedBy = async (release: string) => {
    const script = { version: release, build: [version(release), { manifest: true }, closing()], manifest };
    const it = await newBench({ script });
    writeFileSync(join(it.projectDir, ".env"), 'PLAIN=1\nexport DBT_ENV_SECRET_X="abc" # short\n');
    await it.container();
    return (await it.task()).end?.cause.sentence.includes("DBT_ENV_SECRET_X") === true;
  };
  expect(await refusedBy("1.12.6")).toBe(true);
  expect(await refusedBy("1.11.16")).toBe(false);
});

test("A22: the names of a project are its files, properties, tests and snapshots, and no settings or prose", async () => {
  const folder = mkdtempSync(join(tmpdir(), "names-"));
  folders.push(folder);
  for (const path of ["models/marts", "target", "dbt_packages/annex/models"])
    mkdirSync(join(folder, path), { recursive: true });
  const file = (path: string, text: string) => writeFileSync(join(folder, path), text);
  file("dbt_project.yml", "name: jaffle_shop\nmodels:\n  +schema: analytics\n");
  file("profiles.yml", "x: {password: letmein}");
  file("models/marts/orders.sql", "{% macro cents(x) %}{% endmacro %} select 'literal'");
  file(
    "models/marts/schema.yml",
    "models:\n - name: orders\n   description: prose of it\n   columns: [{name: buyer_id}]\n",
  );
  file("models/snap.sql", "{% snapshot berth_history %}");
  file("dbt_packages/annex/models/tariff.sql", "select 1");
  file("target/left_over.sql", "");
  const names = [...(await projectNames(folder))].join("\n");
  for (const name of ["jaffle_shop", "orders", "buyer_id", "berth_history", "cents", "tariff"])
    expect(names).toContain(name);
  for (const word of ["analytics", "letmein", "literal", "prose", "left_over"]) expect(names).not.toContain(word);
});

test("A22: a secret that dbt does not mask is masked in the ledger, in the end and in all that is logged", async () => {
  const secret = 'pä"ss word';
  const said = (text: string) => `${text}: ${secret} is no role`;
  const build = [
    version(),
    { manifest: true },
    concurrency(2),
    started(A),
    ended(A, "error"),
    failureText(A, said("A")),
  ];
  const runResults = runResultsOf([
    { id: A, status: "error", message: said("A") },
    { id: T, status: "fail", message: said("T") },
  ]);
  const test = [started(T), ended(T, "fail"), { stderr: `${said("stderr")}\n` }, closing(), { runResults: true }];
  const it = await newBench({
    script: { build: [...build, ...test, { exitCode: 1 }], manifest, runResults },
    env: { DBT_ENV_SECRET_PASSWORD: secret },
  });
  await it.container();
  expect((await it.vertex(A))?.message).toContain("***** is no role");
  expect((await it.vertex(T))?.message).toContain("***** is no role");
  const kept = JSON.stringify([await it.vertex(A), await it.vertex(T), await it.task(), it.lines]);
  for (const part of ["pä", "ss word"]) expect(kept).not.toContain(part);
});
