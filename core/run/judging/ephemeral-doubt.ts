import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { classOfStatus, isTerminal } from "#core/dbt/status.ts";
import type { PlanVertex } from "#core/run/planning/plan.ts";

/** What is known of a vertex before any silence is judged. */
export interface Heard {
  readonly plan: PlanVertex;
  readonly row: VertexRow | null;
  readonly owner: TaskRow | null;
}

/** How much is known against a silent ephemeral: it `failed`, or it or one beside it did (`in_doubt`). */
export type Doubt = "failed" | "in_doubt";

/**
 * Ephemeral models of which dbt 1 says nothing at its default log level although one of them could not be compiled: it
 * names the failed one only where a node that is built hangs directly on it. Of `a → b → node`, a's failure shows as
 * the skip of the node alone, for which nothing else gives a reason. Silence must not pass for success then (B4).
 *
 * `endedWell` tells whether a build said all that it had to say; `passed` are ephemerals below which a vertex began.
 */
export function ephemeralDoubts(
  heard: ReadonlyMap<string, Heard>,
  passed: ReadonlyMap<string, number>,
  endedWell: (task: TaskRow) => boolean,
): ReadonlyMap<string, Doubt> {
  const direct = new Set<string>();
  const doubtful = new Set<string>();
  for (const child of heard.values()) {
    const task = skippedIn(child, heard, endedWell);
    if (task === null) continue;
    const above = unbuiltAbove(child, heard);
    if ([child, ...above].some((one) => one.plan.gateParents.some((id) => isReason(heard.get(id), task)))) continue;
    for (const one of above)
      if (isSilentSince(one, task) && !passed.has(one.plan.uniqueId)) doubtful.add(one.plan.uniqueId);
    for (const id of nearest(above)) direct.add(id);
  }
  const candidates = [...doubtful].filter((id) => !direct.has(id));
  const doubts = [...doubtful].map((id) => [id, candidates.length === 1 && candidates[0] === id] as const);
  return new Map(doubts.map(([id, failed]) => [id, failed ? "failed" : "in_doubt"]));
}

/**
 * The build that skipped a vertex which dbt builds, by its word or, where dbt named what it skipped by relations that
 * nobody could tell apart, by its silence; null for any other.
 */
function skippedIn(
  { plan, row, owner }: Heard,
  heard: ReadonlyMap<string, Heard>,
  endedWell: (task: TaskRow) => boolean,
): number | null {
  if (!plan.builds || owner === null || !endedWell(owner)) return null;
  if (!plan.gateParents.some((id) => heard.get(id)?.plan.builds === false)) return null;
  if (row?.statusTask === owner.task && row.status !== undefined) {
    return isTerminal(row.status) && classOfStatus(row.status) === "not_built" ? owner.task : null;
  }
  return (owner.end?.unnamedSkips ?? 0) > 0 && !plan.deferred ? owner.task : null;
}

/**
 * What dbt builds and had not built well by then, said or unsaid, or what it said of an ephemeral itself: it skips what
 * is below for that.
 */
function isReason(parent: Heard | undefined, task: number): boolean {
  if (parent === undefined) return false;
  const { plan, row } = parent;
  if (row?.status === undefined || (!plan.builds && isSilentSince(parent, task))) return plan.builds;
  return !isTerminal(row.status) || classOfStatus(row.status) !== "good" || (row.statusTask ?? 0) > task;
}

/** The last build that was to build it, no later one than that of the skip, said nothing of it. */
function isSilentSince({ row, owner }: Heard, task: number): boolean {
  const isOutdated = row?.statusTask !== owner?.task;
  return (row?.status === undefined || isOutdated) && (owner === null || owner.task <= task);
}

/** What dbt never builds above a vertex, up to what it builds. */
function unbuiltAbove(child: Heard, heard: ReadonlyMap<string, Heard>): Heard[] {
  const found = new Map<string, Heard>();
  const open = [child];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const id of at.plan.gateParents) {
      const parent = heard.get(id);
      if (parent === undefined || parent.plan.builds || found.has(id)) continue;
      found.set(id, parent);
      open.push(parent);
    }
  }
  return [...found.values()];
}

/** Those with no other one of them below: a vertex's gate parents include what lies above its ephemeral parents. */
function nearest(above: readonly Heard[]): string[] {
  const higher = new Set(above.flatMap(({ plan }) => plan.gateParents));
  return above.map(({ plan }) => plan.uniqueId).filter((id) => !higher.has(id));
}
