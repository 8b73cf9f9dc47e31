import { execFile } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { orphanAnswer, orphanArgv } from "#core/dbt/orphans.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { type LocalPostgres, startPostgres } from "#local/postgres.ts";
import { copyFieldCase, type FieldCase } from "../support/field-cases.ts";
import { type RealRun, type RealRunOptions, realRun } from "../support/real-runs.ts";
import { dbtBin, statementOnPostgres } from "../support/warehouse.ts";
import { until } from "./bench.ts";

const ORCHARD = join(import.meta.dirname, "../fixtures/projects/orchard");
const HOUR_MS = 3_600_000;

let postgres: LocalPostgres;
let bin: string;
let folder: string;

beforeAll(async () => {
  bin = await dbtBin();
  folder = mkdtempSync(join(tmpdir(), "stepwatch-cases-"));
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (sql: string, database: Readonly<Record<string, string>> = {}): Promise<unknown[][]> =>
  statementOnPostgres({ ...postgres.environment, ...database }, sql);

const start = (projectDir: string, environment: Readonly<Record<string, string>>, more: Partial<RealRunOptions> = {}) =>
  realRun({ projectDir, dbt: join(bin, "dbt"), environment: { ...postgres.environment, ...environment }, ...more });

/** Runs of one field case, which share a schema of their own. */
function fieldCase(name: FieldCase, schema: string): (more?: Partial<RealRunOptions>) => RealRun {
  const { projectDir, environment } = copyFieldCase(folder, name, { as: schema, postgres: postgres.environment });
  return (more) => start(projectDir, environment, more);
}

const kindsOf = (summary: RunSummary) => summary.tasks.map((task) => task.kind);
const nodeOf = (summary: RunSummary, name: string) => summary.nodes.find((one) => one.uniqueId.endsWith(`.${name}`))!;

test("G28: an append model whose post-hook failed after the commit is red and not built again: its rows are there once", async () => {
  const start = fieldCase("append_after_commit", "fc_append");
  expect((await start().end).state).toBe("green");
  const second = await start().end;
  expect(second.state).toBe("red");
  expect(kindsOf(second)).toEqual(["producer"]);
  expect(nodeOf(second, "app")).toMatchObject({ class: "failed", tries: 1 });
  expect(nodeOf(second, "app").reason).toContain("may have written: not tried again");
  expect(await ask("select count(*) from fc_append.app")).toEqual([[2]]);
});

test("G27: a microbatch model below a root that recovers after the hour has turned takes the batches of the run's start", async () => {
  const schema = "fc_hours";
  const start = fieldCase("microbatch_below_flaky", schema);
  const first = await start().end;
  expect([first.state, kindsOf(first)]).toEqual(["green", ["producer", "fallback", "recovery"]]);
  await ask(`alter sequence ${schema}.stg_calls restart`);
  // As if begun three hours ago: with a lookback of 1 dbt would have taken that hour and the one before.
  const began = new Date(Date.now() - 3 * HOUR_MS);
  const second = await start({ beganEarlierMs: 3 * HOUR_MS }).end;
  expect([second.state, kindsOf(second)]).toEqual(["green", ["producer", "fallback", "recovery"]]);
  const hour = (ms: number) => new Date(ms).toISOString().slice(0, 13);
  expect(nodeOf(second, "fct_events").batches.map((batch) => batch.name)).toEqual([
    hour(began.getTime() - HOUR_MS),
    hour(began.getTime()),
  ]);
});

test("G27: a model whose table is not there yet still begins at its begin", async () => {
  const run = await fieldCase("microbatch_below_flaky", "fc_first")({ beganEarlierMs: 3 * HOUR_MS }).end;
  expect(run.state).toBe("green");
  const names = nodeOf(run, "fct_events").batches.map((batch) => batch.name);
  expect(names.length).toBeGreaterThan(68);
  expect(
    await ask(
      "select count(distinct at) = count(*), min(at)::date = (now() at time zone 'utc')::date - 3 from fc_first.fct_events",
    ),
  ).toEqual([[true, true]]);
});

test("D12 D4: after a SIGKILL of dbt its orphaned query is ended, and nobody else's; the node is built once more, without its block", async () => {
  const others = ask(
    `/* {"app": "dbt", "dbt_version": "1.11.16", "profile_name": "orchard", "target_name": "dev", "node_id": "model.orchard.apple_juice"} */ select pg_sleep(45)`,
  ).then(
    () => "ended by itself",
    () => "was ended",
  );
  const environment = { PGSCHEMA: "fc_orphans", ORCHARD_TARGET: "postgres" };
  const run = start(ORCHARD, environment, { input: { vars: { slow: { apple_juice: 90 } } } });
  await until(
    async () =>
      (
        await ask(
          "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and state = 'active' and query like '%orchard.apple_juice%pg_sleep(90%'",
        )
      )[0]![0] !== 0,
    "the long query",
    60_000,
  );
  const isGood = async () => (await run.summary()).nodes.filter((one) => one.class === "good").length;
  await until(async () => (await isGood()) === 7, "the end of all that does not wait for it", 60_000);
  const killedAtMs = Date.now();
  process.kill(await run.dbtPid("build"), "SIGKILL");
  const summary = await run.end;
  expect(summary.state).toBe("green");
  expect(run.said("orphaned queries")[0]).toMatchObject({ answer: { ended: 1, left: 0 }, exitCode: 0 });
  expect(kindsOf(summary)).toEqual(["producer", "fallback", "recovery"]);
  expect(nodeOf(summary, "apple_juice")).toMatchObject({ tries: 1, class: "good" });
  expect(Date.now() - killedAtMs).toBeLessThan(85_000);
  expect(await others).toBe("ended by itself");
});

/** One snapshot that takes a minute in a run's first build, and no time in a later one. */
const SLOW_SNAPSHOT = `{% snapshot h %}{{ config(target_schema=target.schema, unique_key='id', strategy='check', check_cols=['v']) }}
select 1 as id, 'a' as v, cast(pg_sleep({{ 60 if env_var('STEPWATCH_BUILD_KIND', '') == 'producer' else 0 }}) as varchar) as slept
{% endsnapshot %}`;

test("G31: a snapshot that was killed in its query is built again once that is gone, and has its row once", async () => {
  const copy = copyFieldCase(folder, "append_after_commit", { as: "fc_snapshot", postgres: postgres.environment });
  rmSync(join(copy.projectDir, "models"), { recursive: true });
  mkdirSync(join(copy.projectDir, "snapshots"));
  writeFileSync(join(copy.projectDir, "snapshots/h.sql"), SLOW_SNAPSHOT);
  const run = start(copy.projectDir, copy.environment);
  const running = "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and query like '%pg_sleep(60)%'";
  await until(async () => (await ask(running))[0]![0] === 1, "the snapshot's query", 60_000);
  process.kill(await run.dbtPid("build"), "SIGKILL");
  const summary = await run.end;
  expect([summary.state, kindsOf(summary)]).toEqual(["green", ["producer", "fallback"]]);
  expect(run.said("orphaned queries")[0]).toMatchObject({ answer: { ended: 1, left: 0 } });
  expect(summary.nodes[0]).toMatchObject({ tries: 1, reason: "Rebuilt after a kill." });
  expect(await ask("select count(*) from fc_snapshot.h")).toEqual([[1]]);
});

test.each([
  ["dbt's own", "", { ended: 0, left: 0 }],
  ["none", 'query-comment: ""', null],
  ["at the end", "query-comment: {append: true}", null],
])("D12: whether a project's queries can be told apart is read from its query comment: %s", async (_, line, answer) => {
  const { projectDir, environment } = copyFieldCase(folder, "append_after_commit", {
    as: `fc_comment_${String(line.length)}`,
    postgres: postgres.environment,
  });
  appendFileSync(join(projectDir, "dbt_project.yml"), `\n${line}\n`);
  const search = { uniqueIds: ["model.append_after_commit.app"], openedBeforeMs: Date.now() };
  const folders = {
    projectDir,
    profilesDir: projectDir,
    targetDir: join(projectDir, "t"),
    logDir: join(projectDir, "l"),
  };
  const { stdout } = await promisify(execFile)(join(bin, "dbt"), orphanArgv("postgres", folders, {}, search)!, {
    env: { ...process.env, ...environment },
  });
  expect(stdout.split("\n").flatMap((one) => orphanAnswer(one) ?? [])).toEqual(answer === null ? [] : [answer]);
});

test("D3 D12: a warehouse that goes away under a build and comes back: what was good stays, the rest is built, green", async () => {
  const elsewhere = { PGDATABASE: "template1" };
  const environment = { PGSCHEMA: "fc_away", ORCHARD_TARGET: "postgres" };
  const run = start(ORCHARD, environment, {
    input: { vars: { slow: { apple_juice: 90, pear_tart: 90 } } },
    policy: { retryDelaySeconds: 5 },
  });
  const running = "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and query like '%pg_sleep(90%'";
  await until(async () => (await ask(running))[0]![0] === 2, "both long queries", 60_000);
  await ask("alter database postgres allow_connections false", elsewhere);
  await ask("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'postgres'", elsewhere);
  await until(async () => (await run.summary()).tasks.length > 1, "a build after the producer", 60_000);
  await ask("alter database postgres allow_connections true", elsewhere);
  const summary = await run.end;
  expect(summary.state, JSON.stringify(summary.causes)).toBe("green");
  const builds = await ask("select name, count(*) from fc_away.builds group by 1 having count(*) > 1");
  expect(builds).toEqual([]);
});
