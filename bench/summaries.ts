import { summarise, verdictOf } from "#core/run/reporting/summary.ts";
import { testsOf } from "#core/run/watching/consumer.ts";
import { dataTest, over, planOf, row, runOf, vertex } from "../test/support/run-builders.ts";
import { fixed, type Table } from "./table.ts";

export interface SummaryFigures {
  readonly vertices: number;
  readonly summariseMs: number;
  readonly verdictMs: number;
  /** The tests of every vertex, asked one by one. */
  readonly testsOfMs: number;
}

const SIZES = [1_000, 10_000, 30_000];
const REPEATED = 5;

export function measureSummaries(say: (line: string) => void): SummaryFigures[] {
  measure(SIZES[0]!);
  return SIZES.map((vertices) => {
    say(`summary of ${vertices} vertices …`);
    return measure(vertices);
  });
}

function measure(vertices: number): SummaryFigures {
  const input = drawn(vertices);
  const { plan } = input;
  return {
    vertices,
    // A copy of the vertices, since an index is kept with them: the live view orders them anew each second.
    summariseMs: best(() => summarise({ ...input, plan: { ...plan, vertices: [...plan.vertices] } })),
    verdictMs: best(() => verdictOf(input)),
    testsOfMs: best(() => plan.vertices.map(({ uniqueId }) => testsOf(plan, uniqueId))),
  };
}

/** Half models with three models above each, half tests of one model each, every tenth of which failed. */
function drawn(vertices: number) {
  const ids = Array.from({ length: vertices / 2 }, (_, at) => `model.shop.m_${at}`);
  const models = ids.map((id, at) => vertex(id, ids.slice(Math.max(0, at - 9), Math.max(0, at - 6))));
  const tests = ids.map((id, at) => dataTest(`test.shop.t_${at}`, [id]));
  const plan = planOf([...models, ...tests]);
  const rows = [...ids.map((id) => row(id, "success")), ...tests.map((one, at) => rowOfTest(one.uniqueId, at))];
  return { run: runOf({ state: "red" }), plan, rows, tasks: [over(1)], nowMs: 20_000 };
}

function rowOfTest(uniqueId: string, at: number) {
  if (at % 10 > 0) return row(uniqueId, "pass");
  return row(uniqueId, "fail", { message: "Got 3 results", final: "dead", finalReason: "It failed." });
}

function best(work: () => unknown): number {
  const times = Array.from({ length: REPEATED }, () => {
    const startedAtMs = performance.now();
    work();
    return performance.now() - startedAtMs;
  });
  return Math.min(...times);
}

export function summaryTable(figures: readonly SummaryFigures[]): Table {
  const each = ({ summariseMs, vertices }: SummaryFigures) => (summariseMs / vertices) * 1000;
  return {
    title: "A run's summary, as the live view makes it each second",
    columns: ["vertices", "summary ms", "µs/vertex", "of the first", "verdict ms", "tests of each ms"],
    rows: figures.map((one) => [
      String(one.vertices),
      fixed(one.summariseMs),
      fixed(each(one), 2),
      fixed(each(one) / each(figures[0]!), 2),
      fixed(one.verdictMs),
      fixed(one.testsOfMs),
    ]),
    notes: [
      "Half models with three parents, half tests of one model each, every tenth failed. Best of five.",
      "of the first: the time for one vertex against that of the first line; near 1 where the whole is linear.",
    ],
  };
}
