import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { type LocalPostgres, startPostgres } from "#local/postgres.ts";
import type { BenchProject } from "./projects.ts";

const run = promisify(execFile);

/** Runs one statement by the driver that dbt-postgres brings along; prints the rows, if there are any, as JSON. */
const STATEMENT = `
import json, os, sys, psycopg2
connection = psycopg2.connect(host="127.0.0.1", port=os.environ["PGPORT"], user=os.environ["PGUSER"],
                              password=os.environ["PGPASSWORD"], dbname=sys.argv[1])
connection.autocommit = True
cursor = connection.cursor()
cursor.execute(sys.argv[2])
print(json.dumps([[str(value) for value in row] for row in cursor.fetchall()] if cursor.description else []))
`;

/** What the generator's profiles connect to: a Postgres of this machine, and files of DuckDB. */
export interface Warehouse {
  /** What every dbt of the benchmark finds in its environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Drops what an earlier build has left, so that each measured build begins with the same warehouse. */
  empty(project: BenchProject): Promise<void>;
  /** Rows of a statement on the generator's database, as texts. */
  query(sql: string): Promise<string[][]>;
  stop(): Promise<void>;
}

/** A server that has died meanwhile is waited for in vain. */
const STOP_WITHIN_MS = 15_000;

/** @param python of the environment that has dbt-postgres */
export async function startWarehouse(python: string): Promise<Warehouse> {
  const server = await startPostgres();
  const sql = async (database: string, statement: string): Promise<string[][]> => {
    const env = { ...process.env, ...server.environment };
    const { stdout } = await run(python, ["-c", STATEMENT, database, statement], { env });
    return JSON.parse(stdout) as string[][];
  };
  try {
    await makeLogin(server, sql);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    environment: { BENCH_DW_PORT: String(server.port) },
    empty: async ({ adapter, schema, projectDir }) => {
      if (adapter === "postgres") await sql("dw", `drop schema if exists "${schema}" cascade`);
      else rmSync(join(projectDir, "bench.duckdb"), { force: true });
    },
    query: (statement) => sql("dw", statement),
    stop: () => stopped(server),
  };
}

async function stopped(server: LocalPostgres): Promise<void> {
  const patience = new AbortController();
  await Promise.race([server.stop(), wait(STOP_WITHIN_MS, undefined, { signal: patience.signal })]);
  patience.abort();
}

/** The login and database that generate_project.py writes into its profiles. */
async function makeLogin(server: LocalPostgres, sql: (database: string, statement: string) => Promise<unknown>) {
  const { PGDATABASE } = server.environment;
  await sql(PGDATABASE, "create role bench login superuser password 'bench'");
  await sql(PGDATABASE, "create database dw owner bench");
}
