import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { NODE_TYPES, TEST_TYPES } from "#core/dbt/resource-types.ts";
import type { Plan } from "#core/run/plan.ts";
import { viewOfRow } from "#core/run/planless.ts";
import {
  cutShort,
  iso,
  type NodeReport,
  nodeReport,
  type ReportClass,
  type TaskReport,
  taskReport,
  type VertexReport,
  vertexReport,
  warningOf,
} from "#core/run/report.ts";
import { stopReason } from "#core/run/stop-reason.ts";
import { type RunCause, type Verdict, verdict } from "#core/run/verdict.ts";
import { isGood, type VertexView, viewVertices } from "#core/run/vertex-view.ts";

/** The whole run, as `status --json`, the summary artefact and the terminal show it. */
export interface RunSummary {
  readonly contract: 1;
  readonly project: string;
  readonly runId: string;
  readonly round: number;
  readonly executionArn: string;
  readonly state: string;
  readonly verdict: string | null;
  readonly causes: readonly RunCause[];
  readonly counts: Readonly<Record<ReportClass, number>>;
  /** Of the good ones, those that dbt reused and did not build. */
  readonly reused: number;
  readonly timings: {
    readonly startedAt: string;
    readonly finishedAt: string | null;
    /** From the run's start to its end, or to now. */
    readonly wallMs: number;
    /** Wall milliseconds of all dbt processes together. */
    readonly dbtMs: number;
    /** From the last vertex's end to the run's end; null while it runs. */
    readonly tailMs: number | null;
  };
  readonly tasks: readonly TaskReport[];
  /** Models, seeds and snapshots. */
  readonly nodes: readonly NodeReport[];
  /** Tests and unit tests; one entry each, however many nodes they are on. */
  readonly tests: readonly VertexReport[];
  /** What else dbt runs or passes: functions, exposures, saved queries. They have no consumer. */
  readonly others: readonly VertexReport[];
  /** Vertices that dbt reported and the plan does not have. */
  readonly unplanned: readonly string[];
  readonly warnings: readonly string[];
  /** What run_results.json supplied and where it contradicts the log: normally nothing. */
  readonly drift: {
    readonly filled: readonly string[];
    readonly contradictions: readonly { uniqueId: string; log: string; file: string; knownReason: string | null }[];
  };
}

export interface SummaryInput {
  readonly run: RunRow;
  readonly plan: Plan | null;
  readonly rows: readonly VertexRow[];
  readonly tasks: readonly TaskRow[];
  readonly nowMs: number;
}

/** Puts a run together from what the ledger and the plan say. Pure; the same at any moment of a run. */
export function summarise(input: SummaryInput): RunSummary {
  const { run, plan, rows, tasks } = input;
  const views = plan ? viewVertices(plan, rows, tasks) : new Map<string, VertexView>();
  const planned = [...(plan?.vertices ?? [])];
  const planless = plan ? [] : rows.map((row) => viewOfRow(row, tasks));
  const all = [...planned.map((vertex) => views.get(vertex.uniqueId)!), ...planless];
  const reports = new Map(all.map((view) => [view.plan.uniqueId, vertexReport(view)]));
  const isNode = (view: VertexView) => NODE_TYPES.has(view.plan.resourceType);
  const isTest = (view: VertexView) => TEST_TYPES.has(view.plan.resourceType);
  const reportsOf = (views: readonly VertexView[]) => views.map((view) => reports.get(view.plan.uniqueId)!);
  const known = new Set(planned.map((vertex) => vertex.uniqueId));
  const result = run.state === "running" ? null : verdictOf(input);
  return {
    contract: 1,
    project: run.project,
    runId: run.runId,
    round: run.round,
    executionArn: run.executionArn,
    state: run.state,
    verdict: run.verdict ?? null,
    causes: result?.causes ?? [],
    counts: countsOf([...reports.values()]),
    reused: [...reports.values()].filter((report) => report.reused).length,
    timings: timingsOf(input),
    tasks: tasks.map(taskReport),
    nodes: all.filter(isNode).map((view) => nodeReport(view, plan, reports, views)),
    tests: reportsOf(all.filter(isTest)),
    others: reportsOf(all.filter((view) => !isNode(view) && !isTest(view))),
    unplanned: plan ? rows.filter((row) => !known.has(row.uniqueId)).map((row) => row.uniqueId) : [],
    warnings: [
      ...(plan?.warnings ?? []),
      ...[...reports.values()].flatMap((report) => warningOf(report) ?? []),
      ...builtOnFailed(all, views),
      ...tasks.flatMap((task) => cutShort(task, all) ?? []),
    ],
    drift: {
      filled: tasks.flatMap((task) => task.end?.filled ?? []),
      contradictions: tasks.flatMap((task) => task.end?.contradictions ?? []),
    },
  };
}

