import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { isCollision } from "#core/dbt/orphans.ts";
import { NO_OPS } from "#core/dbt/resource-types.ts";
import { classOfStatus, isTerminal, type VertexClass } from "#core/dbt/status.ts";
import { type Doubt, ephemeralDoubts, type Heard } from "#core/run/judging/ephemeral-doubt.ts";
import { earlierTasks, FIRST_ROUND, type Round, rowsInRound } from "#core/run/judging/rounds.ts";
import { parentsFirst } from "#core/run/planning/parents-first.ts";
import type { Plan, PlanVertex } from "#core/run/planning/plan.ts";
import { wasTaken } from "#core/run/watching/capacity.ts";

/**
 * How one vertex stands, derived from plan, row and tasks alone; nothing here is stored.
 *
 * `waiting`: its owner lives and has said nothing of it. `running`: its owner has started it.
 */
export interface VertexView {
  readonly plan: PlanVertex;
  /** dbt's adapter, in whose words messages are. */
  readonly adapterType: string | null;
  readonly row: VertexRow | null;
  readonly owner: TaskRow | null;
  readonly class: VertexClass | "waiting" | "running";
  /** Nobody may be building it: its owner is over, or it has none. */
  readonly free: boolean;
  /** Tries that count: builds of this round in which dbt really started or ended the vertex, less the lost ones. */
  readonly tries: number;
  /** Builds of this round that were killed while they ran the vertex, the present one included. */
  readonly lost: number;
  /** Those of them that were taken away from outside (Spot): nothing that ran there is to blame (behaviour D21). */
  readonly taken: number;
  /** The same over all rounds: what people are told. */
  readonly allTries: number;
  readonly allLost: number;
  /** Nothing of this round has claimed it: what is said of it is of an earlier one, and is no reason to give it up. */
  readonly carried: boolean;
  /** The round is for named nodes, and this is none of them. */
  readonly outside: boolean;
  /** It is good, or left out, by a person's word. */
  readonly marked: boolean;
  /** The build ended in order, everything that gates the vertex is good, and dbt never mentioned it. */
  readonly notSelected: boolean;
  /**
   * dbt passed over it in silence, and skipped what is below it for no other reason (B4); null for anything else. It is
   * not built, also where it must have failed: alone, dbt would not even compile it.
   */
  readonly doubt: Doubt | null;
  /** The task that was to build it could not be started, again and again. */
  readonly launchGivenUp: boolean;
  /** When the vertex last ended (or its owner, if the vertex said nothing); 0 if never. Milliseconds. */
  readonly endedAtMs: number;
  /** Number of the task in whose build the vertex became good; 0 if it is not good. */
  readonly goodIn: number;
  /**
   * Number of the last task in whose build it, or what it stands on, became good, of those whose failure dbt builds on
   * (`on_error: continue`); 0 if there is none. What is older below was built on a failure.
   */
  readonly mendedIn: number;
}

/** A task that can write no more: its supervisor reaped dbt, ECS says STOPPED, or its launch was given up. */
export const isOver = (task: TaskRow): boolean => task.state === "over";

/** When a task was over, as far as anybody knows. Milliseconds. */
export const overAtMs = (task: TaskRow): number => task.end?.endedAtMs ?? task.stop?.stoppedAtMs ?? task.claimedAtMs;

/** The producer that counts: the newest, since a producer is only launched again if the one before did nothing. */
export function currentProducer(tasks: readonly TaskRow[]): TaskRow | null {
  return tasks.filter((task) => task.kind === "producer").at(-1) ?? null;
}

/** Gate parents before children. A cycle (which dbt refuses) would keep its vertices in plan order at the end. */
export function inGateOrder(vertices: readonly PlanVertex[]): PlanVertex[] {
  const byId = new Map(vertices.map((vertex) => [vertex.uniqueId, vertex]));
  const ordered = parentsFirst(new Map(vertices.map(({ uniqueId, gateParents }) => [uniqueId, gateParents])));
  const done = new Set(ordered);
  return [...ordered.map((id) => byId.get(id)!), ...vertices.filter((vertex) => !done.has(vertex.uniqueId))];
}

