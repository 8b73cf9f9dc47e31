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
  /** What its policy has beside the benchmark's own. */
  readonly policy?: Readonly<Record<string, unknown>>;
  /** What is started in dbt's place. */
  readonly executable?: string;
  /** Unset: the profile's, 8. */
  readonly threads?: number;
  /** What is selected; unset: nothing is said, so that dbt's own default holds. */
  readonly select?: readonly string[];
  /** Share of the models with a relationships test that they share with a model of the first layer. */
  readonly shared?: number;
}

export interface DataTests {
  /** In turn on each model. */
  readonly count: number;
  /** As many of them find rows: on the models without children, so that all the rest is built. */
  readonly failing: number;
}

/** dbt's exit code for a build of it: 1 is its word for tests that found rows. */
export const exitCodeOf = ({ tests }: Pick<BenchProject, "tests">): number => (tests.failing > 0 ? 1 : 0);

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

/** The layered project, all of it selected by name: of a selection only dbt knows what it is, and is asked beside its build. */
export function layeredSelected(folder: string, models: number): BenchProject {
  const shape = ["--shape", "layered", "--n", String(models)];
  return { ...benchProject(folder, `postgres_${models}_selected`, "postgres", models, shape), select: ["fqn:*"] };
}

/** A layered project for one cell of the matrix: so many threads, with or without tests that two nodes share. */
export function layeredFor(folder: string, models: number, threads: number, shared: number): BenchProject {
  const name = `m${models}_t${threads}${shared > 0 ? "_shared" : ""}`;
  const shape = ["--shape", "layered", "--n", String(models)];
  return { ...benchProject(folder, name, "postgres", models, shape), threads, shared };
}

export const MANY_TESTS = "many_tests";

/** The shape of a company's project: 116 nodes with their seeds, and of 1,600 data tests 58 that find rows. */
export const manyTests = (folder: string): BenchProject =>
  benchProject(folder, MANY_TESTS, "postgres", 114, ["--shape", "layered", "--n", "114"], {
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

export const LONG_MODELS = 80;

/** A build of some eighty seconds with 8 threads, one of whose first models may fail once, at its end. */
export function longBuild(
  folder: string,
  name: string,
  isFlaky: boolean,
  policy: BenchProject["policy"],
): BenchProject {
  const shape = ["--shape", "layered", "--n", String(LONG_MODELS), "--mean", "8", "--audit"];
  const flaky = isFlaky ? ["--fail-once", "1", "--fail-late"] : [];
  return { ...benchProject(folder, name, "postgres", LONG_MODELS, [...shape, ...flaky]), ...(policy && { policy }) };
}

/** A project that a scripted dbt plays (bench/scale). */
export function scripted(
  name: string,
  { projectDir, executable }: { readonly projectDir: string; readonly executable: string },
  models: number,
): BenchProject {
  const played = { name, schema: name, adapter: "postgres" as const, models, projectDir, executable };
  return { ...played, generatorArguments: [], tests: NO_TESTS };
}

/** Writes the project anew; the same arguments give the same files. */
export async function generate(project: BenchProject, python: string): Promise<void> {
  const { projectDir, adapter, schema, generatorArguments } = project;
  rmSync(projectDir, { recursive: true, force: true });
  mkdirSync(projectDir, { recursive: true });
  const where = ["--out", projectDir, "--adapter", adapter, "--schema", schema];
  await run(python, [GENERATOR, ...where, ...generatorArguments]);
  if (project.tests.count > 0) writeTests(project);
  if ((project.shared ?? 0) > 0) writeSharedTests(project);
}

/** Layers of the generator, by its default. */
const LAYERS = 4;

const modelName = (at: number): string => `m_${String(at + 1).padStart(4, "0")}`;

/**
 * Relationships tests between a model of a later layer and one of the first, whose consumer waits for the later one by
 * that. Each looks at no row, since the generator's ids are not related, and passes.
 */
function writeSharedTests({ projectDir, models, shared = 0 }: BenchProject): void {
  const first = Math.round(models / LAYERS);
  const step = (models - first) / (models * shared);
  const count = Math.min(models - first, Math.floor(models * shared));
  const tested = Array.from({ length: count }, (_, nth) => {
    const to = `ref('${modelName(nth % first)}')`;
    const test = { relationships: { arguments: { to, field: "id" }, config: { where: "id < 0" } } };
    return { name: modelName(first + Math.floor(nth * step)), columns: [{ name: "id", data_tests: [test] }] };
  });
  writeFileSync(join(projectDir, "models", "shared.yml"), JSON.stringify({ version: 2, models: tested }, null, 1));
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
  /** Unset: the stack's default. */
  readonly watch?: Watch;
}

/** How waits end: by the ledger's stream, or turn by turn. */
export const WATCHES = ["wake", "poll"] as const;
export type Watch = (typeof WATCHES)[number];

/** A stepwatch.yaml for all of these projects. Returns its path. */
export function writeConfig(
  folder: string,
  projects: readonly BenchProject[],
  { pollIntervalSeconds, heartbeatSeconds, watch }: StackSettings,
): string {
  const path = join(folder, "stepwatch.yaml");
  const entries = projects.map(({ name, projectDir, adapter, policy, executable, threads, select }) => [
    name,
    {
      projectDir,
      dbt: executable === undefined ? { packages: DBT_PACKAGES } : { executable },
      policy: { runTimeoutMinutes: 60, heartbeatSeconds, ...policy },
      ...(threads !== undefined && { threads }),
      ...(select !== undefined && { build: { select } }),
      ...(adapter === "duckdb" && { executionQueue: { maxTasks: 1 } }),
    },
  ]);
  mkdirSync(folder, { recursive: true });
  // JSON is YAML.
  const stack = { stackName: "stepwatch-bench", pollIntervalSeconds, ...(watch !== undefined && { watch }) };
  const config = { ...stack, projects: Object.fromEntries(entries) };
  writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`);
  return path;
}
