import { GOALS, PEER_FLAKY } from "./goals.ts";
import { loadNow } from "./machine.ts";
import { measureRun } from "./measured-run.ts";
import type { Bench } from "./overhead.ts";
import { warmParse } from "./plain-dbt.ts";
import { type BenchProject, CHAIN_MODELS, chain } from "./projects.ts";
import { fixed, seconds, type Table } from "./table.ts";
import { timelineOf } from "./timeline.ts";

/** A run of the chain, as the ledger and the warehouse's own audit rows tell it. */
export interface ChainRun {
  /** Null: no model fails. */
  readonly failAtDepth: number | null;
  readonly state: string;
  readonly load: number;
  readonly wallMs: number;
  /** RunTask to fence, of all tasks. */
  readonly containerStartsMs: readonly number[];
  /** Tasks of the run that started dbt. */
  readonly dbtProcesses: number;
  /** Tries of the vertex that was tried most. */
  readonly mostTries: number;
  /** Tries of all vertices. */
  readonly tries: number;
  /** Models that the warehouse says were built: by how often. */
  readonly builtOnce: number;
  readonly builtMoreOften: number;
}

export const FLAKY_DEPTHS = [1, 5, 10] as const;

/** The no-failure run first: the others are held against it. */
export async function measureChains(bench: Bench, projects: readonly BenchProject[]): Promise<ChainRun[]> {
  const runs: ChainRun[] = [];
  for (const [at, failAtDepth] of ([null, ...FLAKY_DEPTHS] as const).entries()) {
    const project = projects[at];
    if (project !== undefined) runs.push(await measureChain(bench, project, failAtDepth));
  }
  return runs;
}

export const chainProjects = (folder: string): BenchProject[] =>
  [null, ...FLAKY_DEPTHS].map((failAtDepth) => chain(folder, failAtDepth));

async function measureChain(bench: Bench, project: BenchProject, failAtDepth: number | null): Promise<ChainRun> {
  const { stack, warehouse, dbt, say } = bench;
  await warmParse(project, dbt);
  await warehouse.empty(project);
  say(`${project.name}: stepwatch …`);
  const load = loadNow();
  const measured = await measureRun(stack, project);
  const audit = await warehouse.query(`select node, count(*) from "${project.schema}".bench_audit group by node`);
  const models = audit.filter(([node = ""]) => node.startsWith("m_")).map(([, count]) => Number(count));
  const tries = measured.vertices.map((row) => row.tryTasks.length);
  const { wallMs } = timelineOf(measured);
  say(`${project.name}: ${measured.run.state} in ${seconds(wallMs)} s`);
  return {
    failAtDepth,
    state: measured.run.state,
    load,
    wallMs,
    containerStartsMs: measured.tasks.map(
      (task) => (measured.logs.get(task.task)?.said.get("fence passed") ?? Number.NaN) - task.claimedAtMs,
    ),
    dbtProcesses: [...measured.logs.values()].filter((log) => log.said.has("starting dbt")).length,
    mostTries: Math.max(...tries),
    tries: tries.reduce((total, count) => total + count, 0),
    builtOnce: models.filter((count) => count === 1).length,
    builtMoreOften: models.filter((count) => count > 1).length,
  };
}

export function chainTable(runs: readonly ChainRun[], pollIntervalSeconds: number): Table {
  const calm = runs.find((run) => run.failAtDepth === null);
  return {
    title: `A flaky root in a chain of ${CHAIN_MODELS} models (seconds)`,
    columns: [
      "fails once at",
      "verdict",
      "to verdict",
      "more",
      "containers",
      "dbt",
      "tries",
      "most",
      "once",
      "twice",
      "load",
    ],
    rows: runs.map((run) => [
      run.failAtDepth === null ? "nowhere" : `level ${run.failAtDepth}`,
      run.state,
      seconds(run.wallMs),
      calm === undefined || calm === run ? "-" : `+${seconds(run.wallMs - calm.wallMs)}`,
      run.containerStartsMs.map((ms) => seconds(ms)).join(" + "),
      String(run.dbtProcesses),
      String(run.tries),
      String(run.mostTries),
      String(run.builtOnce),
      String(run.builtMoreOften),
      fixed(run.load),
    ]),
    notes: [
      `to verdict: StartExecution to the verdict. more: beyond the run in which nothing fails. goal: ≤ ${GOALS.flakyTaskStarts} task starts more.`,
      `A task start here: container, dbt's own start and parse, the retry's delay (5 s) and the run's poll (${pollIntervalSeconds} s).`,
      "dbt: dbt processes of the run. tries, most: builds that really started a vertex, of all and of the one tried most.",
      `once, twice: models by their rows in the warehouse's own audit table; right is ${CHAIN_MODELS} and 0.`,
      `The peer, with a flaky model early in 20 nodes: ${PEER_FLAKY}.`,
    ],
  };
}
