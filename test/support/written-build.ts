import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { buildEnded } from "#core/dbt/build-end.ts";
import { applyEvent, newBuildLog } from "#core/dbt/build-log.ts";
import type { ProcessEnd } from "#core/dbt/cause.ts";
import { closeBuildLog } from "#core/dbt/close-log.ts";
import { readLine } from "#core/dbt/log-line.ts";
import { reconcile } from "#core/dbt/reconcile.ts";
import type { RunResults } from "#core/dbt/run-results.ts";
import { nameSkips } from "#core/dbt/skipped-without-id.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { describeEnd } from "../../containers/dbt-runner/describe-end.ts";
import { StatusWriter } from "../../containers/dbt-runner/status-writer.ts";
import { VertexJournal } from "../../containers/dbt-runner/vertex-journal.ts";
import { runRow, taskRow } from "./ledger-rows.ts";
import { memoryLedger } from "./memory-ledger.ts";

const KEY = { project: "harbour", runId: "recorded" };

/** A build as a container brings it to the ledger: line by line, by its journal and writer, its end last of all. */
export async function writtenBuild(
  lines: readonly string[],
  end: ProcessEnd,
  plan: Plan,
  runResults: RunResults | null = null,
): Promise<{ rows: VertexRow[]; tasks: TaskRow[] }> {
  const ledger = memoryLedger();
  await ledger.createRun(runRow(KEY));
  const writer = new StatusWriter({
    write: (write) => ledger.writeVertex(KEY, 1, write),
    hold: false,
    onLost: (_write, error) => {
      throw error;
    },
  });
  const journal = new VertexJournal(writer);
  const log = newBuildLog();
  for (const line of lines) {
    const event = readLine(line);
    if (event !== null) journal.record(applyEvent(log, event));
  }
  journal.record(nameSkips(log, plan.vertices));
  const reconciliation = reconcile(log, runResults, { invocationId: log.invocationId });
  journal.record(reconciliation.changes);
  const ended = buildEnded(log, end);
  journal.record(closeBuildLog(log, ended));
  await writer.flush(() => Number.POSITIVE_INFINITY);
  const build = { log, end, tookMs: 1, notStarted: null };
  const told = { planProblem: null, claimed: null, failFastAsked: false, ranFiles: 0, stop: null };
  const task = taskRow(1, { state: "over", end: describeEnd({ build, ended, reconciliation, ...told }) });
  return { rows: await ledger.readVertices(KEY), tasks: [task] };
}
