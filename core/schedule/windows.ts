import { InputError } from "#core/errors.ts";
import { dateIn, dateTimeIn, later, momentOf, type Period, startOf } from "./local-time.ts";

/** A period of a calendar, its end not in it. Milliseconds since 1970. */
export interface Window {
  readonly startMs: number;
  readonly endMs: number;
}

/** Windows of one backfill: each is about ten events in the history of the execution that starts their runs. */
export const MOST_WINDOWS = 500;

/**
 * The whole periods from one moment to another, in their order. Both are begins of a period by the zone's clock, and the
 * second is where the last one ends, as `--event-time-end` of dbt is.
 * @param name what people call the two, as in an error
 * @throws {InputError} that names the moment which is none, or no begin of a period, or comes too early or too late
 */
export function windowsOf(
  {
    from,
    to,
    by,
    timeZone,
  }: { readonly from: string; readonly to: string; readonly by: Period; readonly timeZone: string },
  name: (end: "from" | "to") => string = (end) => end,
): Window[] {
  const moment = (end: "from" | "to", text: string): number => {
    const ms = momentOf(text, timeZone);
    if (ms === null)
      throw refused(
        `${name(end)} = ${JSON.stringify(text)}: no date; write for example 2026-01-31, or 2026-01-31T05:00`,
      );
    const beginMs = startOf(by, ms, timeZone);
    if (beginMs === ms) return ms;
    const begin = periodName(beginMs, by, timeZone);
    throw refused(
      `${name(end)} = ${JSON.stringify(text)}: no begin of a ${by} in ${timeZone}; the one before is ${begin}`,
    );
  };
  const startMs = moment("from", from);
  const endMs = moment("to", to);
  if (endMs <= startMs)
    throw refused(
      `${name("to")} = ${JSON.stringify(to)}: not after ${name("from")} = ${JSON.stringify(from)}; it is where the last ${by} ends`,
    );
  const windows: Window[] = [];
  for (let atMs = startMs; atMs < endMs; ) {
    if (windows.length === MOST_WINDOWS)
      throw refused(
        `${name("to")} = ${JSON.stringify(to)}: more than ${MOST_WINDOWS} windows; begin a second backfill where this many end: ${periodName(atMs, by, timeZone)}`,
      );
    const nextMs = later(by, atMs, 1, timeZone);
    windows.push({ startMs: atMs, endMs: nextMs });
    atMs = nextMs;
  }
  return windows;
}

/** A period as people call it: a date, or a date and time where it is an hour. */
export const periodName = (startMs: number, by: Period, timeZone: string): string =>
  by === "hour" ? dateTimeIn(startMs, timeZone) : dateIn(startMs, timeZone);

const refused = (problem: string) => new InputError("Backfill refused", [problem]);
