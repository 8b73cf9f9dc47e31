import type { BuildOptions } from "./argv.ts";

/**
 * The options that count where some are given over others: each field by itself, but for what selects. dbt ignores
 * `--select` and `--exclude` beside a selector, so that the one which was said last puts the other out.
 */
export function optionsOver(lower: BuildOptions, upper: BuildOptions): BuildOptions {
  const { select, exclude, selector, ...others } = lower;
  return stated({
    ...others,
    ...(upper.selector === undefined ? { select, exclude } : {}),
    ...(upper.select === undefined ? { selector } : {}),
    ...stated(upper),
  });
}

/**
 * Why options can not be had together, as a sentence about the field that would be ignored; null if they can. A build of
 * something else than what was asked for would be green.
 */
export function ignoredSelection({ select, exclude, selector }: BuildOptions): string | null {
  const beside = [select === undefined ? [] : ["select"], exclude === undefined ? [] : ["exclude"]].flat();
  if (selector === undefined || beside.length === 0) return null;
  return `selector = ${JSON.stringify(selector)}: dbt would ignore ${beside.join(" and ")} beside it: name one of them.`;
}

/**
 * Why a full refresh and an event-time window can not be had together, as a sentence about the window; null if nothing is
 * wrong. dbt replaces the table by the window's first batch and calls it success (behaviour G17).
 */
export function windowLosesRows({ fullRefresh, eventTimeStart, eventTimeEnd }: BuildOptions): string | null {
  if (fullRefresh !== true) return null;
  const given = Object.entries({ eventTimeStart, eventTimeEnd }).find(([, value]) => value !== undefined);
  if (given === undefined) return null;
  const [field, value] = given;
  return `${field} = ${JSON.stringify(value)}: beside a full refresh dbt would leave microbatch tables with the rows of this window alone.`;
}

const stated = (options: BuildOptions): BuildOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
