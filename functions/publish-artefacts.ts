import type { Artefacts } from "#clients/artefacts.ts";
import type { Ledger } from "#clients/ledger.ts";
import { LATEST_FILES, type LatestKind, type LatestRun } from "#core/contracts/latest.ts";
import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import { MergedResults } from "#core/dbt/merged-results.ts";
import { artefactKeys } from "#core/names.ts";
import { resultsForHooks } from "#core/run/deciding/hooks.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import { viewVertices } from "#core/run/judging/vertex-view.ts";
import { isOwnTarget, latestKindsOf } from "#core/run/reporting/latest.ts";
import type { SummaryInput } from "#core/run/reporting/summary.ts";
import { publishDocs } from "./publish-docs.ts";

export interface PublishDeps {
  readonly ledger: Pick<Ledger, "claimLatest" | "readLatest">;
  readonly artefacts: Pick<Artefacts, "list" | "copy" | "readPieces" | "putText" | "putJson" | "getJson">;
  readonly nowMs: () => number;
  readonly pause: (ms: number) => Promise<unknown>;
}

/** How long a run's end waits for files that its last containers still bring: a manifest of 100 MB takes a few seconds. */
export const MOST_WAIT_MS = 20_000;

const LOOK_MS = 250;

/** A container whose end is so old brings nothing more (containers/dbt-runner/after-end.ts). */
const FILES_WITHIN_MS = 120_000;

/**
 * Puts a run's artefacts together, once it has its verdict (behaviour H9, docs/adr/0056): one run_results.json, the
 * manifest and what dbt knows of its sources beside it; and makes them the project's latest where no newer run has. Done
 * twice it writes the same.
 */
export async function publishArtefacts(read: SummaryInput, deps: PublishDeps): Promise<void> {
  const { run, plan, tasks, rows } = read;
  const { artefacts } = deps;
  await publishDocs(run, tasks, deps);
  // What one command has left lies with its task.
  if (run.input.command !== undefined) return;
  const sources = sourcesOf(run, tasks, await arrivedFiles(run, tasks, deps));
  const invocationId = tasks.find(({ task }) => task === sources["manifest.json"]?.task)?.invocationId ?? null;
  const key = (name: string) => artefactKeys.run(run.project, run.runId, name);
  const results = await mergedText(read, sources["manifest.json"]?.task, invocationId, deps);
  await artefacts.putText(key("run_results.json"), results, "application/json");
  const files: LatestRun["files"] = ["run_results.json"];
  for (const name of ["manifest.json", "sources.json"] as const) {
    const from = sources[name];
    if (from && (await artefacts.copy(from.key, key(name)))) files.push(name);
  }
  const about = describe(run, invocationId, files);
  await artefacts.putJson(key("run.json"), about);
  if (!files.includes("manifest.json")) return;
  if (about.commit !== null && isOwnTarget(run))
    await artefacts.copy(key("manifest.json"), artefactKeys.commit(run.project, about.commit));
  for (const kind of latestKindsOf(run, plan, rows)) await makeLatest(kind, run, deps);
}

/** @param headOf the task whose file says under which options and version dbt ran; null: of the run before */
async function mergedText(
  { run, plan, tasks, rows, nowMs }: SummaryInput,
  headOf: number | null | undefined,
  invocationId: string | null,
  { artefacts }: PublishDeps,
): Promise<string> {
  const { project, runId, resumed, startedAtMs, endedAtMs = nowMs } = run;
  const views = plan === null ? new Map() : viewVertices(plan, rows, tasks, roundOf(run, plan));
  const merged = new MergedResults(resultsForHooks(views));
  const asked = new Set([...merged.tasks, ...(headOf == null ? [] : [headOf])]);
  for (const task of [...asked].filter((number) => isOwn(number, tasks))) {
    const { push } = merged.reader((of) => of === task, task === headOf);
    await artefacts.readPieces(artefactKeys.task(project, runId, task, "run_results.json"), push);
  }
  if (resumed !== undefined) {
    const { push } = merged.reader((of) => !isOwn(of, tasks), headOf === null);
    await artefacts.readPieces(artefactKeys.run(project, resumed, "run_results.json"), push);
  }
  const elapsedSeconds = Math.max(0, endedAtMs - startedAtMs) / 1000;
  return merged.text({ runId, endedAtMs, elapsedSeconds, dbtVersion: plan?.dbtVersion ?? null, invocationId });
}

