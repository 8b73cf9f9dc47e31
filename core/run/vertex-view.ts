import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { classOfStatus, isTerminal, type VertexClass } from "#core/dbt/status.ts";
import type { Plan, PlanVertex } from "#core/run/plan.ts";

/**
 * How one vertex stands, derived from plan, row and tasks alone; nothing here is stored.
 *
 * `waiting`: its owner lives and has said nothing of it. `running`: its owner has started it.
 */
export interface VertexView {
  readonly plan: PlanVertex;
  readonly row: VertexRow | null;
  readonly owner: TaskRow | null;
  readonly class: VertexClass | "waiting" | "running";
  /** Nobody may be building it: its owner is over, or it has none. */
  readonly free: boolean;
  /** Tries that count: builds in which dbt really started or ended the vertex, less the lost ones. */
  readonly tries: number;
  /** Builds that were killed while they ran the vertex, the present one included. */
  readonly lost: number;
  /** The build ended in order, everything that gates the vertex is good, and dbt never mentioned it. */
  readonly notSelected: boolean;
  /** The task that was to build it could not be started, again and again. */
  readonly launchGivenUp: boolean;
  /** When the vertex last ended (or its owner, if the vertex said nothing); 0 if never. Milliseconds. */
  readonly endedAtMs: number;
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
  const children = new Map<string, string[]>();
  const open = new Map<string, number>();
  for (const vertex of vertices) {
    const parents = vertex.gateParents.filter((id) => byId.has(id));
    open.set(vertex.uniqueId, parents.length);
    for (const parent of parents) children.set(parent, [...(children.get(parent) ?? []), vertex.uniqueId]);
  }
  const ready = vertices.filter((vertex) => open.get(vertex.uniqueId) === 0).map((vertex) => vertex.uniqueId);
  const ordered: PlanVertex[] = [];
  const done = new Set<string>();
  for (let next = 0; next < ready.length; next++) {
    const id = ready[next]!;
    done.add(id);
    ordered.push(byId.get(id)!);
    for (const child of children.get(id) ?? []) {
      const left = open.get(child)! - 1;
      open.set(child, left);
      if (left === 0) ready.push(child);
    }
  }
  return [...ordered, ...vertices.filter((vertex) => !done.has(vertex.uniqueId))];
}

/** Views of every planned vertex, in gate order (behaviour F9, F10, F12: give tasks that were read before the rows). */
export function viewVertices(plan: Plan, rows: readonly VertexRow[], tasks: readonly TaskRow[]): Map<string, VertexView> {
  const rowOf = new Map(rows.map((row) => [row.uniqueId, row]));
  const taskOf = new Map(tasks.map((task) => [task.task, task]));
  const producer = currentProducer(tasks);
  const views = new Map<string, VertexView>();
  for (const vertex of inGateOrder(plan.vertices)) {
    const row = rowOf.get(vertex.uniqueId) ?? null;
    const owner = row ? (taskOf.get(row.ownerTask) ?? null) : producer;
    const gatesGood = vertex.gateParents.every((id) => isGood(views.get(id)));
    views.set(vertex.uniqueId, viewVertex(vertex, row, owner, gatesGood));
  }
  return views;
}

/** Whether a gate parent lets its children be built. */
export const isGood = (view: VertexView | undefined): boolean => view?.class === "good";

function viewVertex(plan: PlanVertex, row: VertexRow | null, owner: TaskRow | null, gatesGood: boolean): VertexView {
  const free = owner === null || isOver(owner);
  const word = row?.status;
  const ownWord = owner !== null && row?.statusTask === owner.task ? word : undefined;
  const silentEnd = silentlyEnded(owner);
  const notSelected = free && plan.builds && ownWord === undefined && silentEnd && gatesGood;
  const launchGivenUp = owner?.kind !== "producer" && owner?.stop !== undefined && owner.stop.neverStarted;
  const cls = classify({ plan, row, owner, ownWord, free, gatesGood, silentEnd, notSelected, launchGivenUp });
  const lostNow = cls === "interrupted" && row?.statusTask !== undefined && !row.lostTasks.includes(row.statusTask);
  const counted = (row?.tryTasks ?? []).filter((task) => !row?.lostTasks.includes(task)).length;
  return {
    plan,
    row,
    owner,
    class: cls,
    free,
    tries: counted - (lostNow && row?.tryTasks.includes(row.statusTask!) ? 1 : 0),
    lost: (row?.lostTasks.length ?? 0) + (lostNow ? 1 : 0),
    notSelected,
    launchGivenUp,
    endedAtMs: row?.endedAtMs ?? (owner && free ? overAtMs(owner) : 0),
  };
}

/** A build that ended in order without fail-fast or failed start hook has said everything that it had to say. */
function silentlyEnded(owner: TaskRow | null): boolean {
  const end = owner?.end;
  if (!end?.inOrder || end.failFast) return false;
  return !end.hookFailures.some((hook) => hook.phase === "start");
}

interface Evidence {
  readonly plan: PlanVertex;
  readonly row: VertexRow | null;
  readonly owner: TaskRow | null;
  readonly ownWord: string | undefined;
  readonly free: boolean;
  readonly gatesGood: boolean;
  readonly silentEnd: boolean;
  readonly notSelected: boolean;
  readonly launchGivenUp: boolean;
}

function classify(it: Evidence): VertexView["class"] {
  if (it.ownWord !== undefined) {
    if (isTerminal(it.ownWord)) return classOfStatus(it.ownWord);
    return it.free ? "interrupted" : "running";
  }
  if (!it.free) return "waiting";
  if (it.owner === null) return "not_built";
  if (!it.plan.builds) return it.silentEnd && it.gatesGood ? "good" : "not_built";
  if (it.notSelected) return "failed";
  // A task that ended before it said anything of the vertex changes nothing: what an older build said stands.
  const older = it.row?.status;
  if (older !== undefined) return isTerminal(older) ? classOfStatus(older) : "interrupted";
  return "not_built";
}
