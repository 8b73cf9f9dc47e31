import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateSecretCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import type { TestProject } from "vitest/node";
import { stringify } from "yaml";
import { down, status } from "#local/embedded-aws.ts";
import { startPostgres } from "#local/postgres.ts";
import { runCli } from "./cli.ts";
import { ensureDbt2 } from "./dbt2.ts";
import { ensureDbt112 } from "./dbt112.ts";
import { E2E_DBT_PACKAGES } from "./e2e-packages.ts";
import { type EndpointPlace, lacksOf, openEndpoint } from "./endpoint-place.ts";
import { startMessageSink } from "./message-sink.ts";
import { useStack } from "./place.ts";
import { STACKS } from "./stacks.ts";
import { vaultProject } from "./vault.ts";

/** What the end-to-end tests of one file share: an AWS with a deployed stack, a Postgres, a folder. */
export interface Deployed {
  /** Null: the embedded AWS of the state folder. */
  readonly endpoint: EndpointPlace | null;
  readonly stateDir: string;
  readonly configPath: string;
  /** Where DuckDB files of the tests lie. */
  readonly folder: string;
  readonly postgres: Readonly<Record<string, string>>;
  /** What stands for Slack, Teams and others. */
  readonly messagesUrl: string;
}

declare module "vitest" {
  export interface ProvidedContext {
    /** See ownStack. */
    stacks: readonly Deployed[];
  }
}

const root = join(import.meta.dirname, "../..");

/** Small numbers, so that a test waits for the mechanism and not for its default patience. */
const QUICK = {
  retryDelaySeconds: 1,
  holdSeconds: 2,
  heartbeatSeconds: 1,
  lostAfterSeconds: 4,
  orphanGraceSeconds: 1,
  runTimeoutMinutes: 20,
};

/** Brings stacks onto embedded AWSs of their own, or one onto an endpoint, by the commands that a person would use. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const count = project.name === "endpoint" ? 1 : STACKS;
  const begun = await Promise.allSettled(Array.from({ length: count }, () => deployOne(project.name)));
  const stacks = begun.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const teardown = async () => void (await Promise.all(stacks.map((stack) => stack.teardown())));
  const failed = begun.find((one) => one.status === "rejected");
  if (failed !== undefined) {
    await teardown();
    throw failed.reason;
  }
  const deployed = stacks.map((stack) => stack.deployed);
  project.provide("stacks", deployed);
  return teardown;
}

async function deployOne(name: string): Promise<{ deployed: Deployed; teardown: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "stepwatch-e2e-"));
  const endpoint = name === "endpoint" ? await openEndpoint(folder) : null;
  const stateDir = endpoint?.place.stateDir ?? join(folder, "state");
  const postgres = await startPostgres();
  const messages = await startMessageSink();
  const teardown = async () => {
    await (endpoint?.close() ?? down({ stateDir }));
    await messages.close();
    await postgres.stop();
    if (process.env.STEPWATCH_KEEP_E2E !== "1") rmSync(folder, { recursive: true, force: true });
  };
  try {
    const configPath = join(folder, "stepwatch.yaml");
    const config = await configOf(name, folder, postgres.environment, messages.url);
    writeFileSync(configPath, stringify({ ...config, ...endpoint?.place.settings }));
    const { PGPASSWORD: _, ...login } = postgres.environment;
    const deployed: Deployed = {
      endpoint: endpoint?.place ?? null,
      stateDir,
      configPath,
      folder,
      postgres: { ...login, PGPASSWORD: postgres.environment.PGPASSWORD },
      messagesUrl: messages.url,
    };
    const flags = endpoint?.place.deployFlags ?? ["--local"];
    const deploy = await runCli(deployed, ["deploy", ...flags, "--config", configPath]);
    if (deploy.code !== 0) throw new Error(`deploy ended with ${deploy.code}:\n${deploy.stderr}\n${deploy.stdout}`);
    if (endpoint === null) await keepWebhooks(stateDir, messages.url);
    return { deployed: endpoint === null ? deployed : await withAbilities(deployed, endpoint.place), teardown };
  } catch (error) {
    await teardown();
    throw error;
  }
}

/** Says what will not be run there, and why: the tests' own report knows no reasons. */
async function withAbilities(deployed: Deployed, place: EndpointPlace): Promise<Deployed> {
  const { RunMachineArn = "" } = await useStack(deployed);
  const lacks = await lacksOf(place.url, RunMachineArn);
  for (const [ability, why] of Object.entries(lacks)) process.stdout.write(`${place.url} can not ${ability}: ${why}\n`);
  return { ...deployed, endpoint: { ...place, lacks } };
}

