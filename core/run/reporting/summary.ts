import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { PastRound, RoundRequest } from "#core/contracts/rounds.ts";
import { isFullRefresh } from "#core/contracts/run-input.ts";
import { NO_COUNTS } from "#core/contracts/run-tally.ts";
import { NODE_TYPES, TEST_TYPES } from "#core/dbt/resource-types.ts";
import { isDroppedWith, isReplaced } from "#core/run/deciding/dropped-views.ts";
import { earlyHeldBack } from "#core/run/deciding/early-refusal.ts";
import { viewOfRow } from "#core/run/judging/planless.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import { passedOverSteps, selectsByState, stepsOf } from "#core/run/judging/run-steps.ts";
import { isGood, type VertexView, viewVertices } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { scheduledAtMsOf } from "#core/run/planning/run-dates.ts";
import { estimateRun, type RunCost } from "#core/run/reporting/estimate.ts";
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
} from "#core/run/reporting/report.ts";
import { unwatchedNodes } from "#core/run/reporting/unwatched.ts";
import { type RunCause, type Verdict, verdict } from "#core/run/reporting/verdict.ts";
import { overdue, overdueSentence } from "#core/run/watching/node-timeout.ts";
import { quietWarnings } from "#core/run/watching/quiet.ts";
import { requestedStop, stopReason } from "#core/run/watching/stop-reason.ts";

/** The whole run, as `status --json`, the summary artefact and the terminal show it. */
export interface RunSummary {
  readonly contract: 1;
  readonly project: string;
  readonly runId: string;
  /** The job that it is a run of; null without one. */
  readonly job: string | null;
  /** The moment that it works on, whenever it began. */
  readonly scheduledAt: string;
  readonly round: number;
  readonly executionArn: string;
  readonly state: string;
  readonly verdict: string | null;
  /** A stop that somebody asked for, also while it is on its way; null if nobody did. */
  readonly stop: {
    readonly requestedAt: string;
    readonly by: string | null;
    readonly reason: string;
    /** What was building then is let end. */
    readonly afterCurrent: boolean;
  } | null;
  readonly causes: readonly RunCause[];
  readonly counts: Readonly<Record<ReportClass, number>>;
  /** Of the good ones, those that dbt reused and did not build. */
  readonly reused: number;
  /** What those took when they were last built: what this run has saved. Null until its verdict, and where nobody knows. */
  readonly savedMs: number | null;
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
  /** Vertices that count as good, or as left out, by a person's word. */
  readonly byHand: readonly { uniqueId: string; as: "good" | "skip"; by: string; at: string; reason: string }[];
  /** Why the present round was opened; null in a run's first. */
  readonly opening: RoundReport["opening"];
  /** Rounds that have ended before, oldest first. */
  readonly rounds: readonly RoundReport[];
  /** The run that this one goes on with. */
  readonly resumed: string | null;
  /** Estimated at list prices, so far if the run goes on; null where the size of its tasks is not known. */
  readonly cost: RunCost | null;
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
  const round = roundOf(run, plan);
  const views = plan ? viewVertices(plan, rows, tasks, round) : new Map<string, VertexView>();
  const planned = [...(plan?.vertices ?? [])];
  const planless = plan ? [] : rows.map((row) => viewOfRow(row, tasks));
  const all = [...planned.map((vertex) => views.get(vertex.uniqueId)!), ...planless];
  const reports = new Map(all.map((view) => [view.plan.uniqueId, vertexReport(view)]));
  const isNode = (view: VertexView) => NODE_TYPES.has(view.plan.resourceType);
  const isTest = (view: VertexView) => TEST_TYPES.has(view.plan.resourceType);
  const reportsOf = (views: readonly VertexView[]) => views.map((view) => reports.get(view.plan.uniqueId)!);
  const known = new Set(planned.map((vertex) => vertex.uniqueId));
  const result = run.state === "running" ? null : verdictOf(input);
  const warnings = [
    ...(plan?.warnings ?? []),
    ...[plan && earlyHeldBack(plan, run.settings.policy)].filter((reason) => reason !== null),
    ...[...reports.values()].flatMap((report) => warningOf(report) ?? []),
    ...builtOnFailed(all, views),
    ...staleBelow(all, views, isFullRefresh(run)),
    ...overdue(all, run.settings.policy, input.nowMs).map(overdueSentence),
    ...passedOverSteps(stepsOf(run), { tasks, round, policy: run.settings.policy }),
    ...tasks.flatMap(quietWarnings),
    ...tasks.flatMap((task) => cutShort(task, all) ?? []),
    ...[plan && unwatchedNodes(run, plan, rows, tasks, round)].filter((sentence) => sentence !== null),
  ];
  return {
    contract: 1,
    project: run.project,
    runId: run.runId,
    job: run.settings.job?.name ?? null,
    scheduledAt: new Date(scheduledAtMsOf(run)).toISOString(),
    round: run.round,
    executionArn: run.executionArn,
    state: run.state,
    verdict: run.verdict ?? null,
    stop: stopOf(run),
    causes: result?.causes ?? [],
    counts: countsOf([...reports.values()]),
    reused: [...reports.values()].filter((report) => report.reused).length,
    savedMs: run.tally?.savedMs ?? null,
    timings: timingsOf(input),
    tasks: tasks.map(taskReport),
    nodes: all.filter(isNode).map((view) => nodeReport(view, plan, reports, views)),
    tests: reportsOf(all.filter(isTest)),
    others: reportsOf(all.filter((view) => !isNode(view) && !isTest(view))),
    unplanned: plan ? rows.filter((row) => !known.has(row.uniqueId)).map((row) => row.uniqueId) : [],
    warnings,
    cost: estimateRun({ run, rows, tasks, warnings: warnings.length, nowMs: input.nowMs }),
    byHand: all.flatMap(byHandOf),
    opening: openingOf(run.opening),
    rounds: (run.rounds ?? []).map(roundReport),
    resumed: run.resumed ?? null,
    drift: {
      filled: tasks.flatMap((task) => task.end?.filled ?? []),
      contradictions: tasks.flatMap((task) => task.end?.contradictions ?? []),
    },
  };
}

