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
  /** Data tests beside what the generator makes, which is none. */
  readonly tests: DataTests;
}

export interface DataTests {
  /** In turn on each model. */
  readonly count: number;
  /** As many of them find rows: on the models without children, so that all the rest is built. */
  readonly failing: number;
}

const NO_TESTS: DataTests = { count: 0, failing: 0 };

const FOLDER = "projects";

function benchProject(
  folder: string,
  name: string,
  adapter: Adapter,
  models: number,
  generatorArguments: readonly string[],
  tests = NO_TESTS,
): BenchProject {
  const projectDir = join(folder, FOLDER, name);
  return { name, schema: name, adapter, models, projectDir, generatorArguments, tests };
}

/** The peer was measured on these: layered, pg_sleep with the generator's own means, 8 threads. */
export const layered = (folder: string, models: number, adapter: Adapter): BenchProject =>
  benchProject(folder, `${adapter}_${models}`, adapter, models, ["--shape", "layered", "--n", String(models)]);

/** The layered project with a data test on every model: the generator's own have none. */
export const layeredWithTests = (folder: string, models: number): BenchProject =>
  benchProject(folder, `postgres_${models}_tested`, "postgres", models, ["--shape", "layered", "--n", String(models)], {
    count: models,
    failing: 0,
  });

/** The shape of a company's project: 116 nodes with their seeds, and of 1,600 data tests 58 that find rows. */
export const manyTests = (folder: string): BenchProject =>
  benchProject(folder, "many_tests", "postgres", 114, ["--shape", "layered", "--n", "114"], {
    count: 1600,
    failing: 58,
  });

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
  if (project.tests.count > 0) writeTests(project);
}

/** Models of the last layer, which have no children: the generator numbers layer after layer, four of them. */
const childless = (models: number): number => models - Math.round((models * 3) / 4);

function writeTests({ projectDir, models, tests }: BenchProject): void {
  const leaves = childless(models);
  const tested = Array.from({ length: models }, (_, at) => {
    const fromLast = models - 1 - at;
    const passing = share(tests.count - tests.failing, models, at);
    const failing = fromLast < leaves ? share(tests.failing, leaves, fromLast) : 0;
    const name = `m_${String(at + 1).padStart(4, "0")}`;
    const test = (word: string, values: (nth: number) => number[]) => (_: unknown, nth: number) => ({
      accepted_values: { name: `${word}_${name}_${nth}`, arguments: { values: values(nth), quote: false } },
    });
    const right = Array.from(
      { length: passing },
      test("right", (nth) => [at + 1, -nth]),
    );
    const wrong = Array.from(
      { length: failing },
      test("wrong", (nth) => [-1 - nth]),
    );
    return { name, columns: [{ name: "id", data_tests: [...right, ...wrong] }] };
  });
  writeFileSync(join(projectDir, "models", "tests.yml"), JSON.stringify({ version: 2, models: tested }, null, 1));
}

/** What falls to the one `at` of `among` when `total` are dealt out in turn. */
const share = (total: number, among: number, at: number): number => Math.floor((total - at - 1) / among) + 1;

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
