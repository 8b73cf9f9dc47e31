/**
 * `npm run bench`: measures stepwatch against plain dbt on this machine. Tables go to stdout, progress to stderr, and
 * all figures to `.stepwatch/bench/<time>.json`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DEFAULT_STATE_DIR, ensureVenv } from "#local/python.ts";
import { failureOf } from "../cli/failure.ts";
import { type ChainRun, chainProjects, chainTables, measureChain } from "./flaky-root.ts";
import { loadNow, machineLine, thisMachine } from "./machine.ts";
import { measureRun } from "./measured-run.ts";
import { type Benchmark, type BenchOptions, parseOptions } from "./options.ts";
import { type Bench, measureOverhead, type Overhead } from "./overhead.ts";
import { overheadTables } from "./overhead-tables.ts";
import {
  type BenchProject,
  DBT_PACKAGES,
  generate,
  layered,
  layeredWithTests,
  manyTests,
  warmUp,
  writeConfig,
} from "./projects.ts";
import { measureReader, type ReaderFigures, readerTable } from "./reader.ts";
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
  reader: ReaderFigures | null;
  summary: SummaryFigures[];
}

/** Those that need no warehouse, no emulator and no dbt. */
const ALONE: readonly Benchmark[] = ["reader", "summary"];

const startedAtMs = Date.now();
const say = (line: string) =>
  process.stderr.write(`[${fixed((Date.now() - startedAtMs) / 1000, 0).padStart(4)} s] ${line}\n`);

// Explicitly: the package behind the warehouse ends a process that comes to its end by itself with exit code 0.
process.exit(await main(parseOptions(process.argv)));

async function main(options: BenchOptions): Promise<number> {
  const machine = thisMachine();
  const { pollIntervalSeconds, heartbeatSeconds } = options;
  const deployed = `pollIntervalSeconds ${pollIntervalSeconds}, heartbeatSeconds ${heartbeatSeconds}`;
  const header = `${machineLine(machine)}, load ${fixed(loadNow())}; ${deployed}`;
  const figures: Figures = { overhead: [], flaky: [], reader: null, summary: [] };
  process.stdout.write(`${header}\n\n`);
  try {
    if (options.only.includes("reader")) {
      figures.reader = await measureReader(folder, LOG_BYTES, say);
      print([readerTable(figures.reader)]);
    }
    if (options.only.includes("summary")) {
      figures.summary = measureSummaries(say);
      print([summaryTable(figures.summary)]);
    }
    if (options.only.some((name) => !ALONE.includes(name))) await measureRuns(options, figures);
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

async function measureRuns(options: BenchOptions, figures: Figures): Promise<void> {
  const sized = [
    ...(options.only.includes("overhead") ? layeredProjects(options.models) : []),
    ...(options.only.includes("tests") ? [manyTests(folder)] : []),
  ];
  const chains = options.only.includes("flaky") ? chainProjects(folder) : [];
  const venv = await ensureVenv(DBT_PACKAGES, { label: "the dbt environment", onProgress: say });
  const python = join(venv.bin, "python");
  const first = warmUp(folder);
  const all = [first, ...sized, ...chains.map(({ project }) => project)];
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
      for (const project of sized) figures.overhead.push(await measureOverhead(bench, project));
      for (const project of chains) figures.flaky.push(await measureChain(bench, project));
    } catch (error) {
      // Said before anything is taken down: what failed may keep that from ending.
      say(error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      if (figures.overhead.length > 0) print(overheadTables(figures.overhead));
      if (figures.flaky.length > 0) print(chainTables(figures.flaky, options.pollIntervalSeconds));
      await stack.close();
    }
  } finally {
    await warehouse.stop();
  }
}

function layeredProjects(models: readonly number[]): BenchProject[] {
  const tested = models.includes(TESTED_MODELS) ? [layeredWithTests(folder, TESTED_MODELS)] : [];
  return [
    ...models.map((count) => layered(folder, count, "postgres")),
    ...tested,
    ...models.map((count) => layered(folder, count, "duckdb")),
  ];
}

function print(tables: readonly Table[]): void {
  process.stdout.write(`${tables.map(tableText).join("\n")}\n`);
}
