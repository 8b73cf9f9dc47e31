import { buildEnded, type EndByLog } from "#core/dbt/build-end.ts";
import { applyEvent, type BuildLog, newBuildLog } from "#core/dbt/build-log.ts";
import type { ProcessEnd } from "#core/dbt/cause.ts";
import { closeBuildLog } from "#core/dbt/close-log.ts";
import { readLine } from "#core/dbt/log-line.ts";
import { type Reconciliation, reconcile } from "#core/dbt/reconcile.ts";
import { readRunResults } from "#core/dbt/run-results.ts";
import { nameSkips } from "#core/dbt/skipped-without-id.ts";
import { toldEnd } from "#core/dbt/told-end.ts";
import { type RecordedOutcome, recordedOutcomes } from "#core/run/judging/recorded-outcomes.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import type { RecordedCase } from "./recorded-cases.ts";

/** A recorded case, read to its end as the runner reads a live one. */
export interface ReadRecording {
  log: BuildLog;
  end: EndByLog;
  reconciliation: Reconciliation;
  outcomes: RecordedOutcome[];
}

/** Puts lines through the reader. */
export function readLines(lines: readonly string[], log: BuildLog = newBuildLog()): BuildLog {
  for (const line of lines) {
    const event = readLine(line);
    if (event !== null) applyEvent(log, event);
  }
  return log;
}

/** Reads a recorded case; `withFile` joins its run_results.json, which belongs to the info run in dbt 2. */
export function readRecording(
  recorded: RecordedCase,
  options: { withFile?: boolean; plan?: Plan } = {},
): ReadRecording {
  const log = readLines(recorded.lines());
  const text = options.withFile === true ? recorded.runResults() : null;
  const runResults = text === null ? null : readRunResults(text);
  nameSkips(log, options.plan?.vertices ?? []);
  const reconciliation = reconcile(log, runResults, { invocationId: log.invocationId });
  const end = buildEnded(log, endOf(recorded));
  const plan = options.plan === undefined ? {} : { plan: options.plan };
  return { log, end, reconciliation, outcomes: outcomesOf(log, end, { runResults, ...plan }) };
}

/** Closes the log and judges it as a live run's. */
export function outcomesOf(
  log: BuildLog,
  ended: EndByLog,
  more: Omit<Parameters<typeof recordedOutcomes>[0], "log" | "end"> = {},
): RecordedOutcome[] {
  closeBuildLog(log, ended);
  return recordedOutcomes({ log, end: toldEnd(log, ended), ...more });
}

/** The process's end as a supervisor would have seen it. A signal that dbt handles ends it with a code of its own. */
export function endOf(recorded: RecordedCase): ProcessEnd {
  const { exitCode, signal, stderr } = recorded.end;
  return {
    exitCode: exitCode < 0 ? null : exitCode,
    signal: exitCode < 0 ? signal : null,
    signalledByUs: false,
    stderrTail: stderr,
  };
}
