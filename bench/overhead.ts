import { type Price, priceOf } from "#core/prices.ts";
import { consumptionOf, type StepFunctionsFigures, stepFunctionsFigures } from "./billing.ts";
import type { AloneBuild } from "./emulator-share.ts";
import { type LedgerFigures, ledgerFigures } from "./ledger-figures.ts";
import { loadNow } from "./machine.ts";
import { type MeasuredRun, measureRun } from "./measured-run.ts";
import { type DbtPlace, type PlainBuild, plainBuild, warmParse } from "./plain-dbt.ts";
import type { RunUsage } from "./process-usage.ts";
import type { BenchProject } from "./projects.ts";
import { type RunSeconds, secondsOf } from "./seconds.ts";
import type { BenchStack } from "./stack.ts";
import { fixed, seconds } from "./table.ts";
import { type Lags, lagsOf, type Timeline, timelineOf } from "./timeline.ts";
import type { Warehouse } from "./warehouse.ts";

/** What the benchmarks of runs work with. */
export interface Bench {
  readonly stack: BenchStack;
  readonly warehouse: Warehouse;
  readonly dbt: DbtPlace;
  readonly say: (line: string) => void;
}

/** One project, built by plain dbt and right after it by stepwatch. */
export interface Overhead {
  readonly project: string;
  readonly models: number;
  readonly vertices: number;
  readonly state: string;
  readonly turnSeconds: number;
  /** Load of the machine before plain dbt and before the run. */
  readonly load: readonly [number, number];
  readonly plain: PlainBuild;
  readonly timeline: Timeline;
  readonly seconds: RunSeconds;
  /** Wall clock of the run without the start of its container, over plain dbt's. */
  readonly ratio: number;
  readonly lags: Lags;
  readonly usage: RunUsage;
  readonly ledger: LedgerFigures;
  readonly stepFunctions: StepFunctionsFigures;
  readonly price: Price;
  /** Where it was built once more without the emulator. */
  readonly alone?: AloneBuild;
}

export async function measureOverhead(bench: Bench, project: BenchProject): Promise<Overhead> {
  const { stack, warehouse, dbt, say } = bench;
  say(`${project.name}: parsing …`);
  await warmParse(project, dbt);
  await warehouse.empty(project);
  const loadBefore = loadNow();
  say(`${project.name}: plain dbt build …`);
  const plain = await plainBuild(project, dbt);
  await warehouse.empty(project);
  const loadBetween = loadNow();
  say(`${project.name}: ${seconds(plain.wallMs)} s; stepwatch …`);
  const measured = await measureRun(stack, project);
  const overhead = overheadOf(project, stack.turnSeconds, [loadBefore, loadBetween], plain, measured);
  const { timeline, ratio, state } = overhead;
  say(`${project.name}: ${state} in ${seconds(timeline.wallMs)} s, ${fixed(ratio, 2)} × plain dbt`);
  return overhead;
}

function overheadOf(
  project: BenchProject,
  turnSeconds: number,
  load: Overhead["load"],
  plain: PlainBuild,
  measured: MeasuredRun,
): Overhead {
  const timeline = timelineOf(measured);
  const ledger = ledgerFigures(measured);
  return {
    project: project.name,
    models: project.models,
    vertices: measured.plan.vertices.length,
    state: measured.run.state,
    turnSeconds,
    load,
    plain,
    timeline,
    seconds: secondsOf(measured),
    ratio: (timeline.wallMs - timeline.containerStartMs) / plain.wallMs,
    lags: lagsOf(measured),
    usage: measured.usage,
    ledger,
    stepFunctions: stepFunctionsFigures(measured.histories),
    price: priceOf(consumptionOf(measured, ledger)),
  };
}
