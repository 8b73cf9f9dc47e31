import { taskSizeSchema } from "#core/contracts/settings.ts";
import { type Consumption, PRICES, type Price, priceOf } from "#core/prices.ts";
import type { FunctionName } from "../../infra/deployed-names.ts";
import { FUNCTION_SIZES } from "../../infra/function-sizes.ts";
import { EXECUTION_LOG_BYTES, FUNCTION_LOG_BYTES } from "../billing.ts";
import { GOALS } from "../goals.ts";
import { dollars, fixed, type Table } from "../table.ts";
import { brokenBudgets } from "./budgets.ts";
import type { LedgerUse } from "./memory-table.ts";
import { type ModelFigures, type ModelOptions, modelRun } from "./model.ts";
import { scaleProject } from "./project.ts";

/** One case of the model, and what it came to. */
export interface ModelCase {
  readonly name: string;
  readonly figures: ModelFigures;
  readonly price: Price;
  readonly broken: readonly string[];
}

/** dbt prints two lines of about a kilobyte for each vertex, and the runner passes them on. */
const LOG_BYTES_A_VERTEX = 2_200;

/** Runs a case; its price is of what it used, function by function and row by row. */
export async function modelCase(name: string, options: ModelOptions): Promise<ModelCase> {
  const figures = await modelRun(options);
  return { name, figures, price: priceOf(consumptionOfModel(figures)), broken: brokenBudgets(figures) };
}

const sum = (uses: ReadonlyMap<string, LedgerUse>, of: keyof LedgerUse): number =>
  [...uses.values()].reduce((total, use) => total + use[of], 0);

export function consumptionOfModel(figures: ModelFigures): Consumption {
  const { transitions, functions, reads, writes, objects, tasks, vertices, consumers } = figures;
  const size = taskSizeSchema.parse({});
  const calls = [...functions].map(([name, { invocations, seconds }]) => {
    return { count: invocations, memoryMiB: FUNCTION_SIZES[name as FunctionName].memoryMiB, seconds };
  });
  const called = calls.reduce((total, { count }) => total + count, 0);
  return {
    transitions: transitions.run + transitions.consumers,
    calls,
    writeUnits: sum(writes, "units"),
    readUnits: sum(reads, "units"),
    s3Puts: objects.puts,
    s3Gets: objects.gets,
    logBytes: called * FUNCTION_LOG_BYTES + consumers * EXECUTION_LOG_BYTES + vertices * LOG_BYTES_A_VERTEX,
    events: 0,
    tasks: tasks.map(({ seconds }) => {
      return { seconds, vcpu: size.cpu / 1024, gib: size.memoryMiB / 1024, publicAddress: true };
    }),
  };
}

/** What the goals of cost speak of: 185 nodes in 330 s, and 1,000 in half an hour, with shared tests and without. */
export const PRICED_CASES = [
  { nodes: 185, tests: 0, shared: 0, nodeSeconds: 13.5 },
  { nodes: 1_000, tests: 1_000, shared: 0, nodeSeconds: 13.5 },
  { nodes: 1_000, tests: 1_000, shared: 0.4, nodeSeconds: 13.5 },
] as const;

export async function pricedCases(
  watching: Pick<ModelOptions, "watch" | "pollSeconds">,
  say: (line: string) => void,
): Promise<ModelCase[]> {
  const cases: ModelCase[] = [];
  for (const shape of PRICED_CASES) {
    const name = `${shape.nodes} nodes, ${shape.tests} tests${shape.shared > 0 ? ", 40 % shared" : ""}, ${watching.watch}`;
    say(`model: ${name} …`);
    const project = scaleProject({ ...shape, failing: "none", testSeconds: 0.5 });
    cases.push(await modelCase(name, { project, threads: 8, ...watching }));
  }
  return cases;
}

const SCALES = [
  { nodes: 300, tests: 2_000, nodeSeconds: 6 },
  { nodes: 3_000, tests: 20_000, nodeSeconds: 12 },
  { nodes: 10_000, tests: 10_000, nodeSeconds: 8 },
] as const;

