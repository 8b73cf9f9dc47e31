import { Command, InvalidArgumentError, Option } from "commander";
import { policySchema } from "#core/contracts/settings.ts";
import { type StackSettings, WATCHES, type Watch } from "./projects.ts";

const BENCHMARKS = [
  "overhead",
  "tests",
  "flaky",
  "early",
  "reader",
  "runner",
  "summary",
  "model",
  "scale",
  "matrix",
] as const;
export type Benchmark = (typeof BENCHMARKS)[number];

/** Share of the models that have a relationships test in the matrix' projects with shared tests. */
const SHARED_SHARE = 0.4;

export interface BenchOptions extends StackSettings {
  readonly only: readonly Benchmark[];
  /** Numbers of models of the layered projects. */
  readonly models: readonly number[];
  readonly matrix: MatrixOptions;
  /** The tables of this run go into docs/benchmarks.md. */
  readonly writeDocs: boolean;
}

/** Which cells of the matrix are measured. */
export interface MatrixOptions {
  readonly models: readonly number[];
  readonly threads: readonly number[];
  /** Shares of the models with a shared test. */
  readonly shared: readonly number[];
  readonly watches: readonly Watch[];
  readonly repeat: number;
  /** Figures of earlier pieces of the matrix, whose cells stand in the tables too. */
  readonly join: readonly string[];
}

interface Flags {
  readonly only?: Benchmark;
  readonly quick?: boolean;
  readonly models?: readonly number[];
  readonly poll: number;
  readonly heartbeat: number;
  readonly threads: readonly number[];
  readonly shared: "with" | "without" | "both";
  readonly watch: Watch | "both";
  readonly repeat: number;
  readonly join: readonly string[];
  readonly writeDocs?: boolean;
}

const SHARED = { with: [SHARED_SHARE], without: [0], both: [0, SHARED_SHARE] } as const;

const ALL_MODELS = [10, 50, 185];
const MATRIX_MODELS = [50, 185];

/** Those that take long, and are measured when they are asked for. */
const ASKED_FOR: ReadonlySet<Benchmark> = new Set(["matrix", "model", "scale"]);

const DEFAULT_HEARTBEAT_SECONDS = policySchema.parse({}).heartbeatSeconds;

export function parseOptions(argv: readonly string[]): BenchOptions {
  const flags = new Command("npm run bench --")
    .description("Measures stepwatch against plain dbt on this machine; see docs/benchmarks.md.")
    .addOption(new Option("--only <name>", "one benchmark").choices(BENCHMARKS))
    .option("--quick", "projects of 10 and 50 models only")
    .option("--models <numbers>", "projects of these sizes, as in 10,50", sizes)
    .option("--poll <seconds>", "pollIntervalSeconds of the stack", wholeNumber, 5)
    .option("--heartbeat <seconds>", "policy.heartbeatSeconds of every project", wholeNumber, DEFAULT_HEARTBEAT_SECONDS)
    .option("--threads <numbers>", "matrix: threads, as in 4,8,16", sizes, [4, 8, 16])
    .addOption(
      new Option("--shared <which>", "matrix: tests that nodes share").choices(Object.keys(SHARED)).default("both"),
    )
    .addOption(
      new Option("--watch <how>", "how waits end; both: in the matrix alone")
        .choices([...WATCHES, "both"])
        .default("both"),
    )
    .option("--repeat <times>", "matrix: repetitions", wholeNumber, 3)
    .option(
      "--join <files...>",
      "matrix: .stepwatch/bench/<time>.json of earlier pieces of it, for the same tables",
      [],
    )
    .option("--write-docs", "writes the tables into docs/benchmarks.md")
    .parse([...argv])
    .opts<Flags>();
  return {
    only: flags.only === undefined ? BENCHMARKS.filter((name) => !ASKED_FOR.has(name)) : [flags.only],
    models: flags.models ?? (flags.quick === true ? ALL_MODELS.slice(0, 2) : ALL_MODELS),
    pollIntervalSeconds: flags.poll,
    watch: flags.watch === "both" ? "wake" : flags.watch,
    heartbeatSeconds: flags.heartbeat,
    writeDocs: flags.writeDocs === true,
    matrix: {
      models: flags.models ?? MATRIX_MODELS,
      threads: flags.threads,
      shared: SHARED[flags.shared],
      watches: flags.watch === "both" ? WATCHES : [flags.watch],
      repeat: flags.repeat,
      join: flags.join,
    },
  };
}

const sizes = (text: string): number[] => text.split(",").map(wholeNumber);

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError("A whole number from 1 on is needed.");
  return number;
}
