import { copyFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Artefacts } from "#clients/artefacts.ts";
import type { Ledger, RunKey } from "#clients/ledger.ts";
import { type BuildOptions, sourceFreshnessArgv } from "#core/dbt/argv.ts";
import { artefactKeys } from "#core/names.ts";
import { type DbtCommand, startDbt } from "./dbt-process.ts";
import type { LogOutput } from "./log-output.ts";
import { patiently } from "./patience.ts";
import type { StopSwitch } from "./stop-switch.ts";
import type { TaskFolders } from "./task-folders.ts";

export const SOURCES = "sources.json";

/** dbt left no word of how fresh its sources are. */
export class FreshnessNotTaken extends Error {
  override readonly name = "FreshnessNotTaken";
}

export interface FreshnessDeps {
  readonly key: RunKey;
  readonly task: number;
  readonly ledger: Pick<Ledger, "readTask">;
  readonly artefacts: Pick<Artefacts, "getFile" | "putFile">;
  readonly folders: TaskFolders;
  readonly options: BuildOptions;
  readonly dbt: (argv: readonly string[], more?: Readonly<Record<string, string>>) => DbtCommand;
  /** The environment by which dbt runs no hook of the project here: since 1.10 it would, as in a build. */
  readonly hooks: () => Promise<Readonly<Record<string, string>>>;
  readonly output: LogOutput;
  readonly stop: StopSwitch;
  readonly untilMs: () => number;
}

/**
 * Sees how fresh the project's sources are, once in a run (behaviours H1, H10): `dbt source freshness` in its first task,
 * whose sources.json is kept; a later task that plans anew takes that. The file lies in the target folders of build and
 * listing then, where dbt's own `source_status:` looks for it.
 * @returns the file's path
 * @throws {@link FreshnessNotTaken}
 */
export async function takeFreshness(deps: FreshnessDeps): Promise<string> {
  const { key, task, artefacts, folders, output } = deps;
  const path = join(folders.build.targetDir, SOURCES);
  for (let earlier = 1; earlier < task; earlier += 1) {
    if (await isCommand(earlier, deps)) continue;
    const of = artefactKeys.task(key.project, key.runId, earlier, SOURCES);
    // Not there is forbidden, for a role that may list no more than its own.
    if (!(await artefacts.getFile(of, path).catch(() => false))) continue;
    output.say("source freshness of an earlier task", { of: earlier });
    await copyFile(path, join(folders.plan.targetDir, SOURCES));
    return path;
  }
  await runFreshness(deps, path);
  await copyFile(path, join(folders.plan.targetDir, SOURCES));
  await patiently(
    () => artefacts.putFile(artefactKeys.task(key.project, key.runId, task, SOURCES), path),
    deps.untilMs,
  );
  return path;
}

/** A step `source freshness` leaves a file of that name too, of what it was asked for: some sources, perhaps. */
const isCommand = async (task: number, { ledger, key, untilMs }: FreshnessDeps): Promise<boolean> =>
  (await patiently(() => ledger.readTask(key, task), untilMs))?.kind === "command";

/** dbt exits 1 where a source is stale: the file tells, not the code. */
async function runFreshness(
  { folders, options, dbt, hooks, output, stop }: FreshnessDeps,
  path: string,
): Promise<void> {
  const words: string[] = [];
  const process = startDbt(dbt(sourceFreshnessArgv(folders.build, options), await hooks()), {
    onLine: (line) => {
      output.line(line);
      if (line.trim() !== "" && words.push(line.slice(0, 500)) > 20) words.shift();
    },
    onErrorLine: (line) => output.line(line),
  });
  const unlisten = stop.listen(() => process.signal("SIGINT"));
  const exit = await process.exit;
  unlisten();
  output.say("source freshness", { exitCode: exit.exitCode, signal: exit.signal, tookMs: exit.tookMs });
  if ((await stat(path).catch(() => null))?.isFile() === true) return;
  const said = output.masked([exit.notStarted, ...words, exit.stderrTail].filter(Boolean).join("\n")).slice(0, 2_000);
  throw new FreshnessNotTaken(
    `dbt source freshness ended with ${exit.signal ?? `exit code ${exit.exitCode}`} and left no sources.json: ${said || "no message"}`,
  );
}