/** The verdict of a run by its rows: what settle-run writes and what the summary explains. */
export function verdictOf(input: SummaryInput): Verdict {
  const { run } = input;
  const select = JSON.stringify([run.input.select ?? [], run.settings.build.select ?? []]);
  return verdict({
    plan: input.plan,
    rows: input.rows,
    tasks: input.tasks,
    policy: run.settings.policy,
    // A deadline that passes after the last check is none: nothing was left to be done.
    stopReason: stopReason(run, run.readyAtMs ?? input.nowMs),
    fault: run.fault,
    selectsByState: /\b(state|source_status):/.test(select),
  });
}

function countsOf(reports: readonly VertexReport[]): Record<ReportClass, number> {
  const counts: Record<ReportClass, number> = {
    good: 0,
    failed: 0,
    interrupted: 0,
    not_built: 0,
    skipped: 0,
    doomed: 0,
    running: 0,
    waiting: 0,
  };
  for (const report of reports) counts[report.class] += 1;
  return counts;
}

function timingsOf({ run, rows, tasks, nowMs }: SummaryInput): RunSummary["timings"] {
  const endedAtMs = run.endedAtMs;
  const lastMs = rows.reduce((last, row) => Math.max(last, row.endedAtMs ?? 0), 0);
  return {
    startedAt: iso(run.startedAtMs)!,
    finishedAt: iso(endedAtMs),
    wallMs: (endedAtMs ?? nowMs) - run.startedAtMs,
    dbtMs: tasks.reduce((sum, task) => sum + (task.end?.dbtMs ?? soFarMs(task, nowMs)), 0),
    tailMs: endedAtMs !== undefined && lastMs > 0 ? Math.max(0, endedAtMs - lastMs) : null,
  };
}

/** Of a build that goes on: since its container began, which is a moment before dbt. */
const soFarMs = ({ state, startedAtMs }: TaskRow, nowMs: number): number =>
  state === "running" && startedAtMs !== undefined ? Math.max(0, nowMs - startedAtMs) : 0;

/**
 * `on_error: continue` (dbt 1.12) builds on what failed: such a table is good by dbt's word, its rows are not. That
 * stays so when a later build mends the parent, since nothing builds the child again.
 */
function builtOnFailed(all: readonly VertexView[], views: ReadonlyMap<string, VertexView>): string[] {
  return all.flatMap(({ plan, row }) => {
    if (row?.evidence !== true || !NODE_TYPES.has(plan.resourceType)) return [];
    const builtIn = row.statusTask ?? 0;
    const failedThen = (one: VertexView | undefined) =>
      one?.plan.onErrorContinue === true && (!isGood(one) || one.goodIn > builtIn);
    const parent = plan.gateParents.map((id) => views.get(id)).find(failedThen);
    if (parent === undefined) return [];
    const state = isGood(parent) ? "became good only after it" : "is not good";
    return [`${plan.uniqueId} was built on ${parent.plan.uniqueId}, which ${state} (on_error: continue).`];
  });
}
