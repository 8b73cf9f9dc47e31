import type { BuildOptions } from "./argv.ts";

/** A method that compares with a state, in dbt's grammar of one criterion: `[@ | n+][method:]value[+[n]]`. */
const BY_STATE = /^(?:@|\d*\+)?(?:state|result|source_status):/;
const BY_SOURCES = /^(?:@|\d*\+)?source_status:/;

/** dbt takes several criteria in one argument, apart by spaces. */
const criteriaOf = (entries: readonly string[] | undefined): string[] =>
  (entries ?? []).flatMap((entry) => entry.split(/\s+/).filter(Boolean));

const has = (criterion: string, method: RegExp) => criterion.split(",").some((part) => method.test(part));

/** Whether select or exclude ask how fresh sources are against a state: dbt then needs to have seen them (behaviour H10). */
export const selectsBySources = ({ select, exclude }: BuildOptions): boolean =>
  [...criteriaOf(select), ...criteriaOf(exclude)].some((criterion) => has(criterion, BY_SOURCES));

/**
 * The options of a run that has no state to compare with and is to build everything then (`stateIfMissing: all`): each
 * criterion without its comparison, so that `state:modified+,tag:nightly` is `tag:nightly`, and one that is nothing else
 * is the whole project. Nothing is left out for a comparison, and nothing deferred.
 */
export function withoutState(options: BuildOptions): BuildOptions {
  const { select, exclude, state, deferState, defer, favorState, ...others } = options;
  const wanted = criteriaOf(select).map(withoutComparison);
  const unwanted = criteriaOf(exclude).filter((criterion) => !has(criterion, BY_STATE));
  return {
    ...others,
    ...(wanted.length > 0 && !wanted.includes("") && { select: wanted }),
    ...(unwanted.length > 0 && { exclude: unwanted }),
  };
}

const withoutComparison = (criterion: string): string =>
  criterion
    .split(",")
    .filter((part) => !BY_STATE.test(part))
    .join(",");
