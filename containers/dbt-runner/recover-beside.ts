import { join } from "node:path";
import type { Policy } from "#core/contracts/settings.ts";
import type { BuildOptions, DbtFolders } from "#core/dbt/argv.ts";
import { isDbt1 } from "#core/dbt/dbt-version.ts";

/**
 * The options of a build beside which what fails in it may be recovered (`recovery: early`): fail-fast is off, also
 * against environment and project, and dbt 1 tells why something failed, which it does in its log file alone, at level
 * debug. The log's level is the run's own where it asks for one.
 */
export function toRecoverBeside<O extends BuildOptions>(
  { recovery }: Pick<Policy, "recovery">,
  options: O,
  dbtVersion: string | null,
): O {
  if (recovery !== "early") return options;
  const detail = dbtVersion !== null && isDbt1(dbtVersion) ? ["--log-level-file", "debug"] : [];
  return { ...options, failFast: false, extraArgs: [...detail, ...(options.extraArgs ?? [])] };
}

/** The log file that tells why something failed; null where nobody asks. dbt 2 writes none of these events into it. */
export const errorLogOf = ({ recovery }: Pick<Policy, "recovery">, folders: DbtFolders): string | null =>
  recovery === "early" ? join(folders.logDir, "dbt.log") : null;
