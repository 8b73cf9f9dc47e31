import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { ensureVenv } from "#local/python.ts";
import { E2E_DBT_PACKAGES } from "./e2e-packages.ts";
import type { Deployed } from "./e2e-setup.ts";

const run = promisify(execFile);

/** The dbt environment of the end-to-end tests: its `bin` folder. */
export async function dbtBin(): Promise<string> {
  const venv = await ensureVenv(E2E_DBT_PACKAGES, { label: "the dbt environment of the tests" });
  return venv.bin;
}

const POSTGRES = `import json, os, sys, psycopg2
c = psycopg2.connect(host=os.environ["PGHOST"], port=os.environ["PGPORT"], user=os.environ["PGUSER"], password=os.environ["PGPASSWORD"], dbname=os.environ["PGDATABASE"])
q = c.cursor(); q.execute(sys.argv[1]); print(json.dumps(q.fetchall(), default=str))`;

const STATEMENT = `import json, os, sys, psycopg2
c = psycopg2.connect(host=os.environ["PGHOST"], port=os.environ["PGPORT"], user=os.environ["PGUSER"], password=os.environ["PGPASSWORD"], dbname=os.environ["PGDATABASE"])
c.autocommit = True
q = c.cursor(); q.execute(sys.argv[1]); print(json.dumps(q.fetchall() if q.description else [], default=str))`;

const DUCKDB = `import json, sys, duckdb
print(json.dumps(duckdb.connect(sys.argv[2], read_only=True).execute(sys.argv[1]).fetchall(), default=str))`;

/** Asks the Postgres of the tests, through dbt's own driver. */
export async function askPostgres(deployed: Deployed, sql: string): Promise<unknown[][]> {
  const { stdout } = await run(join(await dbtBin(), "python"), ["-c", POSTGRES, sql], {
    env: { ...process.env, ...deployed.postgres },
  });
  return JSON.parse(stdout) as unknown[][];
}

/** One statement in a session of its own, committed by itself, in a Postgres that a test has started. */
export async function statementOnPostgres(login: Readonly<Record<string, string>>, sql: string): Promise<unknown[][]> {
  const env = { ...process.env, ...login };
  const { stdout } = await run(join(await dbtBin(), "python"), ["-c", STATEMENT, sql], { env });
  return JSON.parse(stdout) as unknown[][];
}

/** Changes a DuckDB file of the tests, and makes it where it is not there; no dbt may be writing it. */
export async function changeDuckdb(path: string, sql: string): Promise<void> {
  const code = "import sys, duckdb; duckdb.connect(sys.argv[2]).execute(sys.argv[1])";
  await run(join(await dbtBin(), "python"), ["-c", code, sql, path]);
}

/** Asks a DuckDB file of the tests; no dbt may be writing it. */
export async function askDuckdb(path: string, sql: string): Promise<unknown[][]> {
  const { stdout } = await run(join(await dbtBin(), "python"), ["-c", DUCKDB, sql, path]);
  return JSON.parse(stdout) as unknown[][];
}