/** Views of every planned vertex, in gate order (behaviour F9, F10, F12: give tasks that were read before the rows). */
export function viewVertices(
  plan: Plan,
  written: readonly VertexRow[],
  tasks: readonly TaskRow[],
  round: Round = FIRST_ROUND,
): Map<string, VertexView> {
  const rows = rowsInRound(written, tasks, round);
  const isEarlier = earlierTasks(tasks, round);
  const rowOf = new Map(rows.map((row) => [row.uniqueId, row]));
  const producer = currentProducer(tasks);
  const taskOf = new Map(tasks.map((task) => [task.task, task]));
  const listened = new Map<string, Listened>();
  for (const vertex of inGateOrder(plan.vertices)) {
    const told = rowOf.get(vertex.uniqueId) ?? null;
    const isLate = told !== null && isOfEarlierProducer(told.statusTask, taskOf, producer);
    const row = isLate ? withoutStory(told, vertex) : told;
    const first = vertex.deferred && producer !== null && isOver(producer) ? null : producer;
    const owner = row ? (taskOf.get(row.ownerTask) ?? null) : first;
    listened.set(vertex.uniqueId, { plan: vertex, row, owner, isLate: isLate && !hasNewOwner(told) });
  }
  const builds = buildFacts(rows, tasks, listened);
  const passed = passedIn(plan, rowOf);
  const doubts = ephemeralDoubts(listened, passed, (task) => silentlyEnded(task, builds));
  const views = new Map<string, VertexView>();
  for (const [id, heard] of listened) {
    const gates = gatesOf(heard.plan.gateParents.map((parent) => views.get(parent)));
    const doubt = doubts.get(id) ?? null;
    const carried = round.goesOn && (heard.owner === null ? heard.row === null : isEarlier(heard.owner.task));
    const outside = round.scope !== null && !round.scope.has(id);
    const evidence = { ...heard, gates, doubt, builds, passedIn: passed.get(id) ?? null, carried, isEarlier, outside };
    views.set(id, viewVertex(evidence, plan.adapterType));
  }
  return views;
}

/** What is known of one vertex; `isLate`: see {@link Evidence}. */
interface Listened extends Heard {
  readonly isLate: boolean;
}

/** What rows and plan tell of the builds themselves: their numbers. */
interface BuildFacts {
  /** dbt began some vertex in them. */
  readonly begun: ReadonlySet<number>;
  /** They were to build something that dbt does not pass over. */
  readonly hadWork: ReadonlySet<number>;
  /** Their containers were taken away from outside. */
  readonly taken: ReadonlySet<number>;
}

function buildFacts(
  rows: readonly VertexRow[],
  tasks: readonly TaskRow[],
  listened: ReadonlyMap<string, Listened>,
): BuildFacts {
  const hadWork = [...listened.values()].flatMap(({ plan, owner }) => (plan.builds && owner ? [owner.task] : []));
  const taken = tasks.filter(wasTaken).map(({ task }) => task);
  return { begun: new Set(rows.flatMap((row) => row.tryTasks)), hadWork: new Set(hadWork), taken: new Set(taken) };
}

/**
 * A producer is launched again only if the one before had said nothing. Where that one speaks all the same (its
 * container was lost to ECS and came back), its word stands where the newer one says nothing of the vertex: such a word
 * proves nothing, and the vertex counts as not built (behaviour E4).
 */
function isOfEarlierProducer(
  task: number | undefined,
  taskOf: ReadonlyMap<number, TaskRow>,
  producer: TaskRow | null,
): boolean {
  if (task === undefined || producer === null || task >= producer.task) return false;
  return taskOf.get(task)?.kind === "producer";
}

/** Claimed since: what its owner has not said in a build that ended in order proves something again. */
const hasNewOwner = ({ ownerTask, statusTask }: VertexRow): boolean => ownerTask !== statusTask;

/** What can not be repeated may have been half done by then: its outcome is unknown (D12). */
function withoutStory(written: VertexRow, plan: PlanVertex): VertexRow {
  const isRisky = !plan.safeToRepeat || plan.orphan !== "harmless";
  if (isRisky && written.evidence) return { ...written, status: "cancelled" };
  const { status: _, statusTask: said, endedAtMs: __, message: ___, ...row } = written;
  return { ...row, tryTasks: row.tryTasks.filter((task) => task !== said) };
}

interface Gates {
  /** All of them. */
  readonly good: boolean;
  /** The build in which the last of those that are good became good; 0 if none is. */
  readonly goodIn: number;
  /** See {@link VertexView.mendedIn}. */
  readonly mendedIn: number;
}

const gatesOf = (parents: readonly (VertexView | undefined)[]): Gates => ({
  good: parents.every(letsThrough),
  goodIn: Math.max(0, ...parents.map((parent) => parent?.goodIn ?? 0)),
  mendedIn: Math.max(0, ...parents.map((parent) => parent?.mendedIn ?? 0)),
});

