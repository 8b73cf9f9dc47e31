import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { stringify } from "yaml";
import { down } from "#local/embedded-aws.ts";
import { startPostgres } from "#local/postgres.ts";
import { runCli } from "./cli.ts";

/** What the end-to-end tests share: one embedded AWS with one deployed stack, one Postgres, one folder. */
export interface Deployed {
  readonly stateDir: string;
  readonly configPath: string;
  /** Where DuckDB files of the tests lie. */
  readonly folder: string;
  readonly postgres: Readonly<Record<string, string>>;
}

declare module "vitest" {
  export interface ProvidedContext {
    deployed: Deployed;
  }
}

const root = join(import.meta.dirname, "../..");

/** dbt with both adapters that the tests use. */
export const E2E_DBT_PACKAGES = ["dbt-core==1.11.16", "dbt-duckdb==1.11.1", "dbt-postgres==1.11.0"];

/** Small numbers, so that a test waits for the mechanism and not for its default patience. */
const QUICK = {
  retryDelaySeconds: 1,
  holdSeconds: 2,
  heartbeatSeconds: 1,
  lostAfterSeconds: 4,
  orphanGraceSeconds: 1,
  runTimeoutMinutes: 20,
};

/** Brings the stack onto an embedded AWS of its own, by the commands that a person would use. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), "stepwatch-e2e-"));
  const stateDir = join(folder, "state");
  const postgres = await startPostgres();
  const teardown = async () => {
    await down({ stateDir });
    await postgres.stop();
    if (process.env.STEPWATCH_KEEP_E2E !== "1") rmSync(folder, { recursive: true, force: true });
  };
  try {
    const configPath = join(folder, "stepwatch.yaml");
    writeFileSync(configPath, stringify(configOf(folder, postgres.environment)));
    const { PGPASSWORD: _, ...login } = postgres.environment;
    const deployed: Deployed = {
      stateDir,
      configPath,
      folder,
      postgres: { ...login, PGPASSWORD: postgres.environment.PGPASSWORD },
    };
    const deploy = await runCli(deployed, ["deploy", "--local", "--config", configPath]);
    if (deploy.code !== 0) throw new Error(`deploy ended with ${deploy.code}:\n${deploy.stderr}\n${deploy.stdout}`);
    project.provide("deployed", deployed);
    return teardown;
  } catch (error) {
    await teardown();
    throw error;
  }
}

function configOf(folder: string, postgres: Readonly<Record<string, string>>): unknown {
  const dbt = { packages: E2E_DBT_PACKAGES };
  const fixture = (name: string) => join(root, "test/fixtures/projects", name);
  const orchard = { projectDir: fixture("orchard"), dbt, policy: QUICK };
  return {
    stackName: "stepwatch-e2e",
    pollIntervalSeconds: 1,
    projects: {
      jaffle: {
        projectDir: join(root, "examples/jaffle-shop"),
        target: "duckdb",
        dbt,
        policy: QUICK,
        environment: { JAFFLE_DUCKDB: join(folder, "jaffle.duckdb") },
      },
      orchard: { ...orchard, target: "postgres", environment: { ...postgres, PGSCHEMA: "orchard" } },
      orchard_duck: { ...orchard, target: "duckdb", environment: { ORCHARD_DUCKDB: join(folder, "orchard.duckdb") } },
    },
  };
}
