/**
 * The cron expressions of EventBridge Scheduler: `minutes hours day-of-month month day-of-week year`, with lists, ranges,
 * steps, `?`, `L`, `W` and `#`. Only asked whether a minute matches; Scheduler has checked the expression itself.
 */

/** A minute by the calendar and the clock of the schedule's time zone. */
export interface LocalMinute {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
}

const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/** False also for an expression that is none. */
export function matchesCron(expression: string, at: LocalMinute): boolean {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 6) return false;
  const [minutes, hours, dayOfMonth, month, dayOfWeek, year] = fields as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  return (
    matchesList(minutes, at.minute, 0, 59) &&
    matchesList(hours, at.hour, 0, 23) &&
    matchesList(named(month, MONTHS), at.month, 1, 12) &&
    matchesList(year, at.year, 1970, 2199) &&
    dayOfMonth.split(",").some((part) => matchesDayOfMonth(part, at)) &&
    named(dayOfWeek, DAYS)
      .split(",")
      .some((part) => matchesDayOfWeek(part, at))
  );
}

/** Names of months and days as their numbers, which both begin at 1. */
const named = (field: string, names: readonly string[]): string =>
  field.replace(/[A-Za-z]{3}/g, (name) => {
    const index = names.indexOf(name.toUpperCase());
    return index < 0 ? name : String(index + 1);
  });

const matchesList = (field: string, value: number, least: number, most: number): boolean =>
  field.split(",").some((part) => matchesRange(part, value, least, most));

/** `*`, `?`, `7`, `2-5`, and each with a step: `5/10` goes on to the field's end. A range may go round: `22-3`. */
function matchesRange(part: string, value: number, least: number, most: number): boolean {
  const parsed = /^(?:[*?]|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
  if (parsed === null) return false;
  const [, from, to, step] = parsed;
  const first = from === undefined ? least : Number(from);
  const last = to === undefined ? (from === undefined || step !== undefined ? most : first) : Number(to);
  const size = most - least + 1;
  const offset = value - first;
  const steps = first <= last ? offset : (offset + size) % size;
  const length = first <= last ? last - first : last - first + size;
  return steps >= 0 && steps <= length && steps % Number(step ?? 1) === 0;
}

/** `L` is the month's last day, `15W` the weekday nearest to the 15th within the month, `LW` its last weekday. */
function matchesDayOfMonth(part: string, at: LocalMinute): boolean {
  const last = lastDayOf(at);
  if (part === "L") return at.day === last;
  if (part === "LW") return at.day === nearestWeekday(last, at);
  const weekday = /^(\d+)W$/.exec(part);
  if (weekday) return at.day === nearestWeekday(Number(weekday[1]), at);
  return matchesRange(part, at.day, 1, 31);
}

/** `5L` is the month's last Thursday (1 is Sunday), `L` alone Saturday, `2#1` its first Monday. */
function matchesDayOfWeek(part: string, at: LocalMinute): boolean {
  const today = dayOfWeekOf(at, at.day);
  if (part === "L") return today === 7;
  const last = /^(\d)L$/.exec(part);
  if (last) return today === Number(last[1]) && at.day + 7 > lastDayOf(at);
  const nth = /^(\d)#(\d)$/.exec(part);
  if (nth) return today === Number(nth[1]) && Math.ceil(at.day / 7) === Number(nth[2]);
  return matchesRange(part, today, 1, 7);
}

/** 1 is Sunday. */
const dayOfWeekOf = ({ year, month }: LocalMinute, day: number): number =>
  new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 1;

const lastDayOf = ({ year, month }: LocalMinute): number => new Date(Date.UTC(year, month, 0)).getUTCDate();

function nearestWeekday(day: number, at: LocalMinute): number {
  const dayOfWeek = dayOfWeekOf(at, day);
  if (dayOfWeek === 7) return day === 1 ? 3 : day - 1;
  if (dayOfWeek === 1) return day === lastDayOf(at) ? day - 2 : day + 1;
  return day;
}
