import type { VertexRow } from "#core/contracts/ledger.ts";
import type { RunIndexRow } from "#core/contracts/project-rows.ts";
import { isCommandLabel } from "#core/contracts/run-command.ts";
import { classOfStatus, isTerminal } from "#core/dbt/status.ts";
import { type PastTime, trendOf } from "#core/run/reporting/history.ts";
import { sameOptions } from "../command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "../context.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { refuseUnknownProject } from "../known-project.ts";
import { printJson, printLines } from "../output.ts";
import { vertexNamed } from "../vertex-named.ts";
import { historyText } from "../view/history-text.ts";

export interface HistoryFlags extends CommonOptions {
  readonly last?: number;
}

/** One line of a history. */
export interface HistoryEntry extends PastTime {
  readonly runId: string;
  readonly startedAt: string;
  /** Vertices of the run, or tries of the node; null where nobody has counted them. */
  readonly tries: number | null;
  /** Estimated, of a whole run. */
  readonly usd: number | null;
}

const RUNS_SHOWN = 20;

/** Rows of one node that are asked for at once. */
const READS_AT_ONCE = 10;

/**
 * `stepwatch history <project> [node]`: how the last runs went, by their lines in the list of runs: one read, whatever
 * their size. Of a node its row in each of them.
 */
export async function historyCommand(
  context: Context,
  project: string,
  node: string | undefined,
  flags: HistoryFlags,
): Promise<number> {
  const stack = await context.openStack(flags);
  await refuseUnknownProject(context, stack, project, flags);
  const listed = await stack.ledger.listRuns(project, flags.last ?? RUNS_SHOWN);
  const isOver = ({ state }: RunIndexRow) => state !== "running" && state !== "skipped";
  const runs = listed.filter((row) => isOver(row) && !isCommandLabel(row.job)).toReversed();
  const uniqueId = node === undefined ? null : await nodeOf(stack, project, runs, node, flags);
  const entries = uniqueId === null ? runs.map(entryOfRun) : await entriesOfNode(stack, project, runs, uniqueId);
  const trend = trendOf(entries);
  if (flags.json) printJson(context, { contract: 1, project, node: uniqueId, ...trend, runs: entries.toReversed() });
  else if (entries.length === 0)
    printLines(context, [`${uniqueId ?? project} has no history yet: no run of it has ended.`]);
  else printLines(context, historyText(uniqueId ?? project, entries, trend));
  return exitCodes.green;
}

function entryOfRun(row: RunIndexRow): HistoryEntry {
  const { runId, state, startedAtMs, endedAtMs, tally } = row;
  return {
    ...{ runId, state, isGood: state === "green" },
    startedAt: new Date(startedAtMs).toISOString(),
    tookMs: endedAtMs === undefined ? null : endedAtMs - startedAtMs,
    retried: (tally?.retried ?? 0) > 0,
    tries: tally?.retried ?? null,
    usd: tally?.usd ?? null,
  };
}

/** The vertex that a person names, by the plan of the newest run that has one. @throws {UsageError} */
async function nodeOf(
  stack: DeployedStack,
  project: string,
  runs: readonly RunIndexRow[],
  name: string,
  flags: HistoryFlags,
): Promise<string> {
  const options = sameOptions(flags);
  for (const { runId } of runs.toReversed().slice(0, READS_AT_ONCE)) {
    const run = await stack.ledger.readRun({ project, runId });
    const plan = run?.planKey === undefined ? null : await stack.readPlan(run.planKey);
    if (plan === null) continue;
    const ids = plan.vertices.map(({ uniqueId }) => uniqueId);
    const isThere = ids.some((id) => id === name || id.endsWith(`.${name}`) || id.includes(`.${name}.`));
    if (isThere) return vertexNamed({ runId, uniqueIds: ids }, name, `history ${project}`, options);
  }
  throw new UsageError(`The last runs of ${project} have no node ${name}.`, `npx stepwatch runs ${project}${options}`);
}

async function entriesOfNode(
  stack: DeployedStack,
  project: string,
  runs: readonly RunIndexRow[],
  uniqueId: string,
): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  for (let at = 0; at < runs.length; at += READS_AT_ONCE) {
    const read = runs.slice(at, at + READS_AT_ONCE).map(async (run) => {
      const rows = await stack.ledger.readSomeVertices({ project, runId: run.runId }, [uniqueId]);
      const row = rows.find((one) => one.uniqueId === uniqueId);
      return row === undefined ? [] : [entryOfNode(run, row)];
    });
    entries.push(...(await Promise.all(read)).flat());
  }
  return entries;
}

/** Of a run that goes on with another what was good there is as old as it is: its time is of that run. */
function entryOfNode(run: RunIndexRow, row: VertexRow): HistoryEntry {
  const { runId, startedAtMs } = run;
  const { startedAtMs: beganAtMs, endedAtMs, executionSeconds, status, tryTasks, final } = row;
  const isGood = final === undefined && status !== undefined && isTerminal(status) && classOfStatus(status) === "good";
  const isOwn = tryTasks.length > 0 && beganAtMs !== undefined && beganAtMs >= startedAtMs;
  const wall = isOwn && endedAtMs !== undefined ? endedAtMs - beganAtMs : null;
  return {
    ...{ runId, isGood, state: stateOf(row, isGood) },
    startedAt: new Date(startedAtMs).toISOString(),
    tookMs: isOwn && executionSeconds !== undefined ? Math.round(executionSeconds * 1_000) : wall,
    retried: tryTasks.length > 1,
    tries: tryTasks.length,
    usd: null,
  };
}

function stateOf({ final, status }: VertexRow, isGood: boolean): string {
  if (isGood) return "good";
  if (final === "doomed") return "upstream failed";
  if (status === undefined || !isTerminal(status)) return "not built";
  return classOfStatus(status).replace("_", " ");
}
