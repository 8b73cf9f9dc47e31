import { SIGNAL_CAUSES } from "#core/contracts/cause.ts";
import type { TaskRow } from "#core/contracts/ledger.ts";
import type { reportClasses } from "#core/contracts/run-tally.ts";
import { counted } from "#core/counted.ts";
import { doubtSentence } from "#core/run/judging/silence.ts";
import type { VertexView } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { testsOf } from "#core/run/watching/consumer.ts";
import { stopWords } from "#core/run/watching/task-stop.ts";

/** A vertex's class as reports show it: dbt's classes, `doomed`, and two for what has no result yet. */
export type ReportClass = (typeof reportClasses)[number];

/** One vertex as people and `--json` see it. Times are ISO 8601 in UTC. */
export interface VertexReport {
  readonly uniqueId: string;
  readonly resourceType: string;
  readonly status: string | null;
  readonly class: ReportClass;
  readonly tries: number;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly message: string | null;
  readonly rootCause: string | null;
  readonly reason: string | null;
  readonly failures: number | null;
  /** Good by dbt's state, which had it already: not built by this run (dbt 2's `reused`). */
  readonly reused: boolean;
  readonly relation: string | null;
}

export interface NodeReport extends VertexReport {
  /** How its consumer execution ended; null if it has not, or if the node was never reached. */
  readonly outcome: "green" | "red" | "skipped" | null;
  /** How the consumer of its data tests ended; null unless they have one (testBehavior: after_each). */
  readonly testsOutcome: "green" | "red" | "skipped" | null;
  readonly tests: readonly {
    readonly uniqueId: string;
    readonly status: string | null;
    readonly class: ReportClass;
    /** All nodes that the test is on, this one among them: a test over two models makes both red. */
    readonly on?: readonly string[];
  }[];
  /** Batches of a microbatch model with dbt's word on each (1.9 to 1.12 print them); empty for anything else. */
  readonly batches: readonly { readonly name: string; readonly status: string }[];
}

export interface TaskReport {
  readonly task: number;
  readonly kind: string;
  readonly reason: string;
  readonly state: string;
  readonly size: string;
  readonly vertices: number | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly exitCode: number | null;
  readonly end: string | null;
  readonly dbtMs: number | null;
  readonly dbtVersion: string | null;
  readonly taskArn: string | null;
  /** When its container last gave a sign of life. */
  readonly heartbeatAt: string | null;
}

/** Stands in the place of dbt's word where dbt passes over a vertex and that is right. */
export const NOTHING_TO_BUILD = "nothing to build";

/** ISO 8601 in UTC; null for a moment that has not come. */
export const iso = (ms: number | undefined): string | null =>
  ms === undefined || ms === 0 ? null : new Date(ms).toISOString();

/** Good, and a build that ran it before was killed. */
const isRebuilt = (view: VertexView): boolean => view.class === "good" && view.allLost > 0;

const REBUILT = "Rebuilt after a kill.";

/** A person's word on a vertex, for people. */
function markWords({ marked, row }: VertexView): string | null {
  if (!marked || !row?.mark) return null;
  const { as, by, atMs, reason } = row.mark;
  return `Marked ${as === "good" ? "good" : "to be skipped"} by ${by}, ${iso(atMs)}: ${reason}`;
}

/** A silent ephemeral that must have failed is not built for the step, which builds it with what is below it. */
export const shownClass = (view: VertexView): VertexView["class"] => (view.doubt === "failed" ? "failed" : view.class);

/** One vertex. The times of an older try are left out once a newer task has it. */
export function vertexReport(view: VertexView): VertexReport {
  const row = view.row;
  const superseded =
    view.owner !== null && row?.statusTask !== undefined && row.statusTask !== view.owner.task && !view.free;
  return {
    uniqueId: view.plan.uniqueId,
    resourceType: view.plan.resourceType,
    status: row?.status ?? (view.class === "good" && !view.plan.builds ? NOTHING_TO_BUILD : null),
    class: row?.final === "doomed" ? "doomed" : shownClass(view),
    tries: view.allTries,
    startedAt: superseded ? null : iso(row?.startedAtMs),
    finishedAt: superseded ? null : iso(row?.endedAtMs),
    message: row?.message ?? doubtSentence(view),
    rootCause: row?.rootCause ?? null,
    reason: row?.finalReason ?? markWords(view) ?? view.plan.leftOut ?? (isRebuilt(view) ? REBUILT : null),
    failures: row?.failures ?? null,
    reused: row?.status === "reused",
    relation: row?.relation ?? null,
  };
}

