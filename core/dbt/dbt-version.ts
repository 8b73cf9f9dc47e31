/** Major and minor of what dbt says it is (`1.11.16`, `2.0.0-preview.196`); null when that can not be read. */
export function dbtVersionOf(version: string): { major: number; minor: number } | null {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(version) ?? [];
  return major === undefined || minor === undefined ? null : { major: Number(major), minor: Number(minor) };
}

/** The oldest dbt that is read, as major and minor. */
export const OLDEST_DBT = "1.8";

/** Whether this dbt is older than {@link OLDEST_DBT}. A version that can not be read is not refused (row A13). */
export function isUnsupportedDbt(version: string): boolean {
  const known = dbtVersionOf(version);
  return known !== null && (known.major < 1 || (known.major === 1 && known.minor < 8));
}

/** Whether this dbt reads a `.env` by itself: 1.12 does, dbt 2 does not. */
export function readsDotEnv(version: string): boolean {
  const known = dbtVersionOf(version);
  return known?.major === 1 && known.minor >= 12;
}

/** Whether this is dbt 1. A version that can not be read is not. */
export function isDbt1(version: string): boolean {
  return dbtVersionOf(version)?.major === 1;
}

/** Whether this is dbt 2 (`2.0.0-preview.196`, `2.0.0-beta.2`). A version that can not be read is not. */
export function isDbt2(version: string): boolean {
  return (dbtVersionOf(version)?.major ?? 0) >= 2;
}
