import { loadNow } from "./machine.ts";
import { type MeasuredRun, measureRun } from "./measured-run.ts";
import type { Bench } from "./overhead.ts";
import { warmParse } from "./plain-dbt.ts";
import { type BenchProject, LONG_MODELS, longBuild } from "./projects.ts";
import { fixed, seconds, type Table } from "./table.ts";
import { timelineOf } from "./timeline.ts";

/** One of the three runs that are held against each other. */
export interface EarlyProject {
  readonly project: BenchProject;
  readonly mode: "nothing fails" | "recovery: after" | "recovery: early";
}

/** A run of the long build, as the ledger and the warehouse's own audit rows tell it. */
export interface EarlyRun {
  readonly mode: EarlyProject["mode"];
  readonly state: string;
  readonly load: number;
  readonly wallMs: number;
  /** The producer's first vertex → its end. */
  readonly producerMs: number;
  /** The producer's first vertex → the flaky model's first end; null where nothing fails. */
  readonly failedAfterMs: number | null;
  /** Vertices that the producer did not build. */
  readonly left: number;
  readonly tasks: number;
  /** Of them, those that were claimed before the producer ended. */
  readonly beside: number;
  readonly tries: number;
  readonly builtOnce: number;
  readonly builtMoreOften: number;
}

/** The one without a failure first: the others are held against it. */
export const earlyProjects = (folder: string): EarlyProject[] => [
  { project: longBuild(folder, "long", false, {}), mode: "nothing fails" },
  { project: longBuild(folder, "long_after", true, {}), mode: "recovery: after" },
  // The generator's hooks make a table and a sequence if they are not there.
  {
    project: longBuild(folder, "long_early", true, { recovery: "early", concurrentHooks: true }),
    mode: "recovery: early",
  },
];

export async function measureEarly(bench: Bench, { project, mode }: EarlyProject): Promise<EarlyRun> {
  const { stack, warehouse, dbt, say } = bench;
  await warmParse(project, dbt);
  await warehouse.empty(project);
  say(`${project.name}: stepwatch …`);
  const load = loadNow();
  const measured = await measureRun(stack, project);
  const audit = await warehouse.query(`select node, count(*) from "${project.schema}".bench_audit group by node`);
  const models = audit.filter(([node = ""]) => node.startsWith("m_")).map(([, count]) => Number(count));
  const { wallMs } = timelineOf(measured);
  say(`${project.name}: ${measured.run.state} in ${seconds(wallMs)} s`);
  const [producer, ...others] = measured.tasks;
  const overAtMs = producer?.end?.endedAtMs ?? Number.NaN;
  const { run, vertices, tasks } = measured;
  return {
    mode,
    state: run.state,
    load,
    wallMs,
    producerMs: overAtMs - firstVertexMs(measured),
    failedAfterMs: failedAfter(measured),
    left: vertices.filter((row) => row.statusTask !== 1).length,
    tasks: tasks.length,
    beside: others.filter((task) => task.claimedAtMs < overAtMs).length,
    tries: vertices.reduce((total, row) => total + row.tryTasks.length, 0),
    builtOnce: models.filter((count) => count === 1).length,
    builtMoreOften: models.filter((count) => count > 1).length,
  };
}

const firstVertexMs = ({ logs }: MeasuredRun): number => Math.min(...(logs.get(1)?.started.values() ?? []));

function failedAfter(measured: MeasuredRun): number | null {
  const flaky = measured.vertices.find((row) => row.tryTasks.length > 1);
  const endedAtMs = flaky && measured.logs.get(1)?.ended.get(flaky.uniqueId);
  return endedAtMs === undefined ? null : endedAtMs - firstVertexMs(measured);
}

export function earlyTable(runs: readonly EarlyRun[], turnSeconds: number): Table {
  const calm = runs.find((run) => run.failedAfterMs === null);
  const more = (run: EarlyRun) => {
    if (calm === undefined || calm === run) return "-";
    const ms = run.wallMs - calm.wallMs;
    return `${ms < 0 ? "" : "+"}${seconds(ms)}`;
  };
  const share = ({ failedAfterMs, producerMs }: EarlyRun) =>
    failedAfterMs === null ? "-" : `${fixed((100 * failedAfterMs) / producerMs, 0)} %`;
  return {
    title: `A flaky model early in a long build of ${LONG_MODELS} models (seconds)`,
    columns: [
      "run",
      "verdict",
      "to green",
      "more",
      "producer",
      "fails at",
      "of it",
      "left",
      "tasks",
      "beside",
      "tries",
      "once",
      "twice",
      "load",
    ],
    rows: runs.map((run) => [
      run.mode,
      run.state,
      seconds(run.wallMs),
      more(run),
      seconds(run.producerMs),
      seconds(run.failedAfterMs),
      share(run),
      String(run.left),
      String(run.tasks),
      String(run.beside),
      String(run.tries),
      String(run.builtOnce),
      String(run.builtMoreOften),
      fixed(run.load),
    ]),
    notes: [
      "to green: StartExecution to the verdict. more: beyond the run in which nothing fails. producer: its first vertex to its end.",
      "fails at, of it: when the model failed, from the producer's first vertex on, and which share of the producer that is.",
      "left: vertices that another task built in the end. beside: tasks that were claimed while the producer still built.",
      `A task start here: container, dbt's own start and parse, the retry's delay (5 s)${turnSeconds === 0 ? "" : ` and the run's turn (${turnSeconds} s)`}.`,
      `once, twice: models by their rows in the warehouse's own audit table; right is ${LONG_MODELS} and 0.`,
    ],
  };
}