const isOwn = (number: number, tasks: readonly TaskRow[]): boolean =>
  tasks.some(({ task, round }) => task === number && round > 0);

/**
 * What lies in the tasks' folders once the last of them have brought theirs: an end is recorded before dbt's files go up
 * (docs/adr/0045), dbt's log last of all. What has not come in time is left out.
 */
async function arrivedFiles(run: RunRow, tasks: readonly TaskRow[], deps: PublishDeps): Promise<ReadonlySet<string>> {
  const untilMs = deps.nowMs() + MOST_WAIT_MS;
  const prefix = `${artefactKeys.run(run.project, run.runId, "tasks/")}`;
  for (;;) {
    const found = new Set((await deps.artefacts.list(prefix)).map(({ key }) => key));
    const isMissing = ({ task, round, end }: TaskRow) =>
      round > 0 &&
      end !== undefined &&
      end.dbtMs > 0 &&
      deps.nowMs() < end.endedAtMs + FILES_WITHIN_MS &&
      !found.has(artefactKeys.task(run.project, run.runId, task, "dbt.log"));
    if (deps.nowMs() >= untilMs || !tasks.some(isMissing)) return found;
    await deps.pause(LOOK_MS);
  }
}

interface FileSource {
  readonly key: string;
  /** Null: of the run that this one goes on with. */
  readonly task: number | null;
}

/** Of which task each file is taken: the producer's manifest knows the SQL of most; sources, as they were seen last. */
function sourcesOf(
  { project, runId, resumed }: RunRow,
  tasks: readonly TaskRow[],
  files: ReadonlySet<string>,
): Partial<Record<(typeof LATEST_FILES)[number], FileSource>> {
  // A command's files are of what it was asked for: a later look at sources than the build's would hide what came between.
  const own = tasks.filter(({ round, kind }) => round > 0 && kind !== "command");
  const find = (name: string, among: readonly TaskRow[]): FileSource | undefined => {
    const has = among.find(({ task }) => files.has(artefactKeys.task(project, runId, task, name)));
    if (has) return { key: artefactKeys.task(project, runId, has.task, name), task: has.task };
    return resumed === undefined ? undefined : { key: artefactKeys.run(project, resumed, name), task: null };
  };
  const newest = own.toReversed();
  const producers = newest.filter(({ kind }) => kind === "producer");
  const manifest = find("manifest.json", [...producers, ...newest]);
  const sources = find("sources.json", newest);
  return { ...(manifest && { "manifest.json": manifest }), ...(sources && { "sources.json": sources }) };
}

function describe(run: RunRow, invocationId: string | null, files: LatestRun["files"]): LatestRun {
  const { commit } = run.input;
  return {
    contract: 1,
    project: run.project,
    runId: run.runId,
    state: run.state as LatestRun["state"],
    startedAt: new Date(run.startedAtMs).toISOString(),
    finishedAt: run.endedAtMs === undefined ? null : new Date(run.endedAtMs).toISOString(),
    invocationId,
    commit: typeof commit === "string" ? commit : null,
    files,
  };
}

/**
 * The row says whose the latest artefacts are; the files follow it. Whoever has copied looks at the row again, and copies
 * what it names by then: of two runs that end at once, the newer one's files lie there when both have come to their end.
 */
async function makeLatest(kind: LatestKind, run: RunRow, { ledger, artefacts }: PublishDeps): Promise<void> {
  const { project, runId, startedAtMs } = run;
  if (!(await ledger.claimLatest({ project, kind, runId, startedAtMs }))) return;
  for (let copied: string | null = null; ; ) {
    const named = (await ledger.readLatest(project, kind))?.runId ?? runId;
    if (named === copied) return;
    for (const name of [...LATEST_FILES, "run.json"])
      await artefacts.copy(artefactKeys.run(project, named, name), artefactKeys.latest(kind, project, name));
    copied = named;
  }
}