async function configOf(
  name: string,
  folder: string,
  postgres: Readonly<Record<string, string>>,
  messagesUrl: string,
): Promise<object> {
  const projects =
    name === "slow"
      ? {
          ...harbourProjects(folder),
          ...behaviourProjects(folder),
          ...dbt2Projects(folder, await ensureDbt2()),
          ...dbt112Projects(folder, await ensureDbt112()),
          ...granaryProjects(folder, postgres),
          orchard: orchardOnPostgres(postgres),
          mill: millProject(folder),
          vault: vaultProject(folder, postgres),
        }
      : shopAndOrchard(folder, postgres);
  const alerts = { slack: { webhookSecret: "webhooks:slack" }, teams: { webhookSecret: "webhooks:teams" } };
  const warehouses = Object.fromEntries(Object.keys(projects).map((project) => [project, "postgres://tests:5432"]));
  const openLineage = { url: `${messagesUrl}/lineage`, namespace: "tests", warehouses };
  const told = name === "endpoint" ? {} : { alerts, ...(name === "slow" && { openLineage }) };
  return { stackName: `stepwatch-${name}`, pollIntervalSeconds: 2, projects, ...told };
}

/** The secret that the stack's alerts name: addresses of the server that stands for the others. */
async function keepWebhooks(stateDir: string, url: string): Promise<void> {
  const { endpoints } = await status({ stateDir });
  if (!endpoints) throw new Error("The embedded AWS of the tests is not up.");
  const { awsEndpointUrl: endpoint, region } = endpoints;
  const secrets = new SecretsManagerClient({
    endpoint,
    region,
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  const SecretString = JSON.stringify({ slack: `${url}/slack`, teams: `${url}/teams` });
  await secrets.send(new CreateSecretCommand({ Name: "webhooks", SecretString }));
}

const dbt = { packages: E2E_DBT_PACKAGES };
const fixture = (name: string) => join(root, "test/fixtures/projects", name);

const orchard = () => ({ projectDir: fixture("orchard"), dbt, policy: QUICK, jobs: { around: AROUND } });

/** Of which the first step after the build fails until somebody has made its table. */
const AROUND = {
  before: ["run-operation note_step --args '{name: begins}'"],
  after: ["run-operation needs_opened", "docs generate"],
};

const orchardOnPostgres = (postgres: Readonly<Record<string, string>>) => ({
  ...orchard(),
  target: "postgres",
  environment: { ...postgres, PGSCHEMA: "orchard" },
});

function shopAndOrchard(folder: string, postgres: Readonly<Record<string, string>>): Record<string, unknown> {
  return {
    jaffle: {
      projectDir: join(root, "examples/jaffle-shop"),
      target: "duckdb",
      dbt,
      policy: QUICK,
      environment: { JAFFLE_DUCKDB: join(folder, "jaffle.duckdb") },
    },
    orchard: orchardOnPostgres(postgres),
    orchard_duck: { ...orchard(), target: "duckdb", environment: { ORCHARD_DUCKDB: join(folder, "orchard.duckdb") } },
  };
}

/** The project whose models leave audit rows, on copies that tests may edit. */
function granaryProjects(folder: string, postgres: Readonly<Record<string, string>>): Record<string, unknown> {
  const granary = (name: string, target: string, environment: Record<string, string>) => {
    const projectDir = join(folder, name);
    cpSync(fixture("granary"), projectDir, { recursive: true });
    return { projectDir, target, dbt, policy: QUICK, environment };
  };
  return {
    granary: granary("granary", "postgres", { ...postgres, PGSCHEMA: "granary" }),
    granary_spot: {
      ...granary("granary_spot", "postgres", { ...postgres, PGSCHEMA: "granary_spot" }),
      producer: { capacity: "spot_then_on_demand" },
    },
    granary_duck: granary("granary_duck", "duckdb", { GRANARY_DUCKDB: join(folder, "granary.duckdb") }),
  };
}

/** For states and the freshness gate, on a copy that tests edit. */
function millProject(folder: string): Record<string, unknown> {
  const projectDir = join(folder, "mill");
  cpSync(fixture("mill"), projectDir, { recursive: true });
  const policy = { ...QUICK, retries: { node: 0, test: 0 } };
  return { projectDir, dbt, policy, environment: { MILL_DUCKDB: join(folder, "mill.duckdb") } };
}

/** The shop under the test behaviours that are not the default. */
function behaviourProjects(folder: string): Record<string, unknown> {
  const shop = (testBehavior: string) => ({
    projectDir: join(root, "examples/jaffle-shop"),
    target: "duckdb",
    dbt,
    // A data test that found rows is tried again where somebody asks for it alone.
    policy: { ...QUICK, testBehavior, retryOn: "all" },
    environment: { JAFFLE_DUCKDB: join(folder, `${testBehavior}.duckdb`) },
  });
  return { after_each: shop("after_each"), after_all: shop("after_all"), no_tests: shop("none") };
}

const BROKEN_NODES = { BREAK: "link_1,eph_visits", BAD_UNIT: "1", WARN_TEST: "1", BAD_BATCH: "2024-03-03" };

/**
 * The same two with dbt 2.0, and one for what is built again. On a copy: dbt 2.0 writes into the project's folder (its
 * internal packages, a line in .gitignore).
 */
function dbt2Projects(folder: string, executable: string): Record<string, unknown> {
  const projectDir = harbourCopy(folder, "harbour2");
  const harbour = (...given: [string, Record<string, string>, Record<string, unknown>?]) => ({
    ...harbourProject(folder, ...given),
    projectDir,
    dbt: { executable },
  });
  return {
    calm2: harbour("calm2", {}),
    nodes2: harbour("nodes2", BROKEN_NODES),
    hurried2: harbour("hurried2", { BREAK: "link_1" }),
    flaky2: harbour("flaky2", { BREAK_FIRST: "link_1" }, { retries: { node: 1, test: 0 }, retryOn: "all" }),
  };
}

/** dbt 1.12: the case project as with 1.11, the shop, and a `.env` that would narrow what is built again. */
function dbt112Projects(folder: string, executable: string): Record<string, unknown> {
  // dbt 1.12 counts: what is installed must be listed.
  const listed = (name: string) => {
    const copy = harbourCopy(folder, name);
    writeFileSync(join(copy, "packages.yml"), "packages: [{local: packages/annex}]\n");
    return copy;
  };
  const projectDir = listed("harbour112");
  const harbour = (...given: [string, Record<string, string>, Record<string, unknown>?]) => ({
    ...harbourProject(folder, ...given),
    projectDir,
    dbt: { executable },
  });
  const withDotEnv = listed("harbour112_dot_env");
  writeFileSync(join(withDotEnv, ".env"), "DBT_RESOURCE_TYPES=test\nDBT_QUIET=1\nDBT_LOG_LEVEL=error\n");
  const shop = { projectDir: join(root, "examples/jaffle-shop"), target: "duckdb", policy: QUICK };
  return {
    shop112: { ...shop, dbt: { executable }, environment: { JAFFLE_DUCKDB: join(folder, "shop112.duckdb") } },
    nodes112: harbour("nodes112", BROKEN_NODES),
    hurried112: harbour("hurried112", { BREAK: "link_1" }),
    dot_env112: {
      ...harbour("dot_env112", { BREAK_FIRST: "link_1" }, { retries: { node: 1, test: 0 }, retryOn: "all" }),
      projectDir: withDotEnv,
      build: { resourceTypes: ["model", "seed", "snapshot"] },
    },
  };
}

/**
 * The case project with one setting of its switches, which are environment variables, and a warehouse of its own. One
 * try each but where retries are what is tested, since each dbt start costs seconds.
 */
const harbourProject = (
  folder: string,
  name: string,
  environment: Record<string, string>,
  policy: Record<string, unknown> = {},
) => ({
  projectDir: fixture("harbour"),
  dbt,
  executionQueue: { maxTasks: 1 },
  policy: { ...QUICK, retries: { node: 0, test: 0 }, producerRetries: 0, ...policy },
  environment: { CASE_DB: join(folder, `${name}.duckdb`), ...environment },
});

function harbourProjects(folder: string): Record<string, unknown> {
  const harbour = (name: string, environment: Record<string, string>, policy?: Record<string, unknown>) =>
    harbourProject(folder, name, environment, policy);
  return {
    calm: harbour("calm", {}),
    nodes: harbour("nodes", BROKEN_NODES),
    tests: harbour("tests", { BAD_DATA: "1", BREAK: "berth_history", BREAK_COMPILE: "facet_top", BAD_BATCH: "all" }),
    retries: harbour(
      "retries",
      { BREAK_COMPILE: "eph_visits", BAD_BATCH: "2024-03-02" },
      { retries: { node: 1, test: 1 } },
    ),
    hook: harbour("hook", { BREAK_START: "1" }),
    nowhere: harbour("nowhere", { CASE_DB: join(folder, "no/such/folder/harbour.duckdb") }),
    unparsable: { ...harbour("unparsable", {}), projectDir: unparsableCopy(folder) },
  };
}

function harbourCopy(folder: string, name: string): string {
  const copy = join(folder, name);
  cpSync(fixture("harbour"), copy, { recursive: true, filter: (path) => !/\/(?:target|logs)$/.test(path) });
  return copy;
}

/** The case project with a model that dbt can not parse. */
function unparsableCopy(folder: string): string {
  const copy = harbourCopy(folder, "unparsable");
  writeFileSync(join(copy, "models/special/broken.sql"), "select {% if %} 1\n");
  return copy;
}
