import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";

/** Small projects of faults that people who run dbt in production met: each stands for a whole kind of fault. */
export type FieldCase =
  | "append_after_commit"
  | "folders_named_like_output"
  | "hooks_publish"
  | "json_prints"
  | "long_ids"
  | "microbatch_below_flaky"
  | "unit_tests_of_a_dead_model"
  | "warned_test";

/** The cases whose SQL is Postgres' own; the others are built on DuckDB. */
const ON_POSTGRES: readonly FieldCase[] = ["append_after_commit", "hooks_publish", "microbatch_below_flaky"];

const FIXTURES = join(import.meta.dirname, "../fixtures/field-cases");

const env = (name: string) => `{{ env_var('${name}') }}`;

const OUTPUTS = {
  duckdb: { type: "duckdb", path: env("FIELD_CASES_DB"), schema: "main", threads: 4 },
  postgres: {
    type: "postgres",
    host: env("PGHOST"),
    port: "{{ env_var('PGPORT') | int }}",
    user: env("PGUSER"),
    password: env("PGPASSWORD"),
    dbname: env("PGDATABASE"),
    schema: env("FIELD_CASES_SCHEMA"),
    threads: 4,
  },
};

/** A copy of a case that a real dbt builds, and the variables its `field_cases` profile asks for. */
export interface FieldCaseCopy {
  readonly projectDir: string;
  readonly target: "duckdb" | "postgres";
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * A runnable copy of a case below a folder: `profiles.yml` in the project, a DuckDB file beside it or, with the
 * variables of a running Postgres (`PGHOST` …), a schema of the case's name there.
 */
export function copyFieldCase(
  folder: string,
  name: FieldCase,
  options: { as?: string; postgres?: Readonly<Record<string, string>> } = {},
): FieldCaseCopy {
  const called = options.as ?? name;
  const projectDir = join(folder, called);
  cpSync(join(FIXTURES, name), projectDir, { recursive: true });
  const target = ON_POSTGRES.includes(name) ? "postgres" : "duckdb";
  writeFileSync(
    join(projectDir, "profiles.yml"),
    stringify({ field_cases: { target, outputs: { [target]: OUTPUTS[target] } } }),
  );
  if (target === "duckdb") return { projectDir, target, environment: { FIELD_CASES_DB: `${projectDir}.duckdb` } };
  if (options.postgres === undefined) throw new Error(`The field case ${name} needs a Postgres.`);
  return { projectDir, target, environment: { ...options.postgres, FIELD_CASES_SCHEMA: called } };
}
