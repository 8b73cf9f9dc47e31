import { z } from "zod";
import type { RunKey } from "#clients/ledger.ts";
import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import { isCommandLabel } from "#core/contracts/run-command.ts";
import { type AdapterResponse, readAdapterResponses } from "#core/dbt/adapter-response.ts";
import { type RowSample, rowSamplesSchema } from "#core/dbt/failing-rows.ts";
import { type RunResults, readRunResults } from "#core/dbt/run-results.ts";
import { artefactKeys } from "#core/names.ts";
import type { DeployedStack } from "./context.ts";

/** Under which run the files of a task lie: one that was adopted from another run has left them there. */
export const keeperOf =
  ({ project, runId, resumed }: Pick<RunRow, "project" | "runId" | "resumed">, tasks: readonly TaskRow[]) =>
  (number: number): RunKey => ({
    project,
    runId: tasks.find(({ task }) => task === number)?.round === 0 ? (resumed ?? runId) : runId,
  });

/** dbt's own files of some tasks of a run, by task; those that were never kept, or not any more, are left out. */
export async function keptResults(
  { artefacts }: Pick<DeployedStack, "artefacts">,
  keeper: (task: number) => RunKey,
  tasks: readonly number[],
): Promise<Map<number, RunResults>> {
  const results = new Map<number, RunResults>();
  for (const task of tasks) {
    const { project, runId } = keeper(task);
    const text = await artefacts.getText(artefactKeys.task(project, runId, task, "run_results.json"));
    const read = text === null ? null : readRunResults(text);
    if (read !== null) results.set(task, read);
  }
  return results;
}

/**
 * What the warehouse said of each vertex' last statement (query id, bytes, slot time), by the run's own run_results.json:
 * empty while the run goes on, and of one that has none.
 */
export async function keptResponses(
  { artefacts }: Pick<DeployedStack, "artefacts">,
  { project, runId }: RunKey,
  state: string,
): Promise<Map<string, AdapterResponse>> {
  if (state === "running") return new Map();
  const text = await artefacts.getText(artefactKeys.run(project, runId, "run_results.json"));
  return text === null ? new Map() : readAdapterResponses(text);
}

/** Rows of failed tests that tasks of a run have kept, by test. */
export async function keptSamples(
  { artefacts }: Pick<DeployedStack, "artefacts">,
  keeper: (task: number) => RunKey,
  tasks: readonly number[],
): Promise<Map<string, RowSample>> {
  const samples = new Map<string, RowSample>();
  for (const task of tasks) {
    const { project, runId } = keeper(task);
    const read = rowSamplesSchema.safeParse(
      await artefacts.getJson(artefactKeys.task(project, runId, task, "failing_rows.json")),
    );
    for (const [uniqueId, sample] of Object.entries(read.data ?? {})) samples.set(uniqueId, sample);
  }
  return samples;
}

/** Runs among which the last green one is looked for. */
const RUNS_LOOKED_AT = 20;

const timedSchema = z.object({ uniqueId: z.string(), startedAt: z.string(), finishedAt: z.string() });
const summarySchema = z.object({
  nodes: z.array(z.unknown()),
  tests: z.array(z.unknown()),
  timings: z.object({ wallMs: z.number() }).optional(),
});

/** When one vertex of a past run began and ended. */
export interface Span {
  readonly uniqueId: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** The project's last green run: its id, how long it took, and its vertices' times. */
export interface PastGreen {
  readonly runId: string;
  readonly wallMs: number | null;
  readonly spans: readonly Span[];
}

/** Null where there is none, or no summary of it. */
export async function lastGreen(
  { ledger, artefacts }: Pick<DeployedStack, "ledger" | "artefacts">,
  { project, runId }: { readonly project: string; readonly runId?: string },
): Promise<PastGreen | null> {
  const runs = await ledger.listRuns(project, RUNS_LOOKED_AT);
  const builds = runs.filter((run) => run.state === "green" && run.runId !== runId && !isCommandLabel(run.job));
  // A job may build a part of the project: its times are better than none.
  const green = builds.find(({ job }) => job === undefined) ?? builds[0];
  if (green === undefined) return null;
  const { data } = summarySchema.safeParse(
    await artefacts.getJson(artefactKeys.summary(project, green.runId, green.round ?? 1)),
  );
  if (data === undefined) return null;
  const spans = [...data.nodes, ...data.tests].flatMap((entry) => {
    const timed = timedSchema.safeParse(entry).data;
    if (timed === undefined) return [];
    return [{ uniqueId: timed.uniqueId, fromMs: Date.parse(timed.startedAt), toMs: Date.parse(timed.finishedAt) }];
  });
  return { runId: green.runId, wallMs: data.timings?.wallMs ?? null, spans };
}

/** Milliseconds that each vertex took in the project's last green run; empty where there is none, or no summary of it. */
export async function usualTimes(
  stack: Pick<DeployedStack, "ledger" | "artefacts">,
  run: RunKey,
): Promise<Map<string, number>> {
  const spans = (await lastGreen(stack, run))?.spans ?? [];
  return new Map(spans.map(({ uniqueId, fromMs, toMs }) => [uniqueId, toMs - fromMs]));
}
