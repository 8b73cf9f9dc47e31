import { TEST_TYPES } from "#core/dbt/resource-types.ts";
import type { Plan, PlanVertex } from "#core/run/planning/plan.ts";
import { percentile } from "#core/run/reporting/history.ts";

/** One vertex of a forecast. Milliseconds from the first start. */
export interface ForecastVertex {
  readonly uniqueId: string;
  readonly resourceType: string;
  /** 1 for what waits for nothing. */
  readonly level: number;
  readonly startsMs: number;
  readonly takesMs: number;
  /** Its time is one that was measured, and not that of others of its type. */
  readonly isKnown: boolean;
}

/** What a build of a plan would be like. */
export interface Forecast {
  /** In the order of their starts. */
  readonly vertices: readonly ForecastVertex[];
  /** How many vertices wait for as many others in a row, first level first. */
  readonly widths: readonly number[];
  /** From the first start to the last end; null where no time is known at all. */
  readonly buildMs: number | null;
  /** The longest way from parent to child: no number of threads is faster. */
  readonly longestMs: number | null;
  /** Vertices that are built and whose time was never measured. */
  readonly unknown: number;
}

/**
 * A build in dbt's way: whatever has its gate parents starts as soon as a thread is free, parents first. Times are those
 * that were measured; what was not takes the middle of its type, or of all.
 * @param vertices in gate order
 */
export function forecast(
  { vertices }: Pick<Plan, "vertices">,
  times: ReadonlyMap<string, number>,
  threads: number,
): Forecast {
  const takes = timesOf(vertices, times);
  const levels = new Map<string, number>();
  const longest = new Map<string, number>();
  for (const { uniqueId, gateParents } of vertices) {
    const parents = gateParents.filter((id) => levels.has(id));
    levels.set(uniqueId, 1 + Math.max(0, ...parents.map((id) => levels.get(id)!)));
    longest.set(uniqueId, (takes.get(uniqueId) ?? 0) + Math.max(0, ...parents.map((id) => longest.get(id)!)));
  }
  const starts = startsOf(vertices, takes, threads);
  const widths: number[] = [];
  for (const level of levels.values()) widths[level - 1] = (widths[level - 1] ?? 0) + 1;
  const told = vertices.map(({ uniqueId, resourceType }) => ({
    ...{ uniqueId, resourceType, level: levels.get(uniqueId)!, startsMs: starts.get(uniqueId) ?? 0 },
    ...{ takesMs: takes.get(uniqueId) ?? 0, isKnown: times.has(uniqueId) },
  }));
  const isAnyKnown = vertices.some(({ uniqueId }) => times.has(uniqueId));
  const last = (ends: readonly number[]) => (isAnyKnown ? Math.max(0, ...ends) : null);
  return {
    vertices: told.toSorted((a, b) => a.startsMs - b.startsMs || a.level - b.level),
    widths,
    buildMs: last(told.map(({ startsMs, takesMs }) => startsMs + takesMs)),
    longestMs: last([...longest.values()]),
    unknown: vertices.filter(({ uniqueId, builds }) => builds && !times.has(uniqueId)).length,
  };
}

function timesOf(vertices: readonly PlanVertex[], times: ReadonlyMap<string, number>): Map<string, number> {
  const kindOf = ({ resourceType }: PlanVertex) => (TEST_TYPES.has(resourceType) ? "test" : resourceType);
  const known = vertices.flatMap((vertex) => {
    const time = times.get(vertex.uniqueId);
    return time === undefined ? [] : [{ kind: kindOf(vertex), time }];
  });
  const byKind = Map.groupBy(known, ({ kind }) => kind);
  const middle = (some: typeof known) =>
    percentile(
      some.map(({ time }) => time),
      50,
    ) ?? 0;
  const middles = new Map([...byKind].map(([kind, some]) => [kind, middle(some)]));
  const ofAll = middle(known);
  return new Map(
    vertices.map((vertex) => {
      const guess = vertex.builds ? (middles.get(kindOf(vertex)) ?? ofAll) : 0;
      return [vertex.uniqueId, times.get(vertex.uniqueId) ?? guess];
    }),
  );
}

/** When each would start with so many threads. */
function startsOf(
  vertices: readonly PlanVertex[],
  takes: ReadonlyMap<string, number>,
  threads: number,
): Map<string, number> {
  const waits = new Map(vertices.map(({ uniqueId }) => [uniqueId, 0]));
  const children = new Map<string, string[]>();
  for (const { uniqueId, gateParents } of vertices)
    for (const parent of gateParents.filter((id) => waits.has(id))) {
      waits.set(uniqueId, waits.get(uniqueId)! + 1);
      const known = children.get(parent);
      if (known === undefined) children.set(parent, [uniqueId]);
      else known.push(uniqueId);
    }
  const ready = vertices.flatMap(({ uniqueId }) => (waits.get(uniqueId) === 0 ? [uniqueId] : []));
  const running: { readonly id: string; readonly endsMs: number }[] = [];
  const starts = new Map<string, number>();
  let nowMs = 0;
  let next = 0;
  while (next < ready.length || running.length > 0) {
    while (next < ready.length && running.length < threads) {
      const id = ready[next++]!;
      starts.set(id, nowMs);
      running.push({ id, endsMs: nowMs + (takes.get(id) ?? 0) });
    }
    const first = running.reduce((least, one, at) => (one.endsMs < running[least]!.endsMs ? at : least), 0);
    const [ended] = running.splice(first, 1);
    nowMs = ended!.endsMs;
    for (const child of children.get(ended!.id) ?? []) {
      const left = waits.get(child)! - 1;
      waits.set(child, left);
      if (left === 0) ready.push(child);
    }
  }
  return starts;
}

/** The most of these spans that were open at one moment: how many threads a build has used. */
export function mostAtOnce(spans: readonly { readonly fromMs: number; readonly toMs: number }[]): number {
  const moments = spans.flatMap(({ fromMs, toMs }) => [
    { atMs: fromMs, change: 1 },
    { atMs: toMs, change: -1 },
  ]);
  let open = 0;
  let most = 0;
  for (const { change } of moments.toSorted((a, b) => a.atMs - b.atMs || a.change - b.change)) {
    open += change;
    most = Math.max(most, open);
  }
  return most;
}
