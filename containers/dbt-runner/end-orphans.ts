import type { BuildOptions } from "#core/dbt/argv.ts";
import { type OrphanAnswer, type OrphanSearch, orphanAnswer, orphanArgv } from "#core/dbt/orphans.ts";
import { type DbtCommand, startDbt } from "./dbt-process.ts";
import type { LogOutput } from "./log-output.ts";
import type { StopSwitch } from "./stop-switch.ts";
import type { TaskFolders } from "./task-folders.ts";

export interface OrphanDeps {
  readonly folders: TaskFolders;
  readonly options: BuildOptions;
  readonly adapterType: string | null;
  readonly dbt: (argv: readonly string[]) => DbtCommand;
  readonly output: LogOutput;
  readonly stop: StopSwitch;
}

/** A dbt that parses the whole project cold and waits for its connection needs less; milliseconds. */
const ANSWER_MS = 180_000;

/**
 * Ends the queries that a dbt which is gone may have left running, through dbt's own connection, before its vertices are
 * built again (behaviour D12). True: none is left. False: nobody can tell.
 */
export async function endOrphans(search: OrphanSearch, deps: OrphanDeps): Promise<boolean> {
  const argv = orphanArgv(deps.adapterType, deps.folders.plan, deps.options, search);
  if (argv === null) return false;
  let answer: OrphanAnswer | null = null;
  const dbt = startDbt(deps.dbt(argv), {
    onLine: (line) => {
      answer = orphanAnswer(line) ?? answer;
    },
    onErrorLine: (line) => deps.output.line(line),
  });
  const unlisten = deps.stop.listen(() => dbt.signal("SIGKILL"));
  const late = setTimeout(() => dbt.signal("SIGKILL"), ANSWER_MS);
  const { exitCode, tookMs } = await dbt.exit;
  clearTimeout(late);
  unlisten();
  const said: OrphanAnswer | null = answer;
  deps.output.say("orphaned queries", { of: search.uniqueIds.slice(0, 20), answer: said, exitCode, tookMs });
  return said !== null && (said as OrphanAnswer).left === 0;
}

/** Resolves after that time, or at once when the task is told to end. */
export function unlessStopped(ms: number, stop: StopSwitch): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    stop.listen(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