/**
 * What dbt builds nothing for is silent, also when dbt has been past it: a child that began proves that it was good.
 * Without this, a build that was cut short leaves an ephemeral unproven, and what failed below it could not be retried.
 */
function passedIn(plan: Plan, rowOf: ReadonlyMap<string, VertexRow>): Map<string, number> {
  const silent = new Set(
    plan.vertices.filter((vertex) => !vertex.builds && !vertex.onErrorContinue).map((vertex) => vertex.uniqueId),
  );
  const passed = new Map<string, number>();
  for (const vertex of plan.vertices) {
    const tries = rowOf.get(vertex.uniqueId)?.tryTasks ?? [];
    if (tries.length === 0) continue;
    for (const parent of vertex.gateParents) {
      if (silent.has(parent)) passed.set(parent, Math.min(passed.get(parent) ?? Number.POSITIVE_INFINITY, ...tries));
    }
  }
  return passed;
}

/** Whether a vertex is good by evidence. */
export const isGood = (view: VertexView | undefined): boolean => view?.class === "good";

/**
 * Whether a gate parent lets its children be built: good, or left out by our own policy, as dbt lets through what its
 * selection leaves out.
 */
export const letsThrough = (view: VertexView | undefined): boolean => isGood(view) || view?.class === "skipped";

/** Whether it failed, or was cut off while it ran. */
export const isFailure = ({ class: cls }: Pick<VertexView, "class">): boolean =>
  cls === "failed" || cls === "interrupted";

/** What one view is derived from. */
interface Evidence extends Heard {
  readonly gates: Gates;
  readonly doubt: Doubt | null;
  readonly builds: BuildFacts;
  /** What its row says is a late word of an earlier producer: somebody has touched it, so that the present one's silence proves nothing. */
  readonly isLate: boolean;
  readonly passedIn: number | null;
  readonly carried: boolean;
  readonly isEarlier: (task: number) => boolean;
  readonly outside: boolean;
}

function viewVertex(seen: Evidence, adapterType: string | null): VertexView {
  const { plan, row, owner, carried, isEarlier, outside } = seen;
  const free = isFree(row, owner);
  const marked = free && row?.mark !== undefined;
  const leftOut = (plan.leftOut !== undefined && row?.status === undefined) || (marked && row?.mark?.as === "skip");
  const silent = free && plan.builds && !carried && wordOfOwner(seen) === undefined;
  const notSelected = !leftOut && !marked && silent && saidAll(seen);
  const launchGivenUp = !carried && owner?.kind !== "producer" && owner?.stop?.neverStarted === true;
  const cls = leftOut ? "skipped" : marked ? "good" : notSelected ? "failed" : classify(seen, free);
  const doubt = cls === "good" ? null : seen.doubt;
  const { tryTasks = [], lostTasks = [], statusTask } = row ?? {};
  const lostNow = cls === "interrupted" && statusTask !== undefined && !lostTasks.includes(statusTask);
  const triedIn = tryTasks.filter((task) => !lostTasks.includes(task) && !(lostNow && task === statusTask));
  const lostIn = lostNow ? [...lostTasks, statusTask] : lostTasks;
  const ofRound = (task: number) => !isEarlier(task);
  const became = cls === "good" ? goodIn(seen) : 0;
  return {
    plan,
    adapterType,
    row,
    owner,
    class: cls,
    free,
    tries: triedIn.filter(ofRound).length,
    lost: lostIn.filter(ofRound).length,
    taken: lostIn.filter((task) => ofRound(task) && seen.builds.taken.has(task)).length,
    allTries: triedIn.length,
    allLost: lostIn.length,
    carried,
    outside,
    marked,
    notSelected,
    doubt,
    launchGivenUp,
    endedAtMs: row?.endedAtMs ?? (owner && free ? overAtMs(owner) : 0),
    goodIn: became,
    mendedIn: Math.max(
      plan.onErrorContinue && plan.builds ? became : 0,
      isRebuiltOnceMended(seen) && !marked ? seen.gates.mendedIn : 0,
    ),
  };
}

/** An owner that is not among the tasks has claimed the vertex since they were read: it is alive. */
const isFree = (row: VertexRow | null, owner: TaskRow | null): boolean =>
  owner === null ? row === null : isOver(owner);

const wordOfOwner = ({ row, owner }: Evidence): string | undefined =>
  owner !== null && row?.statusTask === owner.task ? row.status : undefined;

