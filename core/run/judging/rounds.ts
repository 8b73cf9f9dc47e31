import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { PastRound, RoundRequest } from "#core/contracts/rounds.ts";
import { classOfStatus } from "#core/dbt/status.ts";
import type { Plan } from "#core/run/planning/plan.ts";

/** What of a run's present round the rules look at. See docs/adr/0034-marks-carry-their-round.md. */
export interface Round {
  readonly number: number;
  /** Earlier rounds have left something (a run's first round has none, unless it goes on with another run). */
  readonly goesOn: boolean;
  /** Nobody asked for it: what comes to the same each time gets no further try. */
  readonly automatic: boolean;
  /** The vertices that it is for, whether they are good or not; null: everything that is not good. */
  readonly scope: ReadonlySet<string> | null;
  /** Of these, what is built again although it is good; its tests with it, by the nodes that they are on. */
  readonly anew: ReadonlySet<string>;
  readonly testsOfAnew: ReadonlyMap<string, readonly string[]>;
  /** Also what may double its rows. */
  readonly force: boolean;
  /** Its builds are given `--full-refresh`. */
  readonly fullRefresh: boolean;
}

/** The first round of a run of its own. */
export const FIRST_ROUND: Round = {
  number: 1,
  goesOn: false,
  automatic: false,
  scope: null,
  anew: new Set(),
  testsOfAnew: new Map(),
  force: false,
  fullRefresh: false,
};

/** The present round of a run; its scope is told over the whole plan. */
export function roundOf({ round, opening }: Pick<RunRow, "round" | "opening">, plan: Plan | null): Round {
  if (opening === undefined) return { ...FIRST_ROUND, number: round, goesOn: round > 1 };
  const { by, nodes, downstream, force, fullRefresh } = opening;
  const { anew, testsOfAnew } = FIRST_ROUND;
  const goesOn = { number: round, goesOn: true, automatic: by === "run_retry", force, fullRefresh, anew, testsOfAnew };
  if (nodes === undefined || plan === null) return { ...goesOn, scope: null };
  const scope = scopeOf(plan, nodes, downstream);
  // Who redrives one node's consumer wants what waits for it, and nothing good again.
  if (by === "consumer") return { ...goesOn, scope };
  const tests = plan.vertices.filter(({ nodes: on }) => on.length > 0);
  const own = new Map(tests.map(({ uniqueId, nodes: on }) => [uniqueId, on]));
  const named = new Set(nodes);
  return {
    ...goesOn,
    scope,
    anew: new Set([...scope].filter((id) => named.has(id) || !own.has(id))),
    testsOfAnew: new Map([...own].filter(([id]) => scope.has(id))),
  };
}

/**
 * Nodes with the tests and unit tests on them, and where asked everything below: one pass over the plan's edges. What dbt
 * builds nothing for comes along with what it is made of: it is good by that, and has no table that could be older.
 */
export function scopeOf(plan: Plan, nodes: readonly string[], downstream: boolean): ReadonlySet<string> {
  const scope = new Set(nodes);
  const below = plan.vertices.filter(({ builds }) => downstream || !builds);
  const children = Map.groupBy(
    below.flatMap(({ uniqueId, gateParents }) => gateParents.map((parent) => ({ parent, uniqueId }))),
    ({ parent }) => parent,
  );
  // A set that grows while it is walked visits what was added.
  for (const id of scope) for (const { uniqueId } of children.get(id) ?? []) scope.add(uniqueId);
  for (const { uniqueId, nodes: on } of plan.vertices) if (on.some((node) => scope.has(node))) scope.add(uniqueId);
  return scope;
}

/** Wishes for a further round that were made in the present one, and after whoever stopped it: a stop drops those before. */
export function pendingRequests(
  run: Pick<RunRow, "round" | "requests" | "stopRequestedAtMs" | "stopAfterCurrentAtMs">,
): RoundRequest[] {
  const stoppedAtMs = run.stopRequestedAtMs ?? run.stopAfterCurrentAtMs ?? Number.NEGATIVE_INFINITY;
  return (run.requests ?? []).filter(({ round, atMs }) => round === run.round && atMs > stoppedAtMs);
}

