import { type BuildOptions, spokenArgv } from "#core/dbt/argv.ts";
import type { RowSample } from "#core/dbt/failing-rows.ts";
import { buildsAlone, showsFailures } from "#core/dbt/reproduction.ts";
import { NODE_TYPES } from "#core/dbt/resource-types.ts";
import type { RunResults } from "#core/dbt/run-results.ts";
import { eventWindowOf, isBuiltWhole } from "#core/run/deciding/event-window.ts";
import { type NextRound, nextRound } from "#core/run/deciding/next-round.ts";
import { viewOfRow } from "#core/run/judging/planless.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import { currentProducer, isFailure, type VertexView, viewVertices } from "#core/run/judging/vertex-view.ts";
import { optionsOfRun } from "#core/run/planning/run-dates.ts";
import { type Attempt, attempts, olderTasks } from "#core/run/reporting/attempts.ts";
import { type SummaryInput, verdictOf } from "#core/run/reporting/summary.ts";
import { type TableState, tableState } from "#core/run/reporting/table-state.ts";
import type { RunCause } from "#core/run/reporting/verdict.ts";
import { type LiveRun, liveRun } from "#core/run/reporting/waits.ts";
import { testsOf } from "#core/run/watching/consumer.ts";

export interface WhyInput extends SummaryInput {
  /** dbt's own files of tasks whose word on a root is not in its row any more: see {@link rootsOlderTasks}. */
  readonly results: ReadonlyMap<number, RunResults>;
  /** Rows that tasks have kept of failed tests, by test. */
  readonly samples: ReadonlyMap<string, RowSample>;
  /** Milliseconds that a vertex took in the project's last green run. */
  readonly usualMs: ReadonlyMap<string, number>;
}

/** Vertices, counted, with the first of them. */
export interface Some {
  readonly count: number;
  readonly first: readonly string[];
}

/** One thing that is wrong and that nothing else of the run explains. */
export interface Root {
  /** Null where it is no vertex: a hook, a project that can not be parsed, a task that never started. */
  readonly uniqueId: string | null;
  readonly resourceType: string | null;
  /** dbt's word, or ours where dbt has none. */
  readonly status: string | null;
  /** dbt's own words, whole. */
  readonly message: string | null;
  /** Lines of the log behind it. */
  readonly lines: readonly string[];
  /** Why it is not built again, or what is done about it. */
  readonly decision: string | null;
  readonly advice: string | null;
  /** Of a data test: how many rows it found, where dbt keeps them, and the arguments of dbt that show some. */
  readonly failures: number | null;
  readonly relation: string | null;
  readonly rows: RowSample | null;
  readonly showArgs: readonly string[] | null;
  readonly tried: readonly Attempt[];
  readonly table: TableState | null;
  readonly notBuilt: Some;
  /** A retry leaves it as it is unless it is forced: another build may double its rows, or its outcome is unknown. */
  readonly needsForce: boolean;
  /** Arguments of dbt that do it again, and nothing else. */
  readonly reproduceArgs: readonly string[] | null;
}

/** Why a run, or one vertex of it, is as it is: root causes alone. Part of the contract: docs/cli.md. */
export interface RunWhy {
  readonly project: string;
  readonly runId: string;
  readonly round: number;
  readonly state: string;
  readonly verdict: string | null;
  readonly roots: readonly Root[];
  /** Nodes by what stands in the warehouse. */
  readonly tables: Readonly<Record<TableState["state"], Some>>;
  /** What a retry would do; null of a run that goes on, that is green, or that has no plan. */
  readonly retry: { readonly builds: number; readonly keeps: number } | null;
  /** What goes on; null of a run that is over. */
  readonly live: LiveRun | null;
}

/** Tasks whose files {@link whyOf} asks for: those that tried a root before its newest try. */
export const rootsOlderTasks = (input: SummaryInput): number[] => {
  const views = allViews(input);
  const known = rootCauses(input, views).flatMap(({ uniqueId }) => views.get(uniqueId ?? "") ?? []);
  return [...new Set(known.flatMap(olderTasks))].sort((a, b) => a - b);
};

