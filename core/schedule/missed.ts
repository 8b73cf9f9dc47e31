import { type LocalMinute, matchesCron } from "./cron.ts";

/** A project's schedule as it is deployed: `cron(…)`, `rate(…)` or `at(…)`, in a time zone of the IANA list. */
export interface ProjectSchedule {
  readonly expression: string;
  readonly timeZone: string;
}

const MINUTE_MS = 60_000;

/** A start this late is none: Scheduler calls within a minute, and tries for an hour what it could not deliver. */
export const GRACE_MS = 30 * MINUTE_MS;

/** How far back a due time is looked for: several sweeps see each, so that one which fails misses nothing. */
const LOOKED_BACK_MS = 90 * MINUTE_MS;

/**
 * The last moment at which a schedule should have started a run and none came, or null. Whatever came at that moment or
 * later is an answer: a run, one that waits for its lock, one that was left out by the rules. A run that a person happens to
 * start in the same minutes hides a schedule that is dead, until its next time.
 * @param sinceMs since when the schedule is known as it is: what was due before says nothing of it
 * @param startsMs when runs of the project began, or came to their queue
 */
export function missedStart(
  schedule: ProjectSchedule,
  sinceMs: number,
  startsMs: readonly number[],
  nowMs: number,
): number | null {
  const lastStartMs = Math.max(0, ...startsMs);
  const everyMs = rateMs(schedule.expression);
  if (everyMs !== null) {
    const dueAtMs = Math.max(sinceMs, lastStartMs) + everyMs;
    return nowMs > dueAtMs + GRACE_MS ? dueAtMs : null;
  }
  const lastMinute = Math.floor((nowMs - GRACE_MS) / MINUTE_MS) * MINUTE_MS;
  for (let atMs = lastMinute; atMs > lastMinute - LOOKED_BACK_MS && atMs >= sinceMs; atMs -= MINUTE_MS)
    if (isDue(schedule, atMs)) return lastStartMs >= atMs - MINUTE_MS ? null : atMs;
  return null;
}

const UNITS: Readonly<Record<string, number>> = {
  minute: MINUTE_MS,
  hour: 60 * MINUTE_MS,
  day: 24 * 60 * MINUTE_MS,
};

function rateMs(expression: string): number | null {
  const parsed = /^rate\(\s*(\d+)\s+(minute|hour|day)s?\s*\)$/.exec(expression);
  return parsed === null ? null : Number(parsed[1]) * UNITS[parsed[2]!]!;
}

/** An hour that comes twice, when clocks are put back, starts one run: its second time is not due. */
function isDue({ expression, timeZone }: ProjectSchedule, atMs: number): boolean {
  const local = localMinute(atMs, timeZone);
  const wanted = /^(cron|at)\((.*)\)$/.exec(expression);
  if (wanted === null) return false;
  const [, kind, when = ""] = wanted;
  const holds = kind === "cron" ? matchesCron(when, local) : when.slice(0, 16) === written(local);
  if (!holds) return false;
  return ![30, 60].some((minutes) => written(localMinute(atMs - minutes * MINUTE_MS, timeZone)) === written(local));
}

/** As `at(…)` writes it, to the minute. */
const written = ({ year, month, day, hour, minute }: LocalMinute): string =>
  `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}`;

const two = (value: number): string => String(value).padStart(2, "0");

const formats = new Map<string, Intl.DateTimeFormat>();

function localMinute(atMs: number, timeZone: string): LocalMinute {
  const known = formats.get(timeZone);
  const format =
    known ??
    new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
    });
  if (known === undefined) formats.set(timeZone, format);
  const parts = Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0 } = parts;
  return { year, month, day, hour, minute };
}