/** One round that has ended. */
export interface RoundReport {
  readonly round: number;
  readonly state: string;
  readonly verdict: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly summaryKey: string | null;
  /** Who or what opened it, and why; null of a run's first. */
  readonly opening: {
    readonly by: RoundRequest["by"];
    readonly who: string | null;
    readonly reason: string | null;
    readonly at: string | null;
    readonly nodes: readonly string[] | null;
  } | null;
}

function openingOf(opening: RoundRequest | undefined): RoundReport["opening"] {
  if (opening === undefined) return null;
  const { by, who = null, reason = null, atMs, nodes = null } = opening;
  return { by, who, reason, at: iso(atMs), nodes };
}

const roundReport = ({
  round,
  state,
  verdict,
  startedAtMs,
  endedAtMs,
  summaryKey,
  opening,
}: PastRound): RoundReport => ({
  round,
  state,
  verdict,
  startedAt: iso(startedAtMs),
  finishedAt: iso(endedAtMs),
  summaryKey: summaryKey ?? null,
  opening: openingOf(opening),
});

function byHandOf({ marked, row }: VertexView): RunSummary["byHand"][number][] {
  if (!marked || !row?.mark) return [];
  const { as, by, atMs, reason } = row.mark;
  return [{ uniqueId: row.uniqueId, as, by, at: iso(atMs)!, reason }];
}

/**
 * Nodes that are older than what they are built from, since that was built again and they were not (a person named it),
 * in this round or in one before. What was built on a failure is told of elsewhere.
 * @param isWhole the run's own builds are full refreshes
 */
function staleBelow(all: readonly VertexView[], views: ReadonlyMap<string, VertexView>, isWhole: boolean): string[] {
  return all.flatMap(({ plan, adapterType, goodIn, marked }) => {
    if (goodIn === 0 || marked || !NODE_TYPES.has(plan.resourceType) || !plan.builds) return [];
    const newer = plan.gateParents.map((id) => views.get(id)).find((up) => up !== undefined && isNewer(up, goodIn));
    if (newer === undefined) return [];
    const older = `${plan.uniqueId} is older than ${newer.plan.uniqueId}, which was built again without what is below it`;
    const lost = `${adapterType} drops a view with the table that it reads: it may be gone`;
    const isLost =
      isDroppedWith(plan, adapterType) && isReplaced(newer.plan, isWhole || newer.owner?.fullRefresh === true);
    return [isLost ? `${older}; ${lost}.` : `${older}.`];
  });
}

const isNewer = ({ plan, goodIn }: VertexView, than: number): boolean =>
  NODE_TYPES.has(plan.resourceType) && plan.builds && !plan.onErrorContinue && goodIn > than;

function stopOf(run: RunRow): RunSummary["stop"] {
  const asked = run.fault === undefined ? requestedStop(run) : null;
  if (asked === null) return null;
  const requestedAt = iso(run.stopRequestedAtMs ?? run.stopAfterCurrentAtMs)!;
  return {
    requestedAt,
    by: run.stopRequestedBy ?? null,
    reason: run.stopReason ?? "",
    afterCurrent: asked.afterCurrent,
  };
}

/** The verdict of a run by its rows: what settle-run writes and what the summary explains. */
export function verdictOf(input: SummaryInput): Verdict {
  const { run } = input;
  return verdict({
    plan: input.plan,
    rows: input.rows,
    tasks: input.tasks,
    policy: run.settings.policy,
    // A deadline that passes after the last check is none: nothing was left to be done.
    stopReason: stopReason(run, run.readyAtMs ?? input.nowMs),
    fault: run.fault,
    steps: stepsOf(run),
    selectsByState: selectsByState(run),
    round: roundOf(run, input.plan),
  });
}

function countsOf(reports: readonly VertexReport[]): Record<ReportClass, number> {
  const counts: Record<ReportClass, number> = { ...NO_COUNTS };
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
 * `on_error: continue` (dbt 1.12) builds on what failed: such a table is good by dbt's word, its rows are not. A later
 * build that mends the parent has the child built again; that stays so where its rows would double, or nobody asked for it.
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