/** Tasks that may have kept rows of a failed test: those in which its newest word was said. */
export const samplingTasks = ({ rows }: Pick<SummaryInput, "rows">): number[] => [
  ...new Set(
    rows.flatMap(({ status, relation, statusTask }) =>
      status === "fail" && relation !== undefined && statusTask !== undefined ? [statusTask] : [],
    ),
  ),
];

/** Puts together what a person asks at 3 a.m. Pure; whatever is judged here is judged by what judges the run. */
export function whyOf(input: WhyInput): RunWhy {
  const { run } = input;
  const views = allViews(input);
  const options = optionsOfRun(run);
  const next = nextRoundOf(input);
  const refused = new Set(next?.refused.map(({ view }) => view.plan.uniqueId));
  const asked = { ...input, options, below: notBuiltBelow(input, views), refused };
  return {
    project: run.project,
    runId: run.runId,
    round: run.round,
    state: run.state,
    verdict: run.verdict ?? null,
    roots: rootCauses(input, views).map((cause) => rootOf(cause, asked, views)),
    tables: tablesOf(input, views),
    retry: next?.builds ? { builds: next.builds.length, keeps: next.kept } : null,
    live: run.state === "running" ? liveRun(input, views) : null,
  };
}

/**
 * The roots that concern one vertex: itself, its failed tests, and what it is doomed by. Empty where nothing is wrong
 * with it.
 */
export function rootsAbout(why: RunWhy, uniqueId: string, input: SummaryInput): Root[] {
  const doomedBy = input.rows.find((row) => row.uniqueId === uniqueId)?.rootCause;
  const tests = input.plan ? testsOf(input.plan, uniqueId) : [];
  const about = new Set([uniqueId, doomedBy, ...tests]);
  return why.roots.filter((root) => root.uniqueId === null || about.has(root.uniqueId));
}

/** Views of all that is known, planned or not. */
function allViews({ run, plan, rows, tasks }: SummaryInput): Map<string, VertexView> {
  const planned = plan ? viewVertices(plan, rows, tasks, roundOf(run, plan)) : new Map<string, VertexView>();
  const others = rows.filter((row) => !planned.has(row.uniqueId));
  return new Map([...planned, ...others.map((row) => [row.uniqueId, viewOfRow(row, tasks)] as const)]);
}

/** Of a run that is over the causes of its verdict; of one that goes on what has failed so far. */
function rootCauses(input: SummaryInput, views: ReadonlyMap<string, VertexView>): RunCause[] {
  if (input.run.state !== "running") return [...verdictOf(input).causes];
  const failed = [...views.values()].filter((view) => isFailure(view) || view.row?.final === "dead");
  return failed.map(({ plan }) => ({ kind: "vertex", uniqueId: plan.uniqueId, sentence: "", lines: [], gates: 0 }));
}

function rootOf(cause: RunCause, input: Asked, views: ReadonlyMap<string, VertexView>): Root {
  const view = cause.uniqueId === undefined ? undefined : views.get(cause.uniqueId);
  if (view === undefined) return rootOfRun(cause, input);
  const { plan, row } = view;
  const tried = attempts(view, input.tasks, input.results);
  const given = reproductionOf(view, input);
  const isFoundRows = plan.resourceType === "test" && row?.status === "fail";
  return {
    uniqueId: plan.uniqueId,
    resourceType: plan.resourceType,
    status: row?.status ?? null,
    message: row?.message ?? null,
    lines: [],
    decision: row?.finalReason ?? null,
    advice: cause.nextStep ?? null,
    failures: row?.failures ?? null,
    relation: plan.resourceType === "test" ? (row?.relation ?? null) : null,
    rows: isFoundRows ? (input.samples.get(plan.uniqueId) ?? null) : null,
    showArgs: isFoundRows && given !== null ? showsFailures(given, row?.relation) : null,
    tried,
    table: tableState(view, tried),
    notBuilt: some(input.below(plan.uniqueId)),
    needsForce: input.refused.has(plan.uniqueId),
    reproduceArgs: given === null ? null : buildsAlone(given),
  };
}

