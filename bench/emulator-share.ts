import type { Bench, Overhead } from "./overhead.ts";
import { type BenchProject, exitCodeOf } from "./projects.ts";
import { alone, runAlone } from "./runner-alone/alone.ts";
import { fixed, seconds, type Table } from "./table.ts";
import type { Timeline } from "./timeline.ts";

/** A producer's container without the embedded AWS on its machine: fence → the end of its build is recorded. */
export interface AloneBuild {
  readonly insideMs: number;
}

/**
 * The same build once more, by the same runner and dbt on the same warehouse, but over an AWS that only answers, in 4 ms:
 * what it takes less than in the run is what everything else took of the machine.
 * @throws Error where dbt did not end as it does in the run
 */
export async function measureAlone({ warehouse, dbt, say }: Bench, project: BenchProject): Promise<AloneBuild> {
  await warehouse.empty(project);
  const { name, projectDir, select } = project;
  say(`${name}: without the embedded AWS …`);
  const build = select === undefined ? {} : { select };
  const task = { executable: dbt.executable, projectDir, environment: dbt.environment, build };
  const { saidAtMs, dbtExitCode } = await alone((place) => runAlone(task, place));
  const insideMs = saidAtMs("recorded") - saidAtMs("fence passed");
  if (Number.isNaN(insideMs) || dbtExitCode !== exitCodeOf(project))
    throw new Error(`Without the embedded AWS dbt ended ${name} with exit code ${dbtExitCode}.`);
  say(`${name}: ${seconds(insideMs)} s in its container`);
  return { insideMs };
}

const insideMs = ({ toDbtMs, dbtMs, toRecordedMs }: Timeline): number => toDbtMs + dbtMs + toRecordedMs;

/** How much of the wall clock is the embedded AWS's, since it takes the processors that dbt would have. */
export function emulatorShareTable(rows: readonly Overhead[]): Table {
  return {
    title: "What the embedded AWS takes of the same processors (seconds)",
    columns: ["project", "plain dbt", "in the run", "alone", "its share", "ratio", "without it"],
    rows: rows.flatMap(({ project, plain, timeline, ratio, alone }) => {
      if (alone === undefined) return [];
      const shareMs = insideMs(timeline) - alone.insideMs;
      const parts = [plain.wallMs, insideMs(timeline), alone.insideMs, shareMs];
      return [[project, ...parts.map((ms) => seconds(ms)), fixed(ratio, 2), fixed(ratio - shareMs / plain.wallMs, 2)]];
    }),
    notes: [
      "in the run: fence → the end of the build is recorded; the functions, MiniStack and the benchmark's counting proxies beside it.",
      "alone: the same runner, dbt and warehouse right after it, over an AWS that answers each call in 4 ms and does nothing.",
      "its share: what the run took longer, by one run of each. without it: the ratio less that; in AWS none of it is on dbt's machine.",
    ],
  };
}
