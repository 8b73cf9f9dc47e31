import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { E2E_DBT_PACKAGES } from "./e2e-packages.ts";

/** Secrets that are in no file and no setting: the test plants them in Secrets Manager and SSM of the embedded AWS. */
export const PLANTED = {
  user: "vault",
  password: "planted-Pa55word-a7Xk2Qm9",
  token: "planted-T0ken-z4Rw8Lc1",
  secretName: "vault/warehouse",
  parameterName: "/vault/token",
} as const;

const PROFILE = `vault:
  target: prod
  outputs:
    prod:
      type: postgres
      host: "{{ env_var('PGHOST') }}"
      port: "{{ env_var('PGPORT') | as_number }}"
      user: ${PLANTED.user}
      password: "{{ env_var('WAREHOUSE_PASSWORD') }}"
      dbname: "{{ env_var('PGDATABASE') }}"
      schema: vault
      threads: 2
      application_name: "{{ env_var('DBT_ENV_SECRET_TOKEN') }}"
`;

/**
 * A project that reads both secrets in its profile, and whose warehouse says one of them aloud: in a message of a model
 * that fails.
 */
export function vaultProject(folder: string, postgres: Readonly<Record<string, string>>): Record<string, unknown> {
  const projectDir = join(folder, "vault");
  mkdirSync(join(projectDir, "models"), { recursive: true });
  const write = (file: string, text: string) => writeFileSync(join(projectDir, file), text);
  write("dbt_project.yml", "name: vault\nversion: '1.0'\nprofile: vault\n");
  write("profiles.yml", PROFILE);
  write("models/fine.sql", "select 1 as id\n");
  const cast = "select current_setting('application_name')::int as n from {{ ref('fine') }}";
  write("models/telling.sql", `{{ config(materialized='table') }}\n${cast}\n`);
  const { PGHOST, PGPORT, PGDATABASE } = postgres;
  return {
    projectDir,
    dbt: { packages: E2E_DBT_PACKAGES },
    policy: { retryOn: "all", retryDelaySeconds: 1, heartbeatSeconds: 1, lostAfterSeconds: 4, runTimeoutMinutes: 20 },
    environment: { PGHOST, PGPORT, PGDATABASE },
    secrets: {
      WAREHOUSE_PASSWORD: `${PLANTED.secretName}:password`,
      DBT_ENV_SECRET_TOKEN: PLANTED.parameterName,
    },
  };
}
