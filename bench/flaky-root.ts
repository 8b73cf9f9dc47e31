import { GOALS, PEER_FLAKY } from "./goals.ts";
import { loadNow } from "./machine.ts";
import { type MeasuredRun, measureRun } from "./measured-run.ts";
import type { Bench } from "./overhead.ts";
import { warmParse } from "./plain-dbt.ts";
import { type BenchProject, CHAIN_MODELS, chain } from "./projects.ts";
import { type RunSeconds, secondsOf, secondsTables } from "./seconds.ts";
import { fixed, seconds, type Table } from "./table.ts";
import { timelineOf } from "./timeline.ts";

/** A run of the chain, as the ledger and the warehouse's own audit rows tell it. */
export interface ChainRun {
  /** Null: no model fails. */
  readonly failAtDepth: number | null;
  readonly state: string;
  readonly load: number;
  readonly wallMs: number;
  readonly tasks: readonly TaskPhases[];
  readonly seconds: RunSeconds;
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

/** Where the time of one task goes. Milliseconds. */
export interface TaskPhases {
  readonly kind: string;
  /** The end of the task before it (the run's start, for the first) → its row: what the decision waits for. */
  readonly decidedMs: number;
  /** Its row → the fence. */
  readonly containerMs: number;
  /** The fence → dbt prints its first vertex. */
  readonly toFirstVertexMs: number;
  /** First vertex → the task's end is recorded. */
  readonly buildMs: number;
}

const FLAKY_DEPTHS = [1, 5, 10] as const;

/** A chain, and the level at which a model of it fails once. */
export interface ChainProject {
  readonly project: BenchProject;
  readonly failAtDepth: number | null;
}

/** The one without a failure first: the others are held against it. */
export const chainProjects = (folder: string): ChainProject[] =>
  [null, ...FLAKY_DEPTHS].map((failAtDepth) => ({ project: chain(folder, failAtDepth), failAtDepth }));

export async function measureChain(bench: Bench, { project, failAtDepth }: ChainProject): Promise<ChainRun> {
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
    tasks: phasesOf(measured),
    seconds: secondsOf(measured),
    dbtProcesses: [...measured.logs.values()].filter((log) => log.said.has("starting dbt")).length,
    mostTries: Math.max(...tries),
    tries: tries.reduce((total, count) => total + count, 0),
    builtOnce: models.filter((count) => count === 1).length,
    builtMoreOften: models.filter((count) => count > 1).length,
  };
}

function phasesOf({ startedAtMs, tasks, logs }: MeasuredRun): TaskPhases[] {
  let beforeMs = startedAtMs;
  return tasks.map((task) => {
    const log = logs.get(task.task);
    const fenceAtMs = log?.said.get("fence passed") ?? Number.NaN;
    const firstAtMs = Math.min(...(log?.started.values() ?? []));
    const overAtMs = task.end?.endedAtMs ?? Number.NaN;
    const phases = {
      kind: task.kind,
      decidedMs: task.claimedAtMs - beforeMs,
      containerMs: fenceAtMs - task.claimedAtMs,
      toFirstVertexMs: firstAtMs - fenceAtMs,
      buildMs: overAtMs - firstAtMs,
    };
    beforeMs = overAtMs;
    return phases;
  });
}

export const chainTables = (runs: readonly ChainRun[], turnSeconds: number): Table[] => [
  chainTable(runs, turnSeconds),
  taskTable(runs),
  ...secondsTables(runs.map((run) => ({ project: placeOf(run), seconds: run.seconds }))),
];

const placeOf = ({ failAtDepth }: ChainRun): string => (failAtDepth === null ? "nowhere" : `level ${failAtDepth}`);

function taskTable(runs: readonly ChainRun[]): Table {
  return {
    title: "The tasks of these runs (seconds)",
    columns: ["fails once at", "task", "decided", "container", "to first vertex", "build"],
    rows: runs.flatMap((run) =>
      run.tasks.map(({ kind, decidedMs, containerMs, toFirstVertexMs, buildMs }) => [
        placeOf(run),
        kind,
        ...[decidedMs, containerMs, toFirstVertexMs, buildMs].map((ms) => seconds(ms)),
      ]),
    ),
    notes: [
      "decided: the end of the task before (the run's start) → the task's row: the retry's delay, a hold, the run's turn.",
      "A recovery build may be decided before the fallback has quite ended: what gates it is good as soon as it is written.",
      "container: its row → the fence. to first vertex: fence → dbt's first vertex, dbt's own start and parse.",
      "build: first vertex → the end of the task is recorded.",
    ],
  };
}

function chainTable(runs: readonly ChainRun[], turnSeconds: number): Table {
  const calm = runs.find((run) => run.failAtDepth === null);
  return {
    title: `A flaky root in a chain of ${CHAIN_MODELS} models (seconds)`,
    columns: ["fails once at", "verdict", "to verdict", "more", "dbt", "tries", "most", "once", "twice", "load"],
    rows: runs.map((run) => [
      placeOf(run),
      run.state,
      seconds(run.wallMs),
      calm === undefined || calm === run ? "-" : `+${seconds(run.wallMs - calm.wallMs)}`,
      String(run.dbtProcesses),
      String(run.tries),
      String(run.mostTries),
      String(run.builtOnce),
      String(run.builtMoreOften),
      fixed(run.load),
    ]),
    notes: [
      `to verdict: StartExecution to the verdict. more: beyond the run in which nothing fails. goal: ≤ ${GOALS.flakyTaskStarts} task starts more.`,
      `A task start here: container, dbt's own start and parse, the retry's delay (5 s)${turnSeconds === 0 ? "" : ` and the run's turn (${turnSeconds} s)`}.`,
      "dbt: dbt processes of the run. tries, most: builds that really started a vertex, of all and of the one tried most.",
      `once, twice: models by their rows in the warehouse's own audit table; right is ${CHAIN_MODELS} and 0.`,
      `The peer, with a flaky model early in 20 nodes: ${PEER_FLAKY}.`,
    ],
  };
}
