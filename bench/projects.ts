import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

const GENERATOR = join(import.meta.dirname, "generate_project.py");

export type Adapter = "postgres" | "duckdb";

/** One generated dbt project, by the arguments that generate_project.py gets. */
export interface BenchProject {
  /** Also the project's name in stepwatch.yaml and its schema in the warehouse. */
  readonly name: string;
  readonly schema: string;
  readonly adapter: Adapter;
  readonly models: number;
  readonly projectDir: string;
  readonly generatorArguments: readonly string[];
  /** One data test on each model, beside what the generator makes. */
  readonly withTests: boolean;
}

const FOLDER = "projects";

function benchProject(
  folder: string,
  name: string,
  adapter: Adapter,
  models: number,
  generatorArguments: readonly string[],
  withTests = false,
): BenchProject {
  const projectDir = join(folder, FOLDER, name);
  return { name, schema: name, adapter, models, projectDir, generatorArguments, withTests };
}

/** The peer was measured on these: layered, pg_sleep with the generator's own means, 8 threads. */
export const layered = (folder: string, models: number, adapter: Adapter): BenchProject =>
  benchProject(folder, `${adapter}_${models}`, adapter, models, ["--shape", "layered", "--n", String(models)]);

/** The layered project with a data test on every model: the generator's own have none. */
export const layeredWithTests = (folder: string, models: number): BenchProject =>
  benchProject(
    folder,
    `postgres_${models}_tested`,
    "postgres",
    models,
    ["--shape", "layered", "--n", String(models)],
    true,
  );

/** Run first and not measured: the functions' code is loaded and compiled then. On AWS that is a cold start a function. */
export const warmUp = (folder: string): BenchProject =>
  benchProject(folder, "warm_up", "duckdb", 4, ["--shape", "layered", "--n", "4"]);

export const CHAIN_MODELS = 12;

/** A chain whose model at `failAtDepth` fails once; null: none does. */
export function chain(folder: string, failAtDepth: number | null): BenchProject {
  const flaky = failAtDepth === null ? [] : ["--fail-once", String(failAtDepth)];
  const name = failAtDepth === null ? "chain" : `chain_flaky_${failAtDepth}`;
  const shape = ["--shape", "chain", "--n", String(CHAIN_MODELS), "--audit"];
  return benchProject(folder, name, "postgres", CHAIN_MODELS, [...shape, ...flaky]);
}

/** Writes the project anew; the same arguments give the same files. */
export async function generate(project: BenchProject, python: string): Promise<void> {
  const { projectDir, adapter, schema, generatorArguments } = project;
  rmSync(projectDir, { recursive: true, force: true });
  mkdirSync(projectDir, { recursive: true });
  const where = ["--out", projectDir, "--adapter", adapter, "--schema", schema];
  await run(python, [GENERATOR, ...where, ...generatorArguments]);
  if (project.withTests) writeTests(project);
}

function writeTests({ projectDir, models }: BenchProject): void {
  const names = Array.from({ length: models }, (_, at) => `m_${String(at + 1).padStart(4, "0")}`);
  const tested = names.map((name) => ({ name, columns: [{ name: "id", data_tests: ["not_null"] }] }));
  writeFileSync(join(projectDir, "models", "tests.yml"), JSON.stringify({ version: 2, models: tested }, null, 1));
}

/** dbt and both adapters, as pip names them. */
export const DBT_PACKAGES = ["dbt-core==1.11.16", "dbt-duckdb==1.11.1", "dbt-postgres==1.11.0"];

/** What a benchmark may set of the deployed stack; everything else has its default. */
export interface StackSettings {
  readonly pollIntervalSeconds: number;
  readonly heartbeatSeconds: number;
}

/** A stepwatch.yaml for all of these projects. Returns its path. */
export function writeConfig(
  folder: string,
  projects: readonly BenchProject[],
  { pollIntervalSeconds, heartbeatSeconds }: StackSettings,
): string {
  const path = join(folder, "stepwatch.yaml");
  const entries = projects.map(({ name, projectDir, adapter }) => [
    name,
    {
      projectDir,
      dbt: { packages: DBT_PACKAGES },
      policy: { runTimeoutMinutes: 60, heartbeatSeconds },
      ...(adapter === "duckdb" && { executionQueue: { maxTasks: 1 } }),
    },
  ]);
  mkdirSync(folder, { recursive: true });
  // JSON is YAML.
  const config = { stackName: "stepwatch-bench", pollIntervalSeconds, projects: Object.fromEntries(entries) };
  writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`);
  return path;
}
