import type { TaskRow } from "#core/contracts/ledger.ts";
import type { RunResults } from "#core/dbt/run-results.ts";
import { isOver, overAtMs, type VertexView } from "#core/run/judging/vertex-view.ts";
import { iso } from "#core/run/reporting/report.ts";
import { stopWords } from "#core/run/watching/task-stop.ts";

/** One build that was to build a vertex, as a person is told of it. */
export interface Attempt {
  readonly task: number;
  readonly kind: string;
  readonly size: string;
  readonly round: number;
  readonly startedAt: string | null;
  readonly tookMs: number | null;
  /** dbt's word on the vertex; null where the build was cut off, or goes on, before it had one, or nobody knows it any more. */
  readonly status: string | null;
  readonly message: string | null;
  /** What its build came to, where it was cut off or never began the vertex; null otherwise. */
  readonly build: string | null;
  readonly goesOn: boolean;
}

/** Tasks of which more than the vertex's row is needed: it has the newest word alone. */
export const olderTasks = (view: VertexView): number[] =>
  attemptTasks(view).filter((task) => task !== view.row?.statusTask);

/**
 * Each build that began or was given a vertex, oldest first. Of the newest the row has dbt's word; of an older one dbt's
 * own file, where it was kept.
 * @param results dbt's files by task
 */
export function attempts(
  view: VertexView,
  tasks: readonly TaskRow[],
  results: ReadonlyMap<number, RunResults>,
): Attempt[] {
  const rowOf = new Map(tasks.map((task) => [task.task, task]));
  return attemptTasks(view).flatMap((number) => {
    const task = rowOf.get(number);
    return task === undefined ? [] : [attempt(view, task, results.get(number))];
  });
}

/** The owner is one of them as soon as it was made for the vertex; a producer owns what it never came to. */
function attemptTasks({ row, owner }: VertexView): number[] {
  const tried = [...(row?.tryTasks ?? []), ...(row?.lostTasks ?? [])];
  const made = owner !== null && owner.kind !== "producer" ? [owner.task] : [];
  const said = row?.statusTask !== undefined && row.evidence === true ? [row.statusTask] : [];
  return [...new Set([...tried, ...said, ...made])].sort((a, b) => a - b);
}

function attempt({ row, plan }: VertexView, task: TaskRow, file: RunResults | undefined): Attempt {
  const told = wordOf(row?.statusTask === task.task ? row : undefined, file, plan.uniqueId);
  const { startedAtMs, endedAtMs, seconds, ...said } = told;
  const tookMs =
    startedAtMs !== undefined && endedAtMs !== undefined
      ? endedAtMs - startedAtMs
      : seconds === undefined
        ? null
        : Math.round(seconds * 1000);
  return {
    task: task.task,
    kind: task.kind,
    size: task.size,
    round: task.round,
    startedAt: iso(startedAtMs ?? task.startedAtMs),
    tookMs,
    ...said,
    build: said.status === null && wasCutOff(row, task) ? endOfBuild(task) : null,
    goesOn: !isOver(task),
  };
}

/** A build that tried the vertex and was not lost has said how it ended, whether or not that was kept. */
const wasCutOff = (row: VertexView["row"], { task }: TaskRow): boolean =>
  !row?.tryTasks.includes(task) || row.lostTasks.includes(task) || row.statusTask === task;

function wordOf(row: VertexView["row"] | undefined, file: RunResults | undefined, uniqueId: string) {
  if (row) {
    const { startedAtMs, endedAtMs, executionSeconds: seconds } = row;
    const isEnd = row.status !== undefined && row.status !== "started";
    return { status: isEnd ? row.status! : null, message: row.message ?? null, startedAtMs, endedAtMs, seconds };
  }
  const result = file?.results.find((one) => one.uniqueId === uniqueId);
  return {
    status: result?.status ?? null,
    message: result?.message ?? null,
    startedAtMs: result?.startedAtMs ?? undefined,
    endedAtMs: result?.endedAtMs ?? undefined,
    seconds: result?.executionSeconds ?? undefined,
  };
}

/** How a build ended that has no word on the vertex; null while it goes on. */
function endOfBuild(task: TaskRow): string | null {
  if (!isOver(task)) return null;
  const { end, stop, lastLaunchFailure } = task;
  if (end) return end.cause.sentence;
  if (stop?.neverStarted) return `It never started: ${lastLaunchFailure ?? stop.stoppedReason ?? "no reason given"}.`;
  return stop ? `${stopWords(stop)}.` : `It was over at ${iso(overAtMs(task))}.`;
}
