import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Cause } from "#core/contracts/cause.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import { type ExactSelection, exactSelection, type SelectableVertex } from "#core/dbt/exact-selection.ts";
import { type AfterEnd, nothingMore } from "./after-end.ts";
import type { PlanOutcome } from "./producer-plan.ts";
import { endWithoutDbt, recordEnd } from "./record-end.ts";
import type { TaskContext } from "./run-task.ts";
import type { StopSwitch } from "./stop-switch.ts";

/** What a producer builds: all that the person's own options select, unless `args` stand for the selection. */
export interface Selected {
  readonly args?: readonly string[];
  readonly options?: BuildOptions;
}

/** Nothing is left out. */
export const WHOLE: Selected = {};

/** Selects exactly these, and writes the files by which this dbt is told. */
export async function exactly(
  { folders }: Pick<TaskContext, "folders">,
  dbtVersion: string | null,
  vertices: readonly SelectableVertex[],
  options: BuildOptions,
): Promise<ExactSelection> {
  const selection = exactSelection({ dbtVersion, vertices, stateDir: folders.stateDir, options });
  for (const file of selection.files) {
    await mkdir(dirname(file.path), { recursive: true });
    await writeFile(file.path, file.content);
  }
  return selection;
}

/**
 * What the freshness gate lets through, as an exact selection: the plan has asked dbt what the person's options select, a
 * selector of selectors.yml among them, beside which dbt would not hear `--exclude` (behaviour H1). Where nothing is left
 * out dbt is started as ever. A cause: dbt is not to be started at all.
 */
export async function letThrough(
  context: TaskContext,
  { plan, problem }: PlanOutcome,
): Promise<Selected | Omit<Cause, "lines">> {
  if (plan === null)
    return { kind: "environment", sentence: `The freshness gate needs the run's plan. ${problem} Nothing was built.` };
  if (!plan.vertices.some((vertex) => vertex.leftOut !== undefined)) return WHOLE;
  const rest = plan.vertices.filter((vertex) => vertex.leftOut === undefined && !vertex.deferred);
  if (!rest.some((vertex) => vertex.builds))
    return { kind: "none", sentence: "The freshness gate left out everything: there is nothing to build." };
  const { args, options } = await exactly(context, context.dbtVersion, rest, context.brief.options);
  return { args, options };
}

/**
 * What ends a task whose gate was cut off, by who cut it off: a container that was taken away before anything began is
 * followed by another one (behaviour D3), and what the project lacks is not.
 */
export function unlessCutOff(cause: Omit<Cause, "lines">, { request }: StopSwitch): Omit<Cause, "lines"> {
  if (request === null || cause.kind === "none") return cause;
  const kind = request.reason === "timeout" || request.reason === "stopped" ? request.reason : "terminated";
  return { kind, sentence: request.sentence };
}

/** A build that is not to be: in order where everything is left out. */
export async function recordGateEnd({ record, stop }: TaskContext, cause: Omit<Cause, "lines">): Promise<AfterEnd> {
  await recordEnd(record, endWithoutDbt(unlessCutOff(cause, stop), cause.kind === "none"), 0);
  return nothingMore;
}
