import type { TaskRow } from "#core/contracts/ledger.ts";
import type { MeasuredRun } from "./measured-run.ts";
import type { PlainBuild } from "./plain-dbt.ts";
import { fixed, seconds, type Table } from "./table.ts";

/** One part of a run's time, in milliseconds; NaN where one of its ends is not known. */
type Part = readonly [name: string, ms: number];

/** Where the seconds go before dbt's first vertex, and after its last. Parts are in the order of time and leave none out. */
export interface RunSeconds {
  readonly toFirst: readonly Part[];
  readonly afterLast: readonly Part[];
  /** dbt is ready → the plan is in the ledger: beside the build, which waits for nothing of it. */
  readonly planMs: number;
  /** First vertex → its first status is in the ledger. */
  readonly firstStatusMs: number;
  /** How long the container lives on for dbt's files, once the end is recorded; not a part of the run. */
  readonly uploadsMs: number;
  /** CPU of all containers but dbt's, beyond what they use before it is started; by vertex. */
  readonly runnerMsPerVertex: number;
  /** Parts of each later task, from its row on. */
  readonly later: readonly { readonly kind: string; readonly parts: readonly Part[] }[];
}

const none = Number.NaN;

/** From the row of a task to dbt's first vertex. */
function startOf(task: TaskRow): Part[] {
  const at = task.end?.moments ?? {};
  const moments = [
    ["container", at.startedAtMs],
    ["code", at.loadedAtMs],
    ["fence", at.fencedAtMs],
    ["brief", at.briefedAtMs],
    ["to dbt", at.dbtStartedAtMs],
    ["dbt loads", at.dbtSpokeAtMs],
    ["parse", at.dbtReadyAtMs],
    ["first", at.firstVertexAtMs],
  ] as const;
  let before = task.claimedAtMs;
  return moments.map(([name, moment = none]): Part => {
    const ms = moment - before;
    before = moment;
    return [name, ms];
  });
}

const beyondStart = (tasks: readonly TaskRow[]): number =>
  tasks.reduce((total, { end }) => total + (end?.runner ? end.runner.cpuMs - end.runner.startCpuMs : 0), 0);

export function secondsOf({ startedAtMs, run, tasks, histories, logs, plan }: MeasuredRun): RunSeconds {
  const [producer] = tasks;
  const last = tasks.at(-1);
  const [first, ended] = [producer?.end?.moments ?? {}, last?.end?.moments ?? {}];
  const recordedAtMs = last?.end?.endedAtMs ?? none;
  const settleAtMs = histories.run.entered["Settle run"] ?? none;
  const uploadedAtMs = (last && logs.get(last.task)?.said.get("artefacts are uploaded")) ?? none;
  return {
    toFirst: [
      ["lock", run.startedAtMs - startedAtMs],
      ["decided", (producer?.claimedAtMs ?? none) - run.startedAtMs],
      ...(producer ? startOf(producer) : []),
    ],
    afterLast: [
      ["dbt ends", (ended.dbtEndedAtMs ?? none) - (ended.lastVertexAtMs ?? none)],
      ["statuses", (ended.durableAtMs ?? none) - (ended.dbtEndedAtMs ?? none)],
      ["recorded", recordedAtMs - (ended.durableAtMs ?? none)],
      ["noticed", settleAtMs - recordedAtMs],
      ["settled", (run.endedAtMs ?? none) - settleAtMs],
    ],
    planMs: (first.plannedAtMs ?? none) - (first.dbtReadyAtMs ?? none),
    firstStatusMs: (first.firstDurableAtMs ?? none) - (first.firstVertexAtMs ?? none),
    runnerMsPerVertex: beyondStart(tasks) / plan.vertices.length,
    uploadsMs: uploadedAtMs - recordedAtMs,
    later: tasks.slice(1).map((task) => ({ kind: task.kind, parts: startOf(task) })),
  };
}

/** A measured run, and plain dbt beside it where there was one. */
export interface SecondsRow {
  readonly project: string;
  readonly seconds: RunSeconds;
  readonly plain?: PlainBuild;
}