/**
 * The owner's build ended in order and what gates the vertex was good in it: whatever dbt had to say, it has said. A
 * parent that became good in a later build proves nothing: dbt skipped the vertex then, at times without a word (B4).
 */
const saidAll = ({ plan, owner, gates, isLate, builds }: Evidence): boolean => {
  if (owner === null || isLate || (plan.deferred && owner.kind === "producer")) return false;
  return silentlyEnded(owner, builds) && gates.good && gates.goodIn <= owner.task;
};

/**
 * A build that ended in order without fail-fast has said everything that it had to say. Some versions build on after a
 * failed start hook (B10): where nothing began, it stopped the build.
 */
function silentlyEnded({ task, end }: TaskRow, { begun }: BuildFacts): boolean {
  if (!end?.inOrder || end.failFast) return false;
  return begun.has(task) || !end.hookFailures.some((hook) => hook.phase === "start");
}

function goodIn({ row, owner, gates, passedIn }: Evidence): number {
  // By a person's word: as old as what stands there, so that no test of it is stale by that.
  if (row?.mark) return row.statusTask ?? 0;
  if (row?.statusTask !== undefined && row.status !== undefined && classOfStatus(row.status) === "good")
    return row.statusTask;
  return passedIn ?? Math.max(owner?.task ?? 0, gates.goodIn);
}

function classify(seen: Evidence, free: boolean): VertexView["class"] {
  const { plan, row, owner } = seen;
  const ownWord = wordOfOwner(seen);
  if (ownWord !== undefined && !isTerminal(ownWord)) return free ? "interrupted" : "running";
  if (ownWord !== undefined) return classOfWord(ownWord, seen, free);
  if (!free) return "waiting";
  if (owner === null) return "not_built";
  if (!plan.builds) return isSilentlyGood(seen) ? "good" : "not_built";
  // A task that ended before it said anything of the vertex changes nothing: what an older build said stands.
  const older = row?.status;
  if (older === undefined) return "not_built";
  return isTerminal(older) ? classOfWord(older, seen, free) : "interrupted";
}

function classOfWord(word: string, seen: Evidence, free: boolean): VertexClass {
  const cls = classOfStatus(word);
  if (cls === "failed" && free && metAnOrphan(seen)) return "interrupted";
  if (cls === "good" && isStale(seen)) return "not_built";
  return cls === "not_built" && free && isNoOp(seen) ? "good" : cls;
}

/** Its build before was killed, and what it failed with is what two writers say to each other: no try (behaviour D12). */
function metAnOrphan({ row }: Evidence): boolean {
  if (row?.statusTask === undefined || !isCollision(row.message ?? "")) return false;
  const before = row.tryTasks.filter((task) => task < row.statusTask!);
  return before.length > 0 && row.lostTasks.includes(Math.max(...before));
}

/**
 * A data test says nothing of a node that was built again after it. Nor is what dbt built on a failed node
 * (`on_error: continue`) a build of the run's data once that node is good: its rows are of the old table, and where it is
 * a view it may be gone with that. See docs/adr/0063-a-good-node-and-its-readers.md.
 */
function isStale(seen: Evidence): boolean {
  const { plan, row, gates, outside } = seen;
  if (row?.statusTask === undefined) return false;
  if (plan.resourceType === "test" && gates.goodIn > row.statusTask) return true;
  return !outside && isRebuiltOnceMended(seen) && plan.builds && gates.mendedIn > row.statusTask;
}

/**
 * What a second build would double stays as it is, and so does what stands on that alone; a unit test reads no table. A
 * microbatch model too: with its table there, a build without a window takes the last few batches only.
 */
const isRebuiltOnceMended = ({ plan }: Evidence): boolean =>
  plan.afterFailure === "repeat" && plan.resourceType !== "unit_test" && plan.batchSize === undefined;

function isSilentlyGood(seen: Evidence): boolean {
  if (seen.passedIn !== null || isNoOp(seen)) return true;
  return seen.doubt === null && saidAll(seen) && !foundNothing(seen);
}

/** dbt found nothing to build where there was something: it has not looked at what it passes over either (F15). */
const foundNothing = ({ owner, builds }: Evidence): boolean =>
  owner?.end?.cause.kind === "empty_selection" && builds.hadWork.has(owner.task);

/** Exposures and the like, for which no build does anything: good with what gates them, whichever build made it good. */
function isNoOp({ plan, owner, gates }: Evidence): boolean {
  return NO_OPS.has(plan.resourceType) && !plan.builds && gates.good && owner?.end?.inOrder === true;
}