/**
 * The moment of a wish that is made now, of a run as it was read: after the stop that is seen there, whatever the clocks
 * of the two who asked for them say. Milliseconds.
 */
export const wishedAtMs = (
  { stopRequestedAtMs, stopAfterCurrentAtMs }: Pick<RunRow, "stopRequestedAtMs" | "stopAfterCurrentAtMs">,
  nowMs: number,
): number => Math.max(nowMs, (stopRequestedAtMs ?? stopAfterCurrentAtMs ?? Number.NEGATIVE_INFINITY) + 1);

/**
 * Several wishes as one: what one of them wants whole is built whole. A wish for single nodes does not narrow another's;
 * people's words (`who`, `reason`) are kept together.
 * @param requests at least one
 */
export function foldRequests(requests: readonly RoundRequest[]): RoundRequest {
  const [first] = requests;
  const isWhole = requests.some(({ nodes }) => nodes === undefined);
  const nodes = isWhole ? undefined : [...new Set(requests.flatMap((request) => request.nodes ?? []))];
  const told = (words: readonly (string | undefined)[]) => [...new Set(words.filter(Boolean))].join("; ").slice(0, 500);
  const who = told(requests.map((request) => request.who));
  const reason = told(requests.map((request) => request.reason));
  const size = requests.find((request) => request.size !== undefined)?.size;
  return {
    round: first!.round,
    by: requests.find(({ by }) => by === "person")?.by ?? first!.by,
    ...(who === "" ? {} : { who }),
    ...(reason === "" ? {} : { reason }),
    atMs: first!.atMs,
    ...(nodes === undefined ? {} : { nodes }),
    downstream: requests.some((request) => request.downstream),
    force: requests.some((request) => request.force),
    fullRefresh: requests.some((request) => request.fullRefresh),
    ...(size === undefined ? {} : { size }),
  };
}

/**
 * Until when the first rows of a run are sure to be there: its round's tasks and vertices expire by its own deadline,
 * whatever later rounds add. A round beyond it would take what is good for not built. Milliseconds.
 */
export const rowsLastUntilMs = ({
  startedAtMs,
  settings: { policy },
}: Pick<RunRow, "startedAtMs" | "settings">): number =>
  startedAtMs + policy.runTimeoutMinutes * 60_000 + policy.ttlDays * 86_400_000;

/** Characters of a verdict that the run row keeps of a past round; its summary has all of it. */
const VERDICT_CHARACTERS = 300;

/** What a round that has ended came to. */
export function pastRound(run: RunRow, end: { state: RunRow["state"]; verdict: string; endedAtMs: number }): PastRound {
  return {
    round: run.round,
    state: end.state,
    verdict: end.verdict.split("\n")[0]!.slice(0, VERDICT_CHARACTERS),
    ...(run.summaryKey === undefined ? {} : { summaryKey: run.summaryKey }),
    startedAtMs: run.roundStartedAtMs ?? run.startedAtMs,
    endedAtMs: end.endedAtMs,
    ...(run.opening === undefined ? {} : { opening: openingTold(run.opening) }),
  };
}

/** Nodes that a past round's row names: what they were all stands in its summary, and the run's row has 400 KiB. */
const NODES_TOLD = 20;

const openingTold = (opening: RoundRequest): RoundRequest =>
  opening.nodes === undefined ? opening : { ...opening, nodes: opening.nodes.slice(0, NODES_TOLD) };

/** Tasks of the present round. */
export const tasksOfRound = (tasks: readonly TaskRow[], { number }: Round): TaskRow[] =>
  tasks.filter((task) => task.round >= number);

/**
 * The rows as they count in a round: last words of earlier ones are gone, and so is the story of what a person wants to
 * have built again although it is good, or although its rows may double. What the round is not for keeps its last word.
 * A person's mark stands over any last word.
 */