const sum = (parts: readonly Part[]): number => parts.reduce((total, [, ms]) => total + ms, 0);
const cells = (parts: readonly Part[]): string[] => parts.map(([, ms]) => seconds(ms, 2));
const names = (parts: readonly Part[] | undefined): string[] => (parts ?? []).map(([name]) => name);

/** Where the seconds go that are not dbt's building: the account that each part is shortened by. */
export function secondsTables(rows: readonly SecondsRow[]): Table[] {
  return [beforeFirst(rows), afterLast(rows), ...laterTasks(rows), onFargate()];
}

function beforeFirst(rows: readonly SecondsRow[]): Table {
  return {
    title: "From StartExecution to dbt's first vertex (seconds)",
    columns: ["project", ...names(rows[0]?.seconds.toFirst), "all", "plain dbt", "plan", "first status"],
    rows: rows.map(({ project, seconds: { toFirst, planMs, firstStatusMs }, plain }) => [
      project,
      ...cells(toFirst),
      seconds(sum(toFirst), 2),
      seconds(plain?.toFirstVertexMs, 2),
      ...[planMs, firstStatusMs].map((ms) => seconds(ms, 2)),
    ]),
    notes: [
      "lock: StartExecution → the run's row. decided: → the producer's row. container: → its process (RunTask, start).",
      "code: → the runner is loaded. fence: → it may build. brief: → it knows what. to dbt: → dbt's process.",
      "dbt loads: → its first line. parse: → dbt says how many threads it has (connection, start hooks). first: → its first vertex.",
      "plain dbt: its process → its first vertex, without any of ours. plan: dbt's thread line → the plan is in the ledger, beside the build.",
      "first status: dbt's first vertex → the first status in the ledger.",
    ],
  };
}

function afterLast(rows: readonly SecondsRow[]): Table {
  return {
    title: "From dbt's last vertex to the verdict (seconds)",
    columns: ["project", ...names(rows[0]?.seconds.afterLast), "all", "plain dbt", "uploads"],
    rows: rows.map(({ project, seconds: { afterLast: parts, uploadsMs }, plain }) => [
      project,
      ...cells(parts),
      seconds(sum(parts), 2),
      seconds(plain?.afterLastVertexMs, 2),
      seconds(uploadsMs, 2),
    ]),
    notes: [
      "dbt ends: dbt's last status → its process is reaped (end hooks, its files, Python's end). statuses: → all are in the ledger.",
      "recorded: → the end of the build, rows of failed tests before it. noticed: → Settle run is entered (wake or turn, check).",
      "settled: → the verdict in the run's row. plain dbt: its last status → its exit. uploads: dbt's files, while the run goes on.",
    ],
  };
}

function laterTasks(rows: readonly SecondsRow[]): Table[] {
  const later = rows.flatMap(({ project, seconds: run }) => run.later.map((task) => ({ project, ...task })));
  if (later.length === 0) return [];
  return [
    {
      title: "Later tasks, from their row to dbt's first vertex (seconds)",
      columns: ["project", "task", ...names(later[0]?.parts), "all"],
      rows: later.map(({ project, kind, parts }) => [project, kind, ...cells(parts), seconds(sum(parts), 2)]),
      notes: ["As above. parse: with the partial parse of the run's first task, where dbt takes it."],
    },
  ];
}

/** Published figures, as numbers of seconds. None of them is measured here, and none goes into a sum with what is. */
const PUBLISHED = [
  ["container", 20, 60, "AWS's documentation and public issues on Fargate's launches; 45 to 50 s were seen in 2026"],
] as const;

function onFargate(): Table {
  return {
    title: "On Fargate, by published figures: NOT measured, in no sum above (seconds)",
    columns: ["part", "from", "to"],
    rows: PUBLISHED.map(([part, from, to]) => [part, fixed(from, 0), fixed(to, 0)]),
    notes: [
      ...PUBLISHED.map(([part, , , source]) => `${part}: ${source}; slim images help above 250 MB.`),
      "All other parts are told by each run's own rows there too (`end.moments` of its tasks).",
    ],
  };
}
