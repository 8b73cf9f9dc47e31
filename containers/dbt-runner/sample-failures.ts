import type { Artefacts } from "#clients/artefacts.ts";
import type { RunKey } from "#clients/ledger.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import type { BuildLog } from "#core/dbt/build-log.ts";
import { type RowSample, type StoredFailures, sampleArgv, sampledRows } from "#core/dbt/failing-rows.ts";
import { artefactKeys } from "#core/names.ts";
import { type DbtCommand, startDbt } from "./dbt-process.ts";
import type { LogOutput } from "./log-output.ts";
import type { StopSwitch } from "./stop-switch.ts";
import type { TaskFolders } from "./task-folders.ts";

export interface SampleDeps {
  readonly key: RunKey;
  readonly task: number;
  /** Rows of each test; 0: none is read. */
  readonly rows: number;
  readonly artefacts: Pick<Artefacts, "putJson">;
  readonly folders: TaskFolders;
  readonly options: BuildOptions;
  readonly dbt: (argv: readonly string[]) => DbtCommand;
  readonly output: LogOutput;
  readonly stop: StopSwitch;
}

/** Tests whose rows are read: a build with sixty failed ones has one cause or another, and a person reads a few. */
const MOST_TESTS = 5;

/** dbt's start, its parse (it has the build's own) and some short queries; a task must not hang for a courtesy. Milliseconds. */
const SAMPLE_MS = 60_000;

/** Failed data tests of a build that keep what they found, the first few. */
export function storedFailures(log: BuildLog): StoredFailures[] {
  return [...log.vertices.values()]
    .filter(({ resourceType, status }) => resourceType === "test" && status === "fail")
    .flatMap(({ uniqueId, relationName }) => (relationName ? [{ uniqueId, relation: relationName }] : []))
    .slice(0, MOST_TESTS);
}

/**
 * Keeps the first rows of what failed tests have stored, for `stepwatch why` (behaviour C11). One dbt process, and only
 * where somebody asked dbt to store failures and a test found some. Whatever goes wrong is told in the log and leaves the
 * build as it ended.
 */
export async function sampleFailures(log: BuildLog, deps: SampleDeps): Promise<void> {
  const tests = storedFailures(log);
  if (deps.rows === 0 || tests.length === 0 || deps.stop.request) return;
  const samples = new Map<string, RowSample>();
  const asked = new Set(tests.map((test) => test.uniqueId));
  const process = startDbt(deps.dbt(sampleArgv(deps.folders.plan, deps.options, tests, deps.rows)), {
    onLine: (line) => {
      const found = sampledRows(deps.output.masked(line));
      if (found !== null && asked.has(found.uniqueId)) samples.set(found.uniqueId, found.sample);
    },
    onErrorLine: () => {},
  });
  const unlisten = deps.stop.listen(() => process.signal("SIGKILL"));
  const late = setTimeout(() => process.signal("SIGKILL"), SAMPLE_MS);
  const { exitCode, tookMs } = await process.exit;
  clearTimeout(late);
  unlisten();
  deps.output.say("rows of failed tests", { tests: tests.length, read: samples.size, exitCode, tookMs });
  if (samples.size === 0) return;
  const key = artefactKeys.task(deps.key.project, deps.key.runId, deps.task, "failing_rows.json");
  try {
    await deps.artefacts.putJson(key, Object.fromEntries(samples));
  } catch (error) {
    deps.output.say("rows of failed tests could not be kept", { error: String(error) });
  }
}
