import type { BuildOptions } from "./argv.ts";
import { dbtVersionOf } from "./dbt-version.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Options that dbt reads from its environment as well, and by which the rows change that a build reads or keeps. */
export type EnvironmentOptions = Pick<BuildOptions, "fullRefresh" | "sample" | "eventTimeStart" | "eventTimeEnd">;

/** What click takes for true, in any case. */
const TRUE: ReadonlySet<string> = new Set(["1", "true", "t", "yes", "y", "on"]);

/**
 * One of dbt's variables (`STATE` for `DBT_STATE`) as a dbt of this version finds it: dbt 1.11 reads each of them under a
 * second name, which goes before the first. An empty variable is none. Null: a version that nobody could read is taken for
 * a new one.
 */
export function variableOf(environment: Environment, name: string, dbtVersion: string | null): string | undefined {
  const version = dbtVersion === null ? null : dbtVersionOf(dbtVersion);
  const readsEngine = version === null || (version.major === 1 && version.minor >= 11);
  return (readsEngine && environment[`DBT_ENGINE_${name}`]) || environment[`DBT_${name}`] || undefined;
}

/** These options as a dbt of this version finds them. */
export function optionsInEnvironment(environment: Environment, dbtVersion: string | null): EnvironmentOptions {
  const version = dbtVersion === null ? null : dbtVersionOf(dbtVersion);
  // As an argument it would end the build of a dbt that does not know it.
  const takesSample = version?.major === 1 && version.minor >= 10;
  const found = (name: string) => variableOf(environment, name, dbtVersion);
  const isFull = TRUE.has(found("FULL_REFRESH")?.trim().toLowerCase() ?? "");
  const texts = {
    sample: takesSample ? found("SAMPLE") : undefined,
    eventTimeStart: found("EVENT_TIME_START"),
    eventTimeEnd: found("EVENT_TIME_END"),
  };
  const given = Object.entries(texts).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(given), ...(isFull ? { fullRefresh: true } : {}) };
}