/** The same of a node, with its tests by their reports. */
export function nodeReport(
  view: VertexView,
  plan: Plan | null,
  reports: ReadonlyMap<string, VertexReport>,
  views: ReadonlyMap<string, VertexView>,
): NodeReport {
  const tests = plan ? testsOf(plan, view.plan.uniqueId).map((id) => reports.get(id)!) : [];
  return {
    ...reports.get(view.plan.uniqueId)!,
    outcome: view.row?.outcome ?? null,
    testsOutcome: view.row?.testsOutcome ?? null,
    batches: view.row?.batches ?? [],
    tests: tests.map((test) => ({
      uniqueId: test.uniqueId,
      status: test.status,
      class: test.class,
      on: views.get(test.uniqueId)?.plan.nodes ?? [],
    })),
  };
}

/** How a task ended whose container recorded no end: its launch came to nothing, or ECS tells how it stopped. */
const endWithoutWord = ({ stop, lastLaunchFailure }: TaskRow): string | undefined =>
  stop === undefined || stop.neverStarted ? (stop?.stoppedReason ?? lastLaunchFailure) : stopWords(stop);

export function taskReport(task: TaskRow): TaskReport {
  return {
    task: task.task,
    kind: task.kind,
    reason: task.reason,
    state: task.state,
    size: task.size,
    vertices: task.setSize ?? null,
    startedAt: iso(task.startedAtMs),
    finishedAt: iso(task.end?.endedAtMs ?? task.stop?.stoppedAtMs),
    exitCode: task.end?.exitCode ?? task.stop?.exitCode ?? null,
    end: task.end?.cause.sentence ?? endWithoutWord(task) ?? null,
    heartbeatAt: iso(task.heartbeatAtMs),
    dbtMs: task.end?.dbtMs ?? null,
    dbtVersion: task.dbtVersion ?? task.end?.dbtVersion ?? null,
    taskArn: task.fencedBy ?? task.taskArn ?? null,
  };
}

/**
 * What every summary says of a build that a signal ended, green ones too (behaviour D4): a person should know that a
 * task is too small, or that somebody ends it.
 */
export function cutShort(task: TaskRow, views: Iterable<VertexView>): string | null {
  const how = endedBySignal(task);
  if (how === null) return null;
  const hit = [...views].filter((view) => isHitBy(view, task.task));
  const again = hit.filter(isRebuilt).length;
  const after =
    again === 0
      ? ""
      : ` ${counted(again, "vertex that it ran was", "vertices that it ran were")} rebuilt after the kill.`;
  return `Task ${task.task} (${task.kind}) was cut short: ${how}${after}`;
}

const isHitBy = ({ row }: VertexView, task: number): boolean =>
  row !== null && (row.lostTasks.includes(task) || (row.statusTask === task && row.status === "started"));

function endedBySignal({ end, stop, state }: TaskRow): string | null {
  if (state !== "over") return null;
  if (end) return SIGNAL_CAUSES.has(end.cause.kind) ? end.cause.sentence : null;
  if (stop === undefined || stop.neverStarted) return null;
  return `${stopWords(stop)}.`;
}

/** The line of a vertex that warned, as `warnings` has it; null for any other vertex. */
export const warningOf = (report: Pick<VertexReport, "uniqueId" | "status" | "message" | "failures">): string | null =>
  report.status === "warn" ? `${report.uniqueId}: ${report.message ?? rowsFound(report.failures)}` : null;

/** dbt 2 has no sentence for a test that warned, only the count. */
const rowsFound = (failures: number | null): string =>
  failures === null ? "warn" : `warned, ${counted(failures, "result")}`;
