/**
 * `npm run bench`: measures stepwatch against plain dbt on this machine. Tables go to stdout, progress to stderr, and
 * all figures to `.stepwatch/bench/<time>.json`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DEFAULT_STATE_DIR, ensureVenv } from "#local/python.ts";
import { failureOf } from "../cli/failure.ts";
import { document } from "./documented.ts";
import { type EarlyRun, earlyProjects, earlyTable, measureEarly } from "./early.ts";
import { measureAlone } from "./emulator-share.ts";
import { type ChainRun, chainProjects, chainTables, measureChain } from "./flaky-root.ts";
import { loadNow, machineLine, thisMachine } from "./machine.ts";
import { cellsOf, joined, type MatrixCell, matrixMinutes, matrixProjects, measureMatrix } from "./matrix.ts";
import { matrixCostTable, matrixTable } from "./matrix-tables.ts";
import { measureRun } from "./measured-run.ts";
import { type Benchmark, type BenchOptions, parseOptions } from "./options.ts";
import { type Bench, measureOverhead, type Overhead } from "./overhead.ts";
import { overheadTables } from "./overhead-tables.ts";
import {
  type BenchProject,
  DBT_PACKAGES,
  generate,
  layered,
  layeredSelected,
  layeredWithTests,
  MANY_TESTS,
  manyTests,
  WATCHES,
  warmUp,
  writeConfig,
} from "./projects.ts";
import { measureReader, type ReaderFigures, readerTable } from "./reader.ts";
import { measureRunner, PLAYED_BUILDS, type RunnerFigures, runnerTable } from "./runner-alone/measure.ts";
import { type EmbeddedScale, embeddedScaleTable, measureEmbeddedScale } from "./scale/embedded.ts";
import { type ModelCase, pricedCases, pricedTable, scaleCases, scaleTable } from "./scale/model-tables.ts";
import { startStack } from "./stack.ts";
import { measureSummaries, type SummaryFigures, summaryTable } from "./summaries.ts";
import { fixed, type Table, tableText } from "./table.ts";
import { startWarehouse } from "./warehouse.ts";

const folder = join(DEFAULT_STATE_DIR, "bench");

const LOG_BYTES = 200 * 2 ** 20;

/** The size whose project is also measured with a data test on each model. */
const TESTED_MODELS = 50;

interface Figures {
  readonly overhead: Overhead[];
  readonly flaky: ChainRun[];
  readonly early: EarlyRun[];
  reader: ReaderFigures | null;
  runner: RunnerFigures[];
  summary: SummaryFigures[];
  readonly priced: ModelCase[];
  model: ModelCase[];
  scale: EmbeddedScale[];
  matrix: MatrixCell[];
}

/** Those that bring what they need. */
const ALONE: readonly Benchmark[] = ["reader", "runner", "summary", "model", "scale", "matrix"];

/** Prints the tables of a benchmark, and puts them into the document where that is asked for. */
type Show = (name: string, tables: readonly Table[]) => void;

const startedAtMs = Date.now();
const say = (line: string) =>
  process.stderr.write(`[${fixed((Date.now() - startedAtMs) / 1000, 0).padStart(4)} s] ${line}\n`);

// Explicitly: the package behind the warehouse ends a process that comes to its end by itself with exit code 0.
process.exit(await main(parseOptions(process.argv)));

async function main(options: BenchOptions): Promise<number> {
  const machine = thisMachine();
  const { pollIntervalSeconds, heartbeatSeconds } = options;
  const polled = options.watch === "poll" ? `, pollIntervalSeconds ${pollIntervalSeconds}` : "";
  const deployed = `watch: ${options.only.includes("matrix") ? options.matrix.watches.join(", ") : options.watch}${polled}, heartbeatSeconds ${heartbeatSeconds}`;
  const header = `${machineLine(machine)}, load ${fixed(loadNow())}; ${deployed}`;
  const none = {
    overhead: [],
    flaky: [],
    early: [],
    runner: [],
    summary: [],
    priced: [],
    model: [],
    scale: [],
    matrix: [],
  };
  const figures: Figures = { ...none, reader: null };
  process.stdout.write(`${header}\n\n`);
  const show: Show = (name, tables) => {
    print(tables);
    if (options.writeDocs) document(name, header, tables);
  };
  try {
    if (options.only.includes("reader")) {
      figures.reader = await measureReader(folder, LOG_BYTES, say);
      print([readerTable(figures.reader)]);
    }
    if (options.only.includes("runner")) {
      figures.runner = await measureRunner(PLAYED_BUILDS, say);
      print([runnerTable(figures.runner)]);
    }
    if (options.only.includes("summary")) {
      figures.summary = measureSummaries(say);
      print([summaryTable(figures.summary)]);
    }
    if (options.only.includes("model")) {
      const pollSeconds = pollIntervalSeconds;
      for (const watch of WATCHES) figures.priced.push(...(await pricedCases({ watch, pollSeconds }, say)));
      print([pricedTable(figures.priced)]);
      figures.model = await scaleCases({ watch: "wake", pollSeconds }, say);
      show("model", [pricedTable(figures.priced), scaleTable(figures.model)]);
    }
    if (options.only.includes("scale")) {
      figures.scale = await measureEmbeddedScale(folder, options, say);
      show("scale", [embeddedScaleTable(figures.scale)]);
    }
    if (options.only.includes("matrix")) {
      const before = options.matrix.join.flatMap((path) => cellsOf(path, machine));
      await measureStacks(options, figures);
      figures.matrix = joined([...before, ...figures.matrix]);
      show("matrix", [matrixTable(figures.matrix), matrixCostTable(figures.matrix)]);
    }
    if (options.only.some((name) => !ALONE.includes(name))) await measureRuns(options, figures, show);
    return 0;
  } catch (error) {
    const { message, next, lines } = failureOf(error);
    process.stderr.write(`${[...lines, message, next ?? ""].join("\n")}\n`);
    return 1;
  } finally {
    const path = join(folder, `${machine.at.replace(/[:.]/g, "-")}.json`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, JSON.stringify({ machine, options, ...figures }, null, 1));
    process.stdout.write(`All figures: ${path}\n`);
  }
}

