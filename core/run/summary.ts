import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { NOTHING_TO_BUILD } from "#core/dbt/outcome.ts";
import { testsOf } from "#core/run/consumer.ts";
import { NODE_TYPES, type Plan, type PlanVertex, TEST_TYPES } from "#core/run/plan.ts";
import { type RunCause, type Verdict, verdict } from "#core/run/verdict.ts";
import { isGood, type VertexView, viewVertices } from "#core/run/vertex-view.ts";

/** A vertex's class as reports show it: dbt's classes, `doomed`, and two for what has no result yet. */
export type ReportClass =
  | "good"
  | "failed"
  | "interrupted"
  | "not_built"
  | "skipped"
  | "doomed"
  | "running"
  | "waiting";

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
  readonly relation: string | null;
}

export interface NodeReport extends VertexReport {
  /** How its consumer execution ended; null if it has not, or if the node was never reached. */
  readonly outcome: "green" | "red" | "skipped" | null;
  /** How the consumer of its data tests ended; null unless they have one (testBehavior: after_each). */
  readonly testsOutcome: "green" | "red" | "skipped" | null;
  readonly tests: readonly { readonly uniqueId: string; readonly status: string | null; readonly class: ReportClass }[];
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
}

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
  const reports = new Map(all.map((view) => [view.plan.uniqueId, reportOf(view)]));
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
    timings: timingsOf(input),
    tasks: tasks.map(taskReport),
    nodes: all.filter(isNode).map((view) => nodeReport(view, plan, reports)),
    tests: reportsOf(all.filter(isTest)),
    others: reportsOf(all.filter((view) => !isNode(view) && !isTest(view))),
    unplanned: plan ? rows.filter((row) => !known.has(row.uniqueId)).map((row) => row.uniqueId) : [],
    warnings: [
      ...(plan?.warnings ?? []),
      ...[...reports.values()].flatMap((report) => warningOf(report) ?? []),
      ...builtOnFailed(all, views),
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
    selectsByState: /\b(state|source_status):/.test(select),
  });
}

/** Why nothing may be launched any more, if so: a person's stop, or the deadline. */
export function stopReason(run: RunRow, nowMs: number): string | null {
  if (run.stopRequestedAtMs !== undefined) return run.stopReason ?? "a person asked for it.";
  if (nowMs >= run.deadlineAtMs)
    return `its deadline has passed (runTimeoutMinutes: ${run.settings.policy.runTimeoutMinutes}).`;
  return null;
}

const iso = (ms: number | undefined): string | null =>
  ms === undefined || ms === 0 ? null : new Date(ms).toISOString();

function reportOf(view: VertexView): VertexReport {
  const row = view.row;
  const superseded =
    view.owner !== null && row?.statusTask !== undefined && row.statusTask !== view.owner.task && !view.free;
  return {
    uniqueId: view.plan.uniqueId,
    resourceType: view.plan.resourceType,
    status: row?.status ?? (view.class === "good" && !view.plan.builds ? NOTHING_TO_BUILD : null),
    class: row?.final === "doomed" ? "doomed" : view.class,
    tries: view.tries,
    startedAt: superseded ? null : iso(row?.startedAtMs),
    finishedAt: superseded ? null : iso(row?.endedAtMs),
    message: row?.message ?? null,
    rootCause: row?.rootCause ?? null,
    reason: row?.finalReason ?? view.plan.leftOut ?? null,
    failures: row?.failures ?? null,
    relation: row?.relation ?? null,
  };
}

function nodeReport(view: VertexView, plan: Plan | null, reports: ReadonlyMap<string, VertexReport>): NodeReport {
  const tests = plan ? testsOf(plan, view.plan.uniqueId).map((id) => reports.get(id)!) : [];
  return {
    ...reports.get(view.plan.uniqueId)!,
    outcome: view.row?.outcome ?? null,
    testsOutcome: view.row?.testsOutcome ?? null,
    batches: view.row?.batches ?? [],
    tests: tests.map((test) => ({ uniqueId: test.uniqueId, status: test.status, class: test.class })),
  };
}

function taskReport(task: TaskRow): TaskReport {
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
    end: task.end?.cause.sentence ?? task.stop?.stoppedReason ?? task.lastLaunchFailure ?? null,
    dbtMs: task.end?.dbtMs ?? null,
    dbtVersion: task.dbtVersion ?? null,
    taskArn: task.fencedBy ?? task.taskArn ?? null,
  };
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
  const lastMs = Math.max(0, ...rows.map((row) => row.endedAtMs ?? 0));
  return {
    startedAt: iso(run.startedAtMs)!,
    finishedAt: iso(endedAtMs),
    wallMs: (endedAtMs ?? nowMs) - run.startedAtMs,
    dbtMs: tasks.reduce((sum, task) => sum + (task.end?.dbtMs ?? 0), 0),
    tailMs: endedAtMs !== undefined && lastMs > 0 ? Math.max(0, endedAtMs - lastMs) : null,
  };
}

/** The line of a vertex that warned, as `warnings` has it; null for any other vertex. */
export const warningOf = ({ uniqueId, status, message }: Pick<VertexReport, "uniqueId" | "status" | "message">) =>
  status === "warn" ? `${uniqueId}: ${message ?? "warn"}` : null;

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

/** A row of a run whose plan is not known (yet): shown as it is, with what the row itself tells. */
function viewOfRow(row: VertexRow, tasks: readonly TaskRow[]): VertexView {
  const [type = "model"] = row.uniqueId.split(".");
  const vertex: PlanVertex = {
    uniqueId: row.uniqueId,
    name: row.uniqueId,
    resourceType: (row.resourceType ?? type) as PlanVertex["resourceType"],
    materialized: null,
    builds: true,
    gateParents: [],
    nodes: [],
    fqn: [],
    packageName: "",
    originalFilePath: "",
    overrides: {},
    safeToRepeat: true,
    onErrorContinue: false,
    deferred: false,
  };
  const single: Plan = {
    contract: 1,
    project: "",
    runId: "",
    dbtVersion: "",
    adapterType: null,
    dbtProject: "",
    source: "ls",
    vertices: [vertex],
    endHooks: false,
    warnings: [],
  };
  return viewVertices(single, [row], tasks).get(row.uniqueId)!;
}
