import { classOfStatus, isTerminal } from "#core/dbt/status.ts";
import type { VertexView } from "#core/run/judging/vertex-view.ts";
import type { BatchSize, PlanVertex } from "#core/run/planning/plan.ts";
import { asDbt } from "#core/run/planning/run-dates.ts";

/** dbt's `--event-time-start` (in the window) and `--event-time-end` (the first moment after it), UTC. */
export interface EventWindow {
  readonly start: string;
  readonly end: string;
}

/**
 * The window that dbt chose for a microbatch model, from the batches that it named (behaviour G17). A second build
 * without it takes the last few batches only, since the table is there by then: it would end green and leave the failed
 * ones missing. dbt begins with the first batch, so that one is always named; it ends with the batch of its own time,
 * which a build that was killed has not named. Null: no batch is known.
 */
export function eventWindow(
  size: BatchSize,
  batches: readonly { readonly name: string }[],
  builtAtMs: number,
): EventWindow | null {
  const starts = batches.map(({ name }) => startOfBatch(name));
  if (starts.length === 0 || starts.some(Number.isNaN)) return null;
  const endMs = Math.max(...[...starts, builtAtMs].map((ms) => endOfBatch(size, ms)));
  return { start: asDbt(Math.min(...starts)), end: asDbt(endMs) };
}

/**
 * The same of a vertex that is to be tried again; null also for anything that is no microbatch model. dbt ends with the
 * batch of its invocation's start, not with that of the model's. Of a model that dbt ended itself with some batches good
 * the batches that are not, and what lies between them: dbt takes one window.
 */
export function eventWindowOf({ plan, row, class: cls, endedAtMs }: VertexView, asOfMs?: number): EventWindow | null {
  if (plan.batchSize === undefined) return null;
  const batches = row?.batches ?? [];
  const whole = eventWindow(plan.batchSize, batches, asOfMs ?? row?.startedAtMs ?? endedAtMs);
  // Only then is its table there for certain: a batch that comes first in a new table has to make it.
  const isPartial = cls === "failed" && row?.status?.toLowerCase() === PARTIAL;
  return whole !== null && isPartial ? missingPart(plan.batchSize, batches, whole) : whole;
}

/**
 * Whether a build makes the table of a microbatch model anew, from its begin: a window, or a moment, of an earlier build
 * would leave it with the rows of that one alone.
 */
export const isBuiltWhole = (
  { keepsRows }: Pick<PlanVertex, "keepsRows">,
  { fullRefresh }: { readonly fullRefresh?: boolean | undefined },
): boolean => fullRefresh === true && keepsRows !== true;

/** A model that no full refresh replaces, of a run with a window: a full refresh goes without it, and would miss its rows. */
export const missesItsDates = ({ keepsRows, batchSize }: Pick<PlanVertex, "keepsRows" | "batchSize">): boolean =>
  keepsRows === true && batchSize === undefined;

/** dbt's word for a microbatch model of which some batches are good. */
const PARTIAL = "partial success";

/** From the first to the last batch of a window that is not known to be good; one that dbt never named is not. */
function missingPart(
  size: BatchSize,
  batches: readonly { readonly name: string; readonly status: string }[],
  whole: EventWindow,
): EventWindow {
  const isGood = ({ status }: { status: string }) => isTerminal(status) && classOfStatus(status) === "good";
  const good = new Set(batches.filter(isGood).map(({ name }) => startOfBatch(name)));
  // Of a batch that is named twice the worse word counts.
  for (const one of batches) if (!isGood(one)) good.delete(startOfBatch(one.name));
  const [from, until] = [Date.parse(`${whole.start}Z`), Date.parse(`${whole.end}Z`)];
  const missing: number[] = [];
  for (let at = from; at < until; at = endOfBatch(size, at)) if (!good.has(at)) missing.push(at);
  if (missing.length === 0) return whole;
  return { start: asDbt(missing[0]!), end: asDbt(endOfBatch(size, missing.at(-1)!)) };
}

/**
 * Whether microbatch models of a set would choose other batches by now than at that moment: the end of a batch lies
 * between, or may while dbt starts (behaviour G27).
 */
export function windowMoves(
  vertices: readonly Pick<PlanVertex, "batchSize">[],
  asOfMs: number,
  nowMs: number,
): boolean {
  const untilMs = nowMs + DBT_STARTS_MS;
  return vertices.some(({ batchSize }) => batchSize !== undefined && endOfBatch(batchSize, asOfMs) <= untilMs);
}

/** How long dbt may need from the decision to its own look at the clock: a cold parse of a large project. */
const DBT_STARTS_MS = 15 * 60_000;

/**
 * dbt names a batch by its start: `2024-03-01`, `2024-03` or `2024` by its size, and where batches are hours
 * `2024-03-01T22`, or `2024-03-01 22:00:00+00:00` before 1.11.
 */
const startOfBatch = (name: string): number => Date.parse(/T\d\d$/.test(name) ? `${name}:00Z` : name.replace(" ", "T"));

/** The end of the batch in which a moment lies. */
function endOfBatch(size: BatchSize, ms: number): number {
  const at = new Date(ms);
  const [year, month, day, hour] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCHours()];
  if (size === "year") return Date.UTC(year + 1, 0);
  if (size === "month") return Date.UTC(year, month + 1);
  return size === "day" ? Date.UTC(year, month, day + 1) : Date.UTC(year, month, day, hour + 1);
}
