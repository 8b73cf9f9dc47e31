import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { type LocalPostgres, startPostgres } from "#local/postgres.ts";
import { realRun } from "../support/real-runs.ts";
import { dbtBin } from "../support/warehouse.ts";
import { until } from "./bench.ts";

let bin: string;
let folder: string;

beforeAll(async () => {
  bin = await dbtBin();
  folder = mkdtempSync(join(tmpdir(), "stepwatch-outage-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const kindsOf = (summary: RunSummary) => summary.tasks.map((task) => task.kind);

const SQL = `import json, os, sys, psycopg2
c = psycopg2.connect(host=os.environ["PGHOST"], port=os.environ["PGPORT"], user=os.environ["PGUSER"], password=os.environ["PGPASSWORD"], dbname=sys.argv[2])
c.autocommit = True
q = c.cursor(); q.execute(sys.argv[1]); print(json.dumps(q.fetchall() if q.description else [], default=str))`;

async function ask(postgres: LocalPostgres, sql: string, database = "postgres"): Promise<unknown[][]> {
  const env = { ...process.env, ...postgres.environment };
  const { stdout } = await promisify(execFile)(join(bin, "python"), ["-c", SQL, sql, database], { env });
  return JSON.parse(stdout) as unknown[][];
}

/** Sixty models of a second each, and ten that need the first of them. */
function sixtyModels(): string {
  const projectDir = join(folder, "sixty");
  mkdirSync(join(projectDir, "models"), { recursive: true });
  const env = (name: string) => `{{ env_var('${name}') }}`;
  const database = {
    host: env("PGHOST"),
    port: "{{ env_var('PGPORT') | int }}",
    user: env("PGUSER"),
    dbname: "postgres",
  };
  const output = { type: "postgres", ...database, password: env("PGPASSWORD"), schema: "sixty", threads: 8 };
  writeFileSync(join(projectDir, "dbt_project.yml"), stringify({ name: "sixty", version: "1.0", profile: "sixty" }));
  writeFileSync(join(projectDir, "profiles.yml"), stringify({ sixty: { target: "t", outputs: { t: output } } }));
  const model = (name: string, sql: string) =>
    writeFileSync(join(projectDir, "models", `${name}.sql`), `{{ config(materialized='table') }}\n${sql}\n`);
  for (let n = 0; n < 60; n++) model(`m${n}`, "select 1 as n, pg_sleep(1)::text as slept");
  for (let n = 0; n < 10; n++) model(`below_${n}`, `select n from {{ ref('m${n * 6}') }}`);
  return projectDir;
}

test("G26: sixty models, a warehouse that is away while they are built: one recovery build for all that was lost", async () => {
  const postgres = await startPostgres();
  try {
    const run = realRun({
      projectDir: sixtyModels(),
      environment: postgres.environment,
      dbt: join(bin, "dbt"),
      policy: { retryDelaySeconds: 10 },
    });
    const good = async () => (await run.summary()).nodes.filter((node) => node.class === "good").length;
    await until(async () => (await good()) >= 5, "five models", 90_000);
    await ask(postgres, "alter database postgres allow_connections false", "template1");
    await ask(
      postgres,
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'postgres'",
      "template1",
    );
    await until(async () => (await run.summary()).tasks[0]?.state === "over", "the producer's end", 120_000);
    await ask(postgres, "alter database postgres allow_connections true", "template1");
    const summary = await run.end;
    expect(summary.state, JSON.stringify(summary.causes)).toBe("green");
    expect(kindsOf(summary)).toEqual(["producer", "recovery"]);
    expect(summary.tasks[1]?.reason).toContain("of a lost connection");
    expect(summary.nodes.every((node) => node.tries <= 2)).toBe(true);
  } finally {
    await postgres.stop();
  }
});
