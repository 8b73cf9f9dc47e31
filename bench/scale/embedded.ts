import { join } from "node:path";
import { priceOf } from "#core/prices.ts";
import { consumptionOf, stepFunctionsFigures } from "../billing.ts";
import { GOALS } from "../goals.ts";
import { ledgerFigures } from "../ledger-figures.ts";
import { measureRun } from "../measured-run.ts";
import type { BenchOptions } from "../options.ts";
import { type BenchProject, scripted, writeConfig } from "../projects.ts";
import { type BenchStack, startStack } from "../stack.ts";
import { dollars, fixed, mib, seconds, type Table } from "../table.ts";
import { lagsOf, timelineOf } from "../timeline.ts";
import { FAILING, type Failing, scaleProject } from "./project.ts";
import { writeScaleFolder } from "./scale-folder.ts";

const SHAPE = { nodes: 300, tests: 2_000, nodeSeconds: 2, testSeconds: 0.3 } as const;
const THREADS = 16;

/** One case on the embedded AWS, by the deployed functions and the real supervisor. */
export interface EmbeddedScale {
  readonly failing: Failing;
  readonly state: string;
  readonly vertices: number;
  readonly wallMs: number;
  readonly dbtMs: number;
  readonly tailMs: number;
  readonly lagP95Ms: number | null;
  readonly begunP95Ms: number | null;
  readonly perNode: number | null;
  readonly perTest: number | null;
  readonly bytesPerVertex: number;
  readonly readUnits: number;
  readonly transitions: number;
  readonly consumers: number;
  readonly longestHistory: number;
  readonly runnerRssBytes: number;
  readonly orchestration: number;
}

/** 300 nodes with 2,000 tests: a scripted dbt in real time, started by the real supervisor in the deployed stack. */
export async function measureEmbeddedScale(
  folder: string,
  options: BenchOptions,
  say: (line: string) => void,
): Promise<EmbeddedScale[]> {
  const projects = FAILING.map((failing) => made(folder, `scale_${failing}`, failing, SHAPE));
  const first = made(folder, "scale_first", "none", { ...SHAPE, nodes: 5, tests: 5 });
  const stack = await startStack({
    configPath: writeConfig(folder, [first, ...projects], options),
    stateDir: join(folder, "state"),
    containerEnvironment: {},
    onProgress: say,
  });
  try {
    say("warming up …");
    await measureRun(stack, first);
    const measured: EmbeddedScale[] = [];
    for (const [at, project] of projects.entries()) measured.push(await measureOne(stack, project, FAILING[at]!, say));
    return measured;
  } finally {
    await stack.close();
  }
}

function made(folder: string, name: string, failing: Failing, shape: typeof SHAPE | object): BenchProject {
  const project = scaleProject({ ...SHAPE, ...shape, failing });
  const place = writeScaleFolder(join(folder, "projects", name), project, { threads: THREADS, speed: 1 });
  return scripted(name, place, project.shape.nodes);
}

async function measureOne(
  stack: BenchStack,
  project: BenchProject,
  failing: Failing,
  say: (line: string) => void,
): Promise<EmbeddedScale> {
  say(`${project.name} …`);
  const measured = await measureRun(stack, project);
  const ledger = ledgerFigures(measured);
  const { wallMs, dbtMs, tailMs } = timelineOf(measured);
  const { ended, begun, consumers } = lagsOf(measured);
  const { transitions, longestHistory } = stepFunctionsFigures(measured.histories);
  say(`${project.name}: ${measured.run.state} in ${seconds(wallMs)} s`);
  return {
    failing,
    state: measured.run.state,
    vertices: measured.plan.vertices.length,
    wallMs,
    dbtMs,
    tailMs,
    lagP95Ms: ended.p95,
    begunP95Ms: begun.p95,
    perNode: ledger.perNode,
    perTest: ledger.perTest,
    bytesPerVertex: ledger.bytesPerVertex,
    readUnits: ledger.readUnits,
    transitions,
    consumers,
    longestHistory,
    runnerRssBytes: measured.usage.runner.peakRssBytes,
    orchestration: priceOf(consumptionOf(measured, ledger)).orchestration,
  };
}

export function embeddedScaleTable(rows: readonly EmbeddedScale[]): Table {
  return {
    title: `${SHAPE.nodes} nodes with ${SHAPE.tests} tests on the embedded AWS, by a scripted dbt with ${THREADS} threads`,
    columns: [
      "fails",
      "verdict",
      "vertices",
      "wall s",
      "dbt s",
      "tail s",
      "lag p95",
      "begun p95",
      "writes/node",
      "/test",
      "B/vertex",
      "read units",
      "transitions",
      "consumers",
      "longest",
      "runner MiB",
      "price",
    ],
    rows: rows.map((row) => [
      row.failing,
      row.state,
      String(row.vertices),
      ...[row.wallMs, row.dbtMs, row.tailMs].map((ms) => seconds(ms)),
      seconds(row.lagP95Ms, 2),
      seconds(row.begunP95Ms, 2),
      fixed(row.perNode, 2),
      fixed(row.perTest, 2),
      fixed(row.bytesPerVertex, 0),
      fixed(row.readUnits, 0),
      String(row.transitions),
      String(row.consumers),
      String(row.longestHistory),
      mib(row.runnerRssBytes),
      dollars(row.orchestration),
    ]),
    notes: [
      "The deployed functions, the real supervisor, a real process in dbt's place that prints dbt's lines in real time.",
      `goals: writes ≤ ${GOALS.writesPerNode} a node and ≤ ${GOALS.writesPerTest} a test, a history of at most 20,000 events, runner ≤ ${mib(GOALS.runnerRssBytes)} MiB.`,
    ],
  };
}
