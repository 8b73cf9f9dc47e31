import type { RunRow } from "#core/contracts/ledger.ts";
import { effectiveOptions } from "#core/contracts/run-input.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import { sampleWindow } from "#core/run/planning/sample-window.ts";
import { dateIn, dateTimeIn, lastWhole } from "#core/schedule/local-time.ts";

type Dated = Pick<RunRow, "settings" | "input" | "startedAtMs" | "scheduledAtMs">;

/** The moment that a run works on; a run of an earlier version knows no other than its start. */
export const scheduledAtMsOf = ({ scheduledAtMs, startedAtMs }: Pick<Dated, "scheduledAtMs" | "startedAtMs">): number =>
  scheduledAtMs ?? startedAtMs;

const zoneOf = ({ settings }: Dated): string => settings.dates?.zone ?? "UTC";

/**
 * The options of every build of a run, its first and those that recover, its retries and rounds: what was asked for, and
 * the run's scheduled time as the project wants it (behaviour H11). What the options say themselves goes before it. A full
 * refresh has no window of the project's dates: dbt would leave its rows alone in a microbatch table (G17). A sample that
 * dbt would count from its own clock is that of the scheduled time, the same for all builds (G2).
 * @param beside what a build of it is given beside: a round's wish, or the container's environment
 * @throws InputError
 */
export function optionsOfRun(run: Dated, beside: Pick<BuildOptions, "fullRefresh" | "sample"> = {}): BuildOptions {
  const own = effectiveOptions(run.settings, run.input);
  const sample = own.sample ?? beside.sample;
  const options = {
    ...own,
    ...(beside.fullRefresh === true ? { fullRefresh: true } : {}),
    ...(sample === undefined ? {} : { sample: absolute(sample, scheduledAtMsOf(run)) }),
  };
  const { variable, format, eventTime } = run.settings.dates ?? {};
  const atMs = scheduledAtMsOf(run);
  const zone = zoneOf(run);
  const text = format === "datetime" ? dateTimeIn(atMs, zone) : dateIn(atMs, zone);
  const hasWindow = [options.eventTimeStart, options.eventTimeEnd, options.sample].some((given) => given !== undefined);
  const isLeftAway = hasWindow || options.fullRefresh === true;
  const window = eventTime === undefined || isLeftAway ? null : lastWhole(eventTime, atMs, zone);
  return {
    ...options,
    ...(variable === undefined ? {} : { vars: { [variable]: text, ...options.vars } }),
    ...(window === null ? {} : { eventTimeStart: asDbt(window.startMs), eventTimeEnd: asDbt(window.endMs) }),
  };
}

/** A sample as dbt takes it at whatever time. */
function absolute(sample: string, atMs: number): string {
  const window = sampleWindow(sample, atMs);
  return window === null ? sample : JSON.stringify({ start: asDbt(window.startMs), end: asDbt(window.endMs) });
}

/** What dbt's processes find in their environment, whatever the settings are. */
export const dateEnvironment = (run: Dated): Readonly<Record<string, string>> => ({
  STEPWATCH_SCHEDULED_TIME: new Date(scheduledAtMsOf(run)).toISOString().replace(/\.\d+Z$/, "Z"),
  STEPWATCH_SCHEDULED_DATE: dateIn(scheduledAtMsOf(run), zoneOf(run)),
});

/** dbt takes no zone in a window and means UTC. */
export const asDbt = (ms: number): string => new Date(ms).toISOString().slice(0, 19);