/** What failed for no known outage is built again in one build, as a project of this size would set it: alone it is hours. */
const TOGETHER = { fallbacks: "together" } as const;

export async function scaleCases(
  watching: Pick<ModelOptions, "watch" | "pollSeconds">,
  say: (line: string) => void,
): Promise<ModelCase[]> {
  const cases: ModelCase[] = [];
  for (const shape of SCALES)
    for (const failing of ["none", "tenth", "root"] as const) {
      const name = `${shape.nodes}+${shape.tests} ${failing}`;
      say(`model: ${name} …`);
      const project = scaleProject({ ...shape, failing, testSeconds: 1 });
      cases.push(await modelCase(name, { project, threads: 32, policy: TOGETHER, ...watching }));
    }
  return cases;
}

export function scaleTable(cases: readonly ModelCase[]): Table {
  return {
    title: "Runs of any size in the model: nodes and tests, and what fails",
    columns: [
      "case",
      "verdict",
      "minutes",
      "turns/node",
      "W units/vertex",
      "B/vertex",
      "R units/vertex",
      "payload kB",
      "longest",
      "check-run s",
      "Lambdas",
      "budgets",
    ],
    rows: cases.map(({ name, figures, broken }) => [
      name,
      figures.state,
      fixed(figures.wallMs / 60_000),
      fixed(figures.transitions.consumers / Math.max(1, figures.consumers), 2),
      fixed(sum(figures.writes, "units") / figures.vertices, 2),
      fixed(sum(figures.writes, "bytes") / figures.vertices, 0),
      fixed(sum(figures.reads, "units") / figures.vertices),
      fixed(figures.largestPayload / 1000),
      String(figures.longestHistory),
      fixed(figures.functions.get("check-run")?.longest),
      String(figures.lambdasAtOnce),
      broken.length === 0 ? "kept" : broken.join("; "),
    ]),
    notes: [
      "The real functions over the ledger's own client in memory, under a virtual clock; a container takes 40 s to start.",
      "payload: the largest input or output of a function or execution (200 kB are allowed). longest: events of a history (20,000).",
      "check-run s: its longest call, as Lambda would bill its calls and reading (120 s are its timeout), without the step itself. Lambdas: the most at once.",
      "tenth: a tenth of nodes and tests fail, half of the nodes for a cause that a further try may cure; fallbacks: together.",
      "budgets also hold: StartExecution and RunTask in the smallest regions, five writes a node and two a test.",
    ],
  };
}

export function pricedTable(cases: readonly ModelCase[]): Table {
  const cents = (price: number) => fixed(price * 100, 2);
  return {
    title: `What a run costs by the model (${PRICES.region}, list prices of ${PRICES.asOf}), in cents`,
    columns: [
      "case",
      "minutes",
      "transitions",
      "turns/node",
      "states",
      "Lambda",
      "DynamoDB",
      "S3",
      "logs",
      "orchestration",
      "goal",
      "Fargate, address",
    ],
    rows: cases.map(({ name, figures, price }) => [
      name,
      fixed(figures.wallMs / 60_000),
      String(figures.transitions.run + figures.transitions.consumers),
      fixed(figures.transitions.consumers / figures.consumers, 2),
      ...[price.stepFunctions, price.lambda, price.dynamo, price.s3, price.logs, price.orchestration].map(cents),
      `≤ ${cents(figures.nodes < 500 ? GOALS.orchestrationDollars : GOALS.orchestrationDollarsOfThousand)}`,
      cents(price.tasks),
    ]),
    notes: [
      "8 threads. 40 % shared: as many of the models have a relationships test beside; their consumers wait for it.",
      `goals: ${dollars(GOALS.orchestrationDollars)} for 185 nodes in 330 s, ${dollars(GOALS.orchestrationDollarsOfThousand)} for 1,000 nodes in 30 minutes with shared tests.`,
    ],
  };
}
