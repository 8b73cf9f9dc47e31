import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { HookResult, HooksBrief } from "#core/contracts/task-set.ts";
import { buildArgv } from "#core/dbt/argv.ts";
import { resultEntry } from "#core/dbt/result-entry.ts";
import { artefactKeys } from "#core/names.ts";
import type { AfterEnd } from "./after-end.ts";
import { finishBuild } from "./finish.ts";
import { heldHooks, hooksAlone } from "./held-hooks.ts";
import { dbtCommand, dbtUnlessStopped, finishDeps, laySources, type TaskContext } from "./run-task.ts";
import { VertexJournal } from "./vertex-journal.ts";

/** What a build's run_results.json has of one vertex, in dbt's own spelling and with keys that nobody here reads. */
const fileSchema = z.object({ results: z.array(z.looseObject({ unique_id: z.string(), status: z.string() })) });
type FileResult = z.infer<typeof fileSchema>["results"][number];

/**
 * The project's on-run hooks alone, with the results of all builds of the run (behaviour G30). dbt starts with the
 * person's own options, so that a hook that asks for them, or for `selected_resources`, is answered as in the run's first
 * build. It says nothing of any vertex, and owns none.
 */
export async function runHooksTask(task: TaskContext, brief: HooksBrief): Promise<AfterEnd> {
  // dbt 1.12 prints a skip of everything selected where a start hook fails.
  const context = { ...task, journal: new VertexJournal({ put: () => undefined }) };
  const { folders, parse } = context;
  const path = join(folders.stateDir, "results.json");
  await writeFile(path, JSON.stringify(await mergedResults(context, brief.results)));
  await laySources(context);
  const env = await heldHooks(hooksAlone(brief, path), folders.hooksDir, context.dbtVersion, (args, more) =>
    dbtCommand(context, args, more),
  );
  const options = { ...context.brief.planOptions, failFast: false };
  const build = await dbtUnlessStopped(context, buildArgv(folders.build, options), (event) => parse.watch(event), env);
  return finishBuild(finishDeps(context), build, { planProblem: null, claimed: [] });
}

/** In dbt's spelling; what the run_results.json of a vertex's own build tells beside is added where that can be read. */
async function mergedResults(context: TaskContext, results: readonly HookResult[]): Promise<object[]> {
  const files = new Map<number, ReadonlyMap<string, FileResult>>();
  for (const { task } of results)
    if (task !== null && !files.has(task)) files.set(task, await resultsOf(context, task));
  return results.map((one) => {
    const more = one.task === null ? undefined : files.get(one.task)?.get(one.uniqueId);
    return { ...resultEntry(one), ...(more?.status === one.status ? more : {}) };
  });
}

async function resultsOf(context: TaskContext, task: number): Promise<ReadonlyMap<string, FileResult>> {
  const { project, runId } = context.key;
  const path = join(context.folders.stateDir, `run_results-${task}.json`);
  try {
    if (!(await context.artefacts.getFile(artefactKeys.task(project, runId, task, "run_results.json"), path)))
      return new Map();
    const { results } = fileSchema.parse(JSON.parse(await readFile(path, "utf8")));
    return new Map(results.map((one) => [one.unique_id, one]));
  } catch (error) {
    // What the ledger has of it is told all the same.
    context.output.say("run_results.json of a build can not be read", { of: task, error: String(error) });
    return new Map();
  }
}