export function rowsInRound(
  written: readonly VertexRow[],
  tasks: readonly TaskRow[],
  round: Round,
): readonly VertexRow[] {
  const rows = written.some((row) => row.mark) ? written.map(unlessBuiltSince) : written;
  if (!round.goesOn) return rows.some((row) => row.mark) ? rows.map(unlessMarked) : rows;
  const { scope } = round;
  const isEarlier = earlierTasks(tasks, round);
  const again = scope === null ? new Set<string>() : builtAnew(rows, round, isEarlier);
  return rows.map(unlessOwed).map((row) => {
    if (row.final !== undefined && (row.finalRound ?? 1) >= round.number) return unlessMarked(row);
    if (scope === null) return withoutFinal(row);
    if (!scope.has(row.uniqueId)) return unlessMarked(leftAside(row, scope));
    // What a claim leaves of a mark was made after it.
    const now = isEarlier(row.ownerTask) ? unmarkedFor(withoutFinal(row), round) : withoutFinal(row);
    return again.has(row.uniqueId) ? unbuilt(now) : now;
  });
}

/** A node that was marked good while a build of it was still to come, or went on, is what that build has made of it. */
function unlessBuiltSince(row: VertexRow): VertexRow {
  const { mark, ...unmarked } = row;
  const isOlder = mark?.as === "good" && row.evidence === true && (row.endedAtMs ?? row.startedAtMs ?? 0) > mark.atMs;
  return isOlder ? unmarked : row;
}

/** What a person names is built, marked or not, and a good word on a test of it is none then. A test that is to be ignored stays so. */
function unmarkedFor(row: VertexRow, { anew }: Round): VertexRow {
  const { mark, ...unmarked } = row;
  return mark?.as === "skip" && !anew.has(row.uniqueId) ? row : unmarked;
}

const isGoodRow = ({ status }: VertexRow): boolean => status !== undefined && classOfStatus(status) === "good";

/** What is good and is to be built again all the same: what a person names, and the tests of that. */
function builtAnew(rows: readonly VertexRow[], round: Round, isEarlier: (task: number) => boolean): Set<string> {
  const said = ({ statusTask, ownerTask }: VertexRow) => statusTask ?? ownerTask;
  const good = rows.filter((row) => isEarlier(said(row)) && isGoodRow(row)).map((row) => row.uniqueId);
  const nodes = new Set(good.filter((id) => round.anew.has(id)));
  const tests = good.filter((id) => round.testsOfAnew.get(id)?.some((node) => nodes.has(node)));
  return new Set([...nodes, ...tests]);
}

/**
 * A good word under a last word: it was to be built again (a person named it, or what it is built from), and that round
 * has ended before it was. Its old word is no evidence any more, in no later round either.
 */
export const unlessOwed = (row: VertexRow): VertexRow =>
  row.final !== undefined && row.mark === undefined && isGoodRow(row) ? unbuilt(row) : row;

/** Whether a task is of an earlier round than this one; one that nobody has read yet is not. */
export function earlierTasks(tasks: readonly TaskRow[], round: Round): (task: number) => boolean {
  const earlier = new Set(tasks.filter((task) => task.round < round.number).map((task) => task.task));
  return (task) => earlier.has(task);
}

function withoutFinal({ final: _, finalReason: __, finalRound: ___, rootCause: ____, ...row }: VertexRow): VertexRow {
  return row;
}

const unlessMarked = (row: VertexRow): VertexRow => (row.mark ? withoutFinal(row) : row);

/** What is gated by a vertex of the round is upstream-failed no more: it waits for a round of its own. */
function leftAside(row: VertexRow, scope: ReadonlySet<string>): VertexRow {
  if (row.final !== "doomed" || row.rootCause === undefined || !scope.has(row.rootCause)) return row;
  return { ...withoutFinal(row), final: "not_built", finalReason: OUTSIDE };
}

/** Why a vertex is not built that a round is not for. */
export const OUTSIDE = "Not part of this round, which is for named nodes alone.";

/** As if no build had come to it. Its batches stay: they tell the window of its first build (core/run/deciding/event-window). */
function unbuilt(row: VertexRow): VertexRow {
  const { status: _, statusTask: __, evidence: ___, startedAtMs: ____, endedAtMs: _____, ...rest } = row;
  const { message: ______, failures: _______, ...open } = rest;
  return open;
}
