/** One run as its project's history has it, or one node's part in it. */
export interface PastTime {
  /** `green`, `red` …; of a node dbt's classes, or `upstream failed`. */
  readonly state: string;
  readonly isGood: boolean;
  /** Milliseconds; null where it did not come to its end, or was not built in this run. */
  readonly tookMs: number | null;
  /** It, or something in it, needed more than one try. */
  readonly retried: boolean;
}

export interface Trend {
  readonly ended: number;
  readonly good: number;
  /** Good ones that needed more than one try: what is flaky passes in the end. */
  readonly flaky: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  /** How much longer the newer half took than the older, by their medians: 0.1 is a tenth; null for fewer than four times. */
  readonly slower: number | null;
}

/** Fewer times than these have no trend. */
const LEAST_FOR_TREND = 4;

/**
 * What the last runs have in common. Times are those of good ones: what failed says how long a failure takes.
 * @param times oldest first
 */
export function trendOf(times: readonly PastTime[]): Trend {
  const good = times.filter(({ isGood }) => isGood);
  const took = good.flatMap(({ tookMs }) => (tookMs === null ? [] : [tookMs]));
  const half = Math.floor(took.length / 2);
  const [older, newer] = [percentile(took.slice(0, half), 50), percentile(took.slice(took.length - half), 50)];
  return {
    ended: times.length,
    good: good.length,
    flaky: good.filter(({ retried }) => retried).length,
    p50Ms: percentile(took, 50),
    p95Ms: percentile(took, 95),
    slower: took.length < LEAST_FOR_TREND || !older || newer === null ? null : newer / older - 1,
  };
}

/** The value that so many of a hundred do not pass, by the nearest rank; null of none. */
export function percentile(values: readonly number[], percent: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? null;
}

const BARS = "▁▂▃▄▅▆▇█";

/** Times as a line of bars from nothing to the longest; a dot where there is none. */
export function sparkline(times: readonly (number | null)[]): string {
  const longest = Math.max(0, ...times.map((time) => time ?? 0));
  const bar = (time: number) => BARS[longest === 0 ? 0 : Math.round((time / longest) * (BARS.length - 1))]!;
  return times.map((time) => (time === null ? "·" : bar(time))).join("");
}