async function measureRuns(options: BenchOptions, figures: Figures, show: Show): Promise<void> {
  const sized = [
    ...(options.only.includes("overhead") ? layeredProjects(options.models) : []),
    ...(options.only.includes("tests") ? [manyTests(folder)] : []),
  ];
  const chains = options.only.includes("flaky") ? chainProjects(folder) : [];
  const long = options.only.includes("early") ? earlyProjects(folder) : [];
  const venv = await ensureVenv(DBT_PACKAGES, { label: "the dbt environment", onProgress: say });
  const python = join(venv.bin, "python");
  const first = warmUp(folder);
  const all = [first, ...sized, ...[...chains, ...long].map(({ project }) => project)];
  for (const project of all) await generate(project, python);
  const warehouse = await startWarehouse(python);
  const dbt = { executable: join(dirname(python), "dbt"), environment: warehouse.environment };
  try {
    const stack = await startStack({
      configPath: writeConfig(folder, all, options),
      stateDir: join(folder, "state"),
      containerEnvironment: warehouse.environment,
      onProgress: say,
    });
    const bench: Bench = { stack, warehouse, dbt, say };
    try {
      say("warming up …");
      await measureRun(stack, first);
      for (const project of sized) {
        const measured = await measureOverhead(bench, project);
        figures.overhead.push(measured);
        // A run of several tasks has no single container to compare.
        if (measured.seconds.later.length > 0) continue;
        figures.overhead[figures.overhead.length - 1] = { ...measured, alone: await measureAlone(bench, project) };
      }
      for (const project of chains) figures.flaky.push(await measureChain(bench, project));
      for (const project of long) figures.early.push(await measureEarly(bench, project));
    } catch (error) {
      // Said before anything is taken down: what failed may keep that from ending.
      say(error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      const { tests = [], layered = [] } = Object.groupBy(figures.overhead, ({ project }) =>
        project === MANY_TESTS ? "tests" : "layered",
      );
      if (layered.length > 0) show("overhead", overheadTables(layered));
      if (tests.length > 0) show("tests", overheadTables(tests));
      if (figures.flaky.length > 0) show("flaky", chainTables(figures.flaky, stack.turnSeconds));
      if (figures.early.length > 0) show("early", [earlyTable(figures.early, stack.turnSeconds)]);
      await stack.close();
    }
  } finally {
    await warehouse.stop();
  }
}

/** The matrix, on one stack after the other for each way to watch. */
async function measureStacks(options: BenchOptions, figures: Figures): Promise<void> {
  const { matrix } = options;
  say(`the matrix will take about ${fixed(matrixMinutes(matrix), 0)} minutes`);
  const venv = await ensureVenv(DBT_PACKAGES, { label: "the dbt environment", onProgress: say });
  const python = join(venv.bin, "python");
  const projects = matrixProjects(folder, matrix);
  const first = warmUp(folder);
  for (const project of [first, ...projects]) await generate(project, python);
  const warehouse = await startWarehouse(python);
  const dbt = { executable: join(dirname(python), "dbt"), environment: warehouse.environment };
  try {
    for (const watch of matrix.watches) {
      const configPath = writeConfig(folder, [first, ...projects], { ...options, watch });
      const place = { stateDir: join(folder, "state"), containerEnvironment: warehouse.environment };
      const stack = await startStack({ ...place, configPath, onProgress: say });
      try {
        say("warming up …");
        await measureRun(stack, first);
        figures.matrix.push(...(await measureMatrix({ stack, warehouse, dbt, say }, projects, watch, matrix.repeat)));
      } finally {
        await stack.close();
      }
    }
  } finally {
    await warehouse.stop();
  }
}

function layeredProjects(models: readonly number[]): BenchProject[] {
  const tested = models.includes(TESTED_MODELS)
    ? [layeredWithTests(folder, TESTED_MODELS), layeredSelected(folder, TESTED_MODELS)]
    : [];
  return [
    ...models.map((count) => layered(folder, count, "postgres")),
    ...tested,
    ...models.map((count) => layered(folder, count, "duckdb")),
  ];
}

function print(tables: readonly Table[]): void {
  process.stdout.write(`${tables.map(tableText).join("\n")}\n`);
}
