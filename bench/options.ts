import { Command, InvalidArgumentError, Option } from "commander";
import { policySchema } from "#core/contracts/settings.ts";
import type { StackSettings } from "./projects.ts";

const BENCHMARKS = ["overhead", "tests", "flaky", "reader", "summary"] as const;
export type Benchmark = (typeof BENCHMARKS)[number];

export interface BenchOptions extends StackSettings {
  readonly only: readonly Benchmark[];
  /** Numbers of models of the layered projects. */
  readonly models: readonly number[];
}

interface Flags {
  readonly only?: Benchmark;
  readonly quick?: boolean;
  readonly models?: readonly number[];
  readonly poll: number;
  readonly heartbeat: number;
}

const ALL_MODELS = [10, 50, 185];

const DEFAULT_HEARTBEAT_SECONDS = policySchema.parse({}).heartbeatSeconds;

export function parseOptions(argv: readonly string[]): BenchOptions {
  const flags = new Command("npm run bench --")
    .description("Measures stepwatch against plain dbt on this machine; see docs/benchmarks.md.")
    .addOption(new Option("--only <name>", "one benchmark").choices(BENCHMARKS))
    .option("--quick", "projects of 10 and 50 models only")
    .option("--models <numbers>", "projects of these sizes, as in 10,50", sizes)
    .option("--poll <seconds>", "pollIntervalSeconds of the stack", wholeNumber, 5)
    .option("--heartbeat <seconds>", "policy.heartbeatSeconds of every project", wholeNumber, DEFAULT_HEARTBEAT_SECONDS)
    .parse([...argv])
    .opts<Flags>();
  return {
    only: flags.only === undefined ? BENCHMARKS : [flags.only],
    models: flags.models ?? (flags.quick === true ? ALL_MODELS.slice(0, 2) : ALL_MODELS),
    pollIntervalSeconds: flags.poll,
    heartbeatSeconds: flags.heartbeat,
  };
}

const sizes = (text: string): number[] => text.split(",").map(wholeNumber);

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError("A whole number from 1 on is needed.");
  return number;
}
