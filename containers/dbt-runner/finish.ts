import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { buildEnded } from "#core/dbt/build-end.ts";
import type { BuildLog } from "#core/dbt/build-log.ts";
import { closeBuildLog } from "#core/dbt/close-log.ts";
import { reconcile } from "#core/dbt/reconcile.ts";
import { type RunResults, RunResultsReader } from "#core/dbt/run-results.ts";
import { type AfterEnd, uploadsAfterEnd } from "./after-end.ts";
import type { FinishedBuild } from "./build.ts";
import { describeEnd, type EndFacts } from "./describe-end.ts";
import type { LogOutput } from "./log-output.ts";
import type { Moments } from "./moments.ts";
import type { PartialParse } from "./partial-parse.ts";
import { noLaterThan } from "./patience.ts";
import { readPieces } from "./read-pieces.ts";
import { type EndRecord, recordEnd, StatusesUnwritten } from "./record-end.ts";
import type { StatusWriter } from "./status-writer.ts";
import type { StopSwitch } from "./stop-switch.ts";
import { type ArtefactDeps, uploadCompiled, uploadDbtFiles, uploadResults } from "./task-artefacts.ts";
import type { VertexJournal } from "./vertex-journal.ts";

/** Longest time that what is read before a build's end may hold it up; under a stop, of the time that is left. */
const BEFORE_END_MS = 120_000;
const BEFORE_END_SHARE_OF_STOP = 0.5;

export interface FinishDeps {
  readonly record: EndRecord;
  readonly moments: Moments;
  readonly artefacts: ArtefactDeps;
  readonly journal: VertexJournal;
  readonly writer: StatusWriter;
  readonly stop: StopSwitch;
  readonly parse: Pick<PartialParse, "settled">;
  readonly failFastAsked: boolean;
  /** Keeps some of what failed tests have stored. */
  readonly sample: (log: BuildLog) => Promise<void>;
  /** A later task of the run reads this build's results (`hooks: once`). */
  readonly resultsAreRead: boolean;
}

/**
 * After dbt: reconcile with its file, write what is left, and record the end, so that whoever sees the task over sees all
 * of its statuses (behaviour F12). What nobody waits for goes up after that, while the run goes on: docs/adr/0045.
 */
export async function finishBuild(
  deps: FinishDeps,
  build: FinishedBuild,
  task: Pick<EndFacts, "planProblem" | "claimed">,
): Promise<AfterEnd> {
  const { log } = build;
  const runResults = await readResults(deps.artefacts.folders.build.targetDir, deps.artefacts.output);
  const reconciliation = reconcile(log, runResults, { invocationId: log.invocationId });
  deps.journal.record(reconciliation.changes);
  const ended = buildEnded(log, build.end);
  deps.journal.record(closeBuildLog(log, ended));
  if (!(await deps.writer.flush(deps.record.untilMs))) throw new StatusesUnwritten(deps.writer.waiting);
  deps.moments.first("durableAtMs");
  await noLaterThan(keepForLater(deps, log), beforeEndUntilMs(deps));
  const facts = {
    build,
    ended,
    reconciliation,
    stop: deps.stop.request,
    failFastAsked: deps.failFastAsked,
    ranFiles: await countRanFiles(deps.artefacts.folders.build.targetDir),
    ...task,
  };
  const end = { ...describeEnd(facts), moments: deps.moments.told, runner: deps.moments.usage };
  await recordEnd(deps.record, end, deps.writer.counts.written);
  deps.artefacts.output.say("recorded", {
    cause: end.cause.kind,
    sentence: end.cause.sentence,
    inOrder: end.inOrder,
    ...deps.writer.counts,
  });
  return uploadsAfterEnd(deps, async () => {
    await deps.parse.settled();
    await uploadCompiled(deps.artefacts, log, reconciliation.used ? runResults : null);
    if (!deps.resultsAreRead) await uploadResults(deps.artefacts);
    await uploadDbtFiles(deps.artefacts);
  });
}

/** dbt writes each model's final SQL below `target/run` just before it runs it; hooks lie there by the project's file. */
async function countRanFiles(targetDir: string): Promise<number> {
  const entries = await readdir(join(targetDir, "run"), { recursive: true, withFileTypes: true }).catch(() => []);
  const isModel = (entry: Dirent) =>
    entry.isFile() && /\.(sql|py)$/.test(entry.name) && !entry.parentPath.includes("dbt_project.yml");
  return entries.filter(isModel).length;
}

/** What must be there before anybody acts on the end: the next build may replace the rows, and the hooks read the results. */
async function keepForLater(deps: FinishDeps, log: BuildLog): Promise<void> {
  if (deps.resultsAreRead) await uploadResults(deps.artefacts);
  await deps.sample(log);
}

function beforeEndUntilMs({ stop, record }: FinishDeps): number {
  const nowMs = Date.now();
  if (!stop.request) return nowMs + BEFORE_END_MS;
  return nowMs + Math.min(BEFORE_END_MS, (record.untilMs() - nowMs) * BEFORE_END_SHARE_OF_STOP);
}

/** The file of this build's own target folder, if dbt came so far. Another invocation's is told apart by `reconcile`. */
async function readResults(targetDir: string, output: Pick<LogOutput, "masked">): Promise<RunResults | null> {
  try {
    const reader = new RunResultsReader((text) => output.masked(text));
    await readPieces(join(targetDir, "run_results.json"), (bytes) => reader.push(bytes));
    return reader.end();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
