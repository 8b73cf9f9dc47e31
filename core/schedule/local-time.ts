/** Moments by the calendar and the clock of a time zone, by the IANA rules that come with the runtime. */

/** A moment as a clock on the wall shows it, to the second. */
export interface LocalTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

export const periods = ["hour", "day", "week", "month"] as const;
export type Period = (typeof periods)[number];

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const formats = new Map<string, Intl.DateTimeFormat>();

/** What a clock in the zone shows at a moment. */
export function localTime(ms: number, timeZone: string): LocalTime {
  let format = formats.get(timeZone);
  if (format === undefined) {
    const two = "2-digit" as const;
    const fields = { year: "numeric" as const, month: two, day: two, hour: two, minute: two, second: two };
    format = new Intl.DateTimeFormat("en-US", { timeZone, calendar: "iso8601", hourCycle: "h23", ...fields });
    formats.set(timeZone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = parts;
  return { year, month, day, hour, minute, second };
}

const asUtc = ({ year, month, day, hour, minute, second }: LocalTime): number =>
  Date.UTC(year, month - 1, day, hour, minute, second);

const offsetMs = (ms: number, timeZone: string): number =>
  asUtc(localTime(ms, timeZone)) - Math.floor(ms / 1_000) * 1_000;

/**
 * The moment at which a clock in the zone shows this. Where it shows it twice (clocks are put back) the first; where it
 * never does (clocks are put forward) the first moment after.
 */
export function momentAt(local: LocalTime, timeZone: string): number {
  const wanted = asUtc(local);
  const [before, after] = [offsetMs(wanted - DAY_MS, timeZone), offsetMs(wanted + DAY_MS, timeZone)];
  const fits = [wanted - before, wanted - after].filter((ms) => asUtc(localTime(ms, timeZone)) === wanted);
  if (fits.length > 0) return Math.min(...fits);
  let [earlier, later] = [wanted - DAY_MS, wanted + DAY_MS];
  while (later - earlier > 1_000) {
    const middle = Math.floor((earlier + later) / 2_000) * 1_000;
    if (asUtc(localTime(middle, timeZone)) < wanted) earlier = middle;
    else later = middle;
  }
  return later;
}

/** Midnight of a day of the calendar, or the day's first moment; days beyond a month's end are those of the next. */
const midnight = (year: number, month: number, day: number, timeZone: string): number => {
  const date = new Date(Date.UTC(year, month - 1, day));
  return momentAt(
    {
      year: date.getUTCFullYear(),
      month: date.getUTCMonth() + 1,
      day: date.getUTCDate(),
      hour: 0,
      minute: 0,
      second: 0,
    },
    timeZone,
  );
};

/** The begin of the hour, day, week (Monday) or month in which a moment lies. */
export function startOf(period: Period, ms: number, timeZone: string): number {
  const local = localTime(ms, timeZone);
  const { year, month, day, minute, second } = local;
  if (period === "hour") return Math.floor(ms / 1_000) * 1_000 - (minute * 60 + second) * 1_000;
  if (period === "month") return midnight(year, month, 1, timeZone);
  const weekday = (new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 6) % 7;
  return midnight(year, month, period === "week" ? day - weekday : day, timeZone);
}

/** So many periods after a moment, by the calendar: a day is 23 hours where clocks are put forward. */
export function later(period: Period, ms: number, count: number, timeZone: string): number {
  if (period === "hour") return ms + count * HOUR_MS;
  const { year, month, day } = localTime(ms, timeZone);
  if (period === "month") return midnight(year, month + count, day, timeZone);
  return midnight(year, month, day + count * (period === "week" ? 7 : 1), timeZone);
}

/** The last period that was over at a moment. */
export function lastWhole(period: Period, ms: number, timeZone: string): { startMs: number; endMs: number } {
  const endMs = startOf(period, ms, timeZone);
  return { startMs: startOf(period, endMs - 1, timeZone), endMs };
}

const WRITTEN = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?$/;

/** A moment as people and schedulers write it: a date, or date and time, with an offset or by the zone's clock. Null: it is none. */
export function momentOf(text: string, timeZone: string): number | null {
  const parsed = WRITTEN.exec(text.trim());
  if (parsed === null) return null;
  const [, year, month, day, hour = "0", minute = "0", second = "0", offset] = parsed;
  const [y, mo, d, h, mi, s] = [year, month, day, hour, minute, second].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const local = { year: y, month: mo, day: d, hour: h, minute: mi, second: s };
  const back = new Date(asUtc(local));
  const isReal = back.getUTCMonth() + 1 === mo && back.getUTCDate() === d && h < 24 && mi < 60 && s < 60;
  if (!isReal) return null;
  if (offset === undefined) return momentAt(local, timeZone);
  if (offset === "Z") return asUtc(local);
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(offset)!;
  return asUtc(local) - (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}

const two = (value: number): string => String(value).padStart(2, "0");

/** `2026-01-31`, by the zone's calendar. */
export function dateIn(ms: number, timeZone: string): string {
  const { year, month, day } = localTime(ms, timeZone);
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}`;
}

/** `2026-01-31T03:00:00+01:00`, by the zone's clock. */
export function dateTimeIn(ms: number, timeZone: string): string {
  const { hour, minute, second } = localTime(ms, timeZone);
  const minutes = Math.round(offsetMs(ms, timeZone) / 60_000);
  const offset = `${minutes < 0 ? "-" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
  return `${dateIn(ms, timeZone)}T${two(hour)}:${two(minute)}:${two(second)}${offset}`;
}
