import { GOALS } from "./goals.ts";
import type { MatrixCell } from "./matrix.ts";
import type { Overhead } from "./overhead.ts";
import { fixed, mib, percentile, seconds, type Table } from "./table.ts";

const nameOf = ({ models, threads, shared, watch }: MatrixCell): string =>
  `${models} × ${threads}${shared > 0 ? " shared" : ""}${watch === undefined ? "" : ` ${watch}`}`;

/** The middle of a cell's repetitions, with the least and the most behind it where there are several. */
function spread({ runs }: MatrixCell, of: (run: Overhead) => number | null, decimals: number, unit = 1): string {
  const values = runs.flatMap((run) => of(run) ?? []).map((value) => value / unit);
  if (values.length === 0) return "-";
  const middle = fixed(percentile(values, 0.5), decimals);
  return values.length === 1
    ? middle
    : `${middle} (${fixed(Math.min(...values), decimals)}–${fixed(Math.max(...values), decimals)})`;
}

const runnerMs = ({ usage, vertices }: Overhead): number => usage.runner.cpuMs / Math.max(1, vertices);

/** Time and lag of each cell. */
export function matrixTable(cells: readonly MatrixCell[]): Table {
  return {
    title: "Models × threads: wall clock against plain dbt, tail and lag (seconds; median, least and most)",
    columns: ["models × threads", "plain dbt", "stepwatch", "ratio", "tail", "lag p95", "begun p95", "runs"],
    rows: cells.map((cell) => [
      nameOf(cell),
      spread(cell, ({ plain }) => plain.wallMs, 1, 1000),
      spread(cell, ({ timeline }) => timeline.wallMs, 1, 1000),
      spread(cell, ({ ratio }) => ratio, 2),
      spread(cell, ({ timeline }) => timeline.tailMs, 1, 1000),
      spread(cell, ({ lags }) => lags.ended.p95, 2, 1000),
      spread(cell, ({ lags }) => lags.begun.p95, 2, 1000),
      String(cell.runs.length),
    ]),
    notes: [
      "Layered projects on Postgres, a second of sleep a model on average; plain dbt right before each run; ratio without the container's start.",
      "shared: 40 % of the models have a relationships test with a model of the first layer, whose consumer waits for it.",
      `goals with wake: ratio ≤ ${GOALS.ratio} at 185 × 8, tail ≤ ${seconds(GOALS.wakeTailMs)} s, lag p95 and begun p95 ≤ ${seconds(GOALS.wakeLagMs)} s; with poll one interval more.`,
    ],
  };
}

/** What each cell used and would cost. */
export function matrixCostTable(cells: readonly MatrixCell[]): Table {
  return {
    title: "Models × threads: transitions, price and the runner (median, least and most)",
    columns: ["models × threads", "turns/node", "transitions", "read units", "cents", "runner ms/vertex", "runner MiB"],
    rows: cells.map((cell) => [
      nameOf(cell),
      spread(cell, ({ stepFunctions: of }) => of.consumerTurns / Math.max(1, of.executions - 1), 2),
      spread(cell, ({ stepFunctions }) => stepFunctions.transitions, 0),
      spread(cell, ({ ledger }) => ledger.readUnits, 0),
      spread(cell, ({ price }) => price.orchestration * 100, 2),
      spread(cell, runnerMs, 1),
      spread(cell, ({ usage }) => usage.runner.peakRssBytes / 2 ** 20, 0),
    ]),
    notes: [
      "cents: orchestration as counted (Step Functions, Lambda, DynamoDB, S3, logs), without Fargate.",
      `goals: ${fixed(GOALS.orchestrationDollars * 100, 1)} cents for 185 nodes in 330 s; with wake and shared tests at most a tenth more transitions than without; runner ≤ ${mib(GOALS.runnerRssBytes)} MiB.`,
      "runner ms/vertex holds Node's own start; the runner alone is measured by `--only runner`.",
    ],
  };
}
