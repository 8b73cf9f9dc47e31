import type { Dirent } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { buildEnded } from "#core/dbt/build-end.ts";
import type { BuildLog } from "#core/dbt/build-log.ts";
import { closeBuildLog } from "#core/dbt/close-log.ts";
import { reconcile } from "#core/dbt/reconcile.ts";
import { type RunResults, readRunResults } from "#core/dbt/run-results.ts";
import type { FinishedBuild } from "./build.ts";
import { describeEnd, type EndFacts } from "./describe-end.ts";
import type { LogOutput } from "./log-output.ts";
import type { PartialParse } from "./partial-parse.ts";
import { noLaterThan } from "./patience.ts";
import { type EndRecord, recordEnd, StatusesUnwritten } from "./record-end.ts";
import type { StatusWriter } from "./status-writer.ts";
import type { StopSwitch } from "./stop-switch.ts";
import { type ArtefactDeps, uploadCompiled, uploadDbtFiles } from "./task-artefacts.ts";
import type { VertexJournal } from "./vertex-journal.ts";

/** Longest time that uploads may hold up the end of a build; under a stop, of the time that is left. */
const UPLOADS_MS = 120_000;
const UPLOADS_SHARE_OF_STOP = 0.5;

export interface FinishDeps {
  readonly record: EndRecord;
  readonly artefacts: ArtefactDeps;
  readonly journal: VertexJournal;
  readonly writer: StatusWriter;
  readonly stop: StopSwitch;
  readonly parse: Pick<PartialParse, "settled">;
  readonly failFastAsked: boolean;
}

/**
 * After dbt: reconcile with its file, write what is left, upload, and record the end last of all, so that whoever sees
 * the task over sees all of its statuses (behaviour F12).
 */
export async function finishBuild(
  deps: FinishDeps,
  build: FinishedBuild,
  task: Pick<EndFacts, "planProblem" | "claimed">,
): Promise<void> {
  const { log } = build;
  const runResults = await readResults(deps.artefacts.folders.build.targetDir, deps.artefacts.output);
  const reconciliation = reconcile(log, runResults, { invocationId: log.invocationId });
  deps.journal.record(reconciliation.changes);
  const ended = buildEnded(log, build.end);
  deps.journal.record(closeBuildLog(log, ended));
  await flushAll(deps);
  await noLaterThan(uploadAll(deps, log, reconciliation.used ? runResults : null), uploadsUntilMs(deps));
  await flushAll(deps);
  const facts = {
    build,
    ended,
    reconciliation,
    stop: deps.stop.request,
    failFastAsked: deps.failFastAsked,
    ranFiles: await countRanFiles(deps.artefacts.folders.build.targetDir),
    ...task,
  };
  const end = describeEnd(facts);
  await recordEnd(deps.record, end, deps.writer.counts.written);
  deps.artefacts.output.say("recorded", {
    cause: end.cause.kind,
    sentence: end.cause.sentence,
    inOrder: end.inOrder,
    ...deps.writer.counts,
  });
}

/** dbt writes each model's final SQL below `target/run` just before it runs it; hooks lie there by the project's file. */
async function countRanFiles(targetDir: string): Promise<number> {
  const entries = await readdir(join(targetDir, "run"), { recursive: true, withFileTypes: true }).catch(() => []);
  const isModel = (entry: Dirent) =>
    entry.isFile() && /\.(sql|py)$/.test(entry.name) && !entry.parentPath.includes("dbt_project.yml");
  return entries.filter(isModel).length;
}

async function flushAll(deps: FinishDeps): Promise<void> {
  if (!(await deps.writer.flush(deps.record.untilMs))) throw new StatusesUnwritten(deps.writer.waiting);
}

async function uploadAll(deps: FinishDeps, log: BuildLog, runResults: RunResults | null): Promise<void> {
  const compiledKey = await uploadCompiled(deps.artefacts, log, runResults);
  if (compiledKey !== null) {
    for (const vertex of log.vertices.values()) {
      if (vertex.class === "failed") deps.journal.recordCompiled(vertex.uniqueId, compiledKey);
    }
  }
  await uploadDbtFiles(deps.artefacts);
  await deps.parse.settled();
}

function uploadsUntilMs({ stop, record }: FinishDeps): number {
  const nowMs = Date.now();
  return nowMs + (stop.request ? (record.untilMs() - nowMs) * UPLOADS_SHARE_OF_STOP : UPLOADS_MS);
}

/** The file of this build's own target folder, if dbt came so far. Another invocation's is told apart by `reconcile`. */
async function readResults(targetDir: string, output: Pick<LogOutput, "masked">): Promise<RunResults | null> {
  try {
    return readRunResults(output.masked(await readFile(join(targetDir, "run_results.json"), "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
