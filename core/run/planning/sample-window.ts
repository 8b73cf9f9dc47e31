/** `3 days` as dbt reads it: Python's `int`, one space, a grain in any case with any number of s behind it. */
const RELATIVE = /^([+-]?\d+(?:_\d+)*) (hour|day|month|year)s*$/i;

/**
 * The window that a sample such as `3 days` is at this moment (dbt's `SampleWindow.from_relative_string`). dbt counts it
 * from its own clock: each build of a run would have another, and a batch that failed in the first could lie in no later
 * one (behaviour G2). Null: it is no such text, and dbt's to read.
 */
export function sampleWindow(sample: string, atMs: number): { startMs: number; endMs: number } | null {
  const [, count, grain] = RELATIVE.exec(sample) ?? [];
  if (count === undefined || grain === undefined) return null;
  const startMs = before(atMs, Number(count.replaceAll("_", "")), grain.toLowerCase());
  // Python knows the years from 1 to 9999.
  return startMs >= YEAR_1_MS && startMs < YEAR_10000_MS ? { startMs, endMs: atMs } : null;
}

const HOUR_MS = 3_600_000;
const YEAR_1_MS = Date.parse("0001-01-01T00:00:00Z");
const YEAR_10000_MS = Date.UTC(10_000, 0);

function before(atMs: number, count: number, grain: string): number {
  if (grain === "hour" || grain === "day") return atMs - count * (grain === "day" ? 24 : 1) * HOUR_MS;
  const months = count * (grain === "year" ? 12 : 1);
  const at = new Date(atMs);
  const day = at.getUTCDate();
  at.setUTCDate(1);
  at.setUTCMonth(at.getUTCMonth() - months);
  // A month that has no such day ends on its last.
  const days = new Date(at);
  days.setUTCMonth(days.getUTCMonth() + 1, 0);
  return at.setUTCDate(Math.min(day, days.getUTCDate()));
}
