import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { type LocalPostgres, startPostgres } from "#local/postgres.ts";
import { copyFieldCase } from "../support/field-cases.ts";
import { type RealRunOptions, realRun } from "../support/real-runs.ts";
import { dbtBin, statementOnPostgres } from "../support/warehouse.ts";

let postgres: LocalPostgres;
let bin: string;
let folder: string;

beforeAll(async () => {
  bin = await dbtBin();
  folder = mkdtempSync(join(tmpdir(), "stepwatch-hooks-"));
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (sql: string): Promise<unknown[][]> => statementOnPostgres(postgres.environment, sql);

const start = (copy: ReturnType<typeof copyFieldCase>, more: Partial<RealRunOptions> = {}) =>
  realRun({ projectDir: copy.projectDir, dbt: join(bin, "dbt"), environment: copy.environment, ...more });

const caseOf = (schema: string) =>
  copyFieldCase(folder, "hooks_publish", { as: schema, postgres: postgres.environment });

const kindsOf = (summary: RunSummary) => summary.tasks.map((task) => task.kind);

const isPublished = async (schema: string) =>
  (await ask(`select to_regclass('${schema}.published') is not null`))[0]![0];

test("G30: with hooks: once a hook that publishes when all is well does not while a model is broken; with each a fallback does", async () => {
  const once = await start(caseOf("fc_once"), { policy: { hooks: "once" } }).end;
  expect([once.state, kindsOf(once)]).toEqual(["red", ["producer", "fallback", "fallback", "hooks"]]);
  expect(once.causes.map((cause) => cause.uniqueId)).toEqual(["model.hooks_publish.broken"]);
  expect(await isPublished("fc_once")).toBe(false);
  const each = await start(caseOf("fc_each")).end;
  expect([each.state, await isPublished("fc_each")]).toEqual(["red", true]);
});

test("G30: with hooks: once the last process is told the results of all builds, and publishes once all is well", async () => {
  const copy = caseOf("fc_well");
  writeFileSync(join(copy.projectDir, "models/broken.sql"), "select 1 as n");
  const run = await start(copy, { policy: { hooks: "once" } }).end;
  expect([run.state, kindsOf(run)]).toEqual(["green", ["producer", "fallback", "hooks"]]);
  expect(await isPublished("fc_well")).toBe(true);
});

/** A project whose hooks write down what they are told. */
function witness(schema: string, models: Readonly<Record<string, string>>, hooks: string) {
  const copy = caseOf(schema);
  rmSync(join(copy.projectDir, "models"), { recursive: true });
  mkdirSync(join(copy.projectDir, "models"));
  for (const [name, sql] of Object.entries(models)) writeFileSync(join(copy.projectDir, "models", name), sql);
  writeFileSync(join(copy.projectDir, "macros/witness.sql"), WITNESS);
  writeFileSync(
    join(copy.projectDir, "dbt_project.yml"),
    `name: hooks_publish\nversion: "1.0"\nconfig-version: 2\nprofile: field_cases\n${hooks}\n`,
  );
  return copy;
}

const WITNESS = `{% macro told(results) %}{% if execute %}
  create table if not exists {{ target.schema }}.told (kind text, id text, status text, seconds numeric, rows text, code boolean);
  {% for one in results %}
  insert into {{ target.schema }}.told values ('{{ env_var('STEPWATCH_BUILD_KIND', '') }}', '{{ one.node.name }}', '{{ one.status }}', {{ one.execution_time }}, '{{ one.adapter_response.get('rows_affected', '') }}', {{ (one.node.compiled_code or '') | length > 0 }});
  {% endfor %}
{% endif %}{% endmacro %}
{% macro called(name) %}{% if execute %}create table if not exists {{ target.schema }}.calls (name text, kind text); insert into {{ target.schema }}.calls values ('{{ name }}', '{{ env_var('STEPWATCH_BUILD_KIND', '') }}'){% endif %}{% endmacro %}
{% macro fail_in(kind, name) %}{% if execute and env_var('STEPWATCH_BUILD_KIND', '') == kind %}select 1 / 0{% else %}select 1{% endif %}{% endmacro %}
`;

const FLAKY = `{{ config(materialized='table', pre_hook=[{'sql': "create sequence if not exists " ~ target.schema ~ ".flaky_calls", 'transaction': false}, {'sql': "select nextval('" ~ target.schema ~ ".flaky_calls')", 'transaction': false}]) }}
select 1 / (last_value - 1) as n from {{ target.schema }}.flaky_calls`;

test("G30: merged results have each vertex once as its last build left it, with adapter response and compiled SQL", async () => {
  const models = {
    "flaky.sql": FLAKY,
    "child.sql": "{{ config(materialized='table') }} select * from {{ ref('flaky') }}",
    "calm.sql": "{{ config(materialized='table') }} select 1 as n",
    "doomed.sql": "{{ config(materialized='table') }} select * from {{ ref('broken') }}",
    "broken.sql": "{{ config(materialized='table') }} select missing as n",
    "schema.yml": "models:\n  - name: calm\n    columns:\n      - name: n\n        data_tests: [not_null]\n",
  };
  const hooks = `on-run-start: "{{ called('start') }}"\non-run-end: ["{{ told(results) }}", "{{ called('end') }}"]`;
  const run = await start(witness("fc_told", models, hooks), { policy: { hooks: "once" } }).end;
  expect([run.state, kindsOf(run)]).toEqual(["red", ["producer", "fallback", "recovery", "hooks"]]);
  expect(await ask("select name, kind from fc_told.calls order by 1 desc")).toEqual([
    ["start", "producer"],
    ["end", "hooks"],
  ]);
  const told = await ask("select kind, id, status, rows, code from fc_told.told order by id");
  expect(told).toEqual([
    ["hooks", "broken", "error", "", true],
    ["hooks", "calm", "success", "1", true],
    ["hooks", "child", "success", "1", true],
    ["hooks", "doomed", "skipped", "", false],
    ["hooks", "flaky", "success", "1", true],
    ["hooks", "not_null_calm_n", "pass", "1", true],
  ]);
});

test("G30: where the first build leaves nothing to be built it is the last process too: no task for hooks alone", async () => {
  const hooks = `on-run-start: "{{ called('start') }}"\non-run-end: "{{ called('end') }}"`;
  const run = await start(witness("fc_clean", { "calm.sql": "select 1 as n" }, hooks), { policy: { hooks: "once" } })
    .end;
  expect([run.state, kindsOf(run), run.warnings]).toEqual(["green", ["producer"], []]);
  expect(await ask("select name, kind from fc_clean.calls order by 1 desc")).toEqual([
    ["start", "producer"],
    ["end", "producer"],
  ]);
});

test("G30: a hook that fails in a fallback is repeated alone, and those before it are not run again: green", async () => {
  const hooks = `on-run-end: ["{{ called('first') }}", "{{ fail_in('fallback', 'second') }}", "{{ called('third') }}"]`;
  const run = await start(witness("fc_repeat", { "flaky.sql": FLAKY }, hooks)).end;
  expect([run.state, run.causes, kindsOf(run)]).toEqual(["green", [], ["producer", "fallback", "hooks"]]);
  expect(await ask("select name, kind from fc_repeat.calls order by name, kind")).toEqual([
    ["first", "fallback"],
    ["first", "producer"],
    ["third", "hooks"],
    ["third", "producer"],
  ]);
});

test("G30: a hook that fails alone too is tried as often as a node is, then the run is red by it", async () => {
  const hooks = `on-run-end: "{{ fail_in('hooks', 'publish') }}"`;
  const run = await start(witness("fc_never", { "flaky.sql": FLAKY }, hooks), {
    policy: { hooks: "once", retryOn: "all" },
  }).end;
  expect([run.state, kindsOf(run)]).toEqual(["red", ["producer", "fallback", "hooks", "hooks"]]);
  expect(run.causes.map((cause) => cause.sentence)[0]).toContain("division by zero");
});