/** A cause that is no vertex's. What was not built because of it is all that is not good. */
function rootOfRun(cause: RunCause, input: Asked): Root {
  // What AWS refused, or a task that never spoke, no dbt command shows again.
  const isOfDbt = currentProducer(input.tasks)?.end !== undefined && cause.sentence !== input.run.fault;
  return {
    uniqueId: null,
    resourceType: null,
    status: null,
    message: cause.sentence,
    lines: cause.lines,
    decision: null,
    advice: cause.nextStep ?? null,
    failures: null,
    relation: null,
    rows: null,
    showArgs: null,
    tried: [],
    table: null,
    notBuilt: { count: cause.gates, first: [] },
    needsForce: false,
    reproduceArgs: isOfDbt ? spokenArgv("build", input.options) : null,
  };
}

/** What is read once, however many roots there are. */
interface Asked extends WhyInput {
  /** Those of the run's builds. */
  readonly options: BuildOptions;
  readonly below: (root: string) => readonly VertexView[];
  /** What a retry would leave as it is. */
  readonly refused: ReadonlySet<string>;
}

/** What a person's retry would do, by what opens rounds; null where nobody would ask for one. */
function nextRoundOf({ run, plan, rows, tasks, nowMs }: SummaryInput): NextRound | null {
  if (plan === null || (run.state !== "red" && run.state !== "stopped")) return null;
  const wish = { round: run.round, by: "person" as const, atMs: nowMs };
  const ended = { run, plan, rows, tasks, policy: run.settings.policy };
  return nextRound(ended, { ...wish, downstream: false, force: false, fullRefresh: false });
}

/** Null where the plan is not known: only it has what selects a vertex exactly. */
function reproductionOf(
  view: VertexView,
  { run, plan, tasks, ...asked }: Asked,
): Parameters<typeof buildsAlone>[0] | null {
  if (plan === null || view.plan.fqn.length === 0) return null;
  const options = view.owner?.fullRefresh ? optionsOfRun(run, { fullRefresh: true }) : asked.options;
  const startedAtMs = currentProducer(tasks)?.startedAtMs;
  const eventWindow = isBuiltWhole(view.plan, options) ? null : eventWindowOf(view, startedAtMs);
  return { vertex: view.plan, dbtVersion: plan.dbtVersion, options, eventWindow };
}

/** What each root keeps from being built: by last words where they stand, otherwise all below it that is not good. */
function notBuiltBelow(
  { run }: SummaryInput,
  views: ReadonlyMap<string, VertexView>,
): (root: string) => readonly VertexView[] {
  if (run.state !== "running") {
    const doomed = [...views.values()].filter(({ row }) => row?.final === "doomed");
    const byRoot = Map.groupBy(doomed, ({ row }) => row!.rootCause);
    return (root) => byRoot.get(root) ?? [];
  }
  const children = Map.groupBy(
    [...views.values()].flatMap((view) => view.plan.gateParents.map((parent) => ({ parent, view }))),
    ({ parent }) => parent,
  );
  return (root) => {
    const below = new Set([root]);
    // A set that grows while it is walked visits what was added.
    for (const id of below) for (const { view } of children.get(id) ?? []) below.add(view.plan.uniqueId);
    return [...below].map((id) => views.get(id)).filter((view) => view?.class === "not_built") as VertexView[];
  };
}

function tablesOf(input: WhyInput, views: ReadonlyMap<string, VertexView>): RunWhy["tables"] {
  const byState = Map.groupBy(
    [...views.values()].flatMap((view) => {
      const table = tableState(view, attempts(view, input.tasks, input.results));
      return table === null ? [] : [{ view, state: table.state }];
    }),
    ({ state }) => state,
  );
  const of = (state: TableState["state"]) => some((byState.get(state) ?? []).map(({ view }) => view));
  return {
    fresh: of("fresh"),
    stale: of("stale"),
    perhaps_replaced: of("perhaps_replaced"),
    unknown: of("unknown"),
  };
}

/** Ids that are named of many. */
const MOST_NAMED = 5;

/** Nodes before their tests: that is what a person looks for. */
function some(views: readonly VertexView[]): Some {
  const isNode = (view: VertexView) => NODE_TYPES.has(view.plan.resourceType);
  const ordered = [...views.filter(isNode), ...views.filter((view) => !isNode(view))];
  return { count: views.length, first: ordered.slice(0, MOST_NAMED).map((view) => view.plan.uniqueId) };
}
