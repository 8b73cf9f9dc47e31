import type { TaskRow } from "#core/contracts/ledger.ts";
import { counted } from "#core/counted.ts";
import type { TaskReport } from "#core/run/reporting/report.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { CONTAINER_NAME, deployedNames } from "../../infra/deployed-names.ts";
import { sameOptions } from "../command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "../context.ts";
import { endWithoutVerdict } from "../ended-run.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { handJson, handLine, pausedLines, pauseJson } from "../hands.ts";
import { lockEntries } from "../lock-holder.ts";
import { aboutVertex, readable } from "../log-text.ts";
import { printJson, printLines } from "../output.ts";
import { configNameOf } from "../paths.ts";
import { nextOf } from "../run-end.ts";
import { readRun } from "../run-lookup.ts";
import { uniqueIdsOf, vertexNamed } from "../vertex-named.ts";
import { cut, duration, paintFor, plain, widthOf } from "../view/style.ts";
import { statusText } from "../view/summary-text.ts";
import { keptResponses } from "../why-sources.ts";

const RUNS_SHOWN = 20;
const HANDS_SHOWN = 5;

/** `stepwatch runs <project>`: the last runs, newest first. */
export async function runsCommand(context: Context, project: string, flags: CommonOptions): Promise<number> {
  const stack = await context.openStack(flags);
  const rows = await stack.ledger.listRuns(project, RUNS_SHOWN);
  if (rows.length === 0 && flags.stack === undefined) refuseUnknown(context, project, flags);
  const runs = rows.map((row) => ({
    runId: row.runId,
    job: row.job ?? null,
    state: row.state,
    verdict: row.verdict ?? null,
    startedAt: new Date(row.startedAtMs).toISOString(),
    finishedAt: row.endedAtMs === undefined ? null : new Date(row.endedAtMs).toISOString(),
    executionArn: row.executionArn,
  }));
  const pause = await stack.ledger.readPause(project);
  const hands = await stack.ledger.listHands(project, HANDS_SHOWN);
  if (flags.json)
    printJson(context, { contract: 1, project, paused: pauseJson(pause), runs, hands: hands.map(handJson) });
  else printLines(context, pausedLines(pause, flags));
  if (flags.json) return exitCodes.green;
  if (runs.length === 0)
    printLines(context, [
      `${project} has no runs yet. Start one with: npx stepwatch run ${project}${sameOptions(flags)}`,
    ]);
  else
    printLines(
      context,
      runs.map((run) => {
        const job = run.job === null ? "" : `[${run.job}] `;
        const line = `${run.runId}  ${run.state.padEnd(8)} ${run.startedAt}  ${job}${run.verdict?.split("\n")[0] ?? ""}`;
        return cut(line.trimEnd(), widthOf(context.out, Number.MAX_SAFE_INTEGER));
      }),
    );
  if (hands.length > 0) printLines(context, ["", "By hand:", ...hands.map((hand) => `  ${handLine(hand)}`)]);
  return exitCodes.green;
}

function refuseUnknown(context: Context, project: string, flags: CommonOptions): void {
  const { projects } = context.loadConfig(flags.config);
  if (Object.hasOwn(projects, project)) return;
  throw new UsageError(
    `There is no project ${project}; ${configNameOf(flags.config, context.cwd)} has ${Object.keys(projects).join(", ")}.`,
    "Name one of these, or the stepwatch.yaml that has it by --config.",
  );
}

const runNamed = (context: Context, stack: DeployedStack, runId: string, flags: CommonOptions): Promise<RunSummary> =>
  readRun(stack, runId, context.now(), sameOptions(flags), (project) => lockEntries(context, project, flags));

/** What becomes of the tasks and the lock of a run whose machine is gone. */
const AFTER_NO_VERDICT =
  "Its tasks are stopped and it gets its verdict, within minutes as a rule. If not, ask for it again:";

/**
 * `stepwatch status <run>`. The exit code is the run's: 1 if it is red, 3 if its machine has ended without a verdict. A
 * run that goes on is no failure.
 */
export async function statusCommand(context: Context, runId: string, flags: CommonOptions): Promise<number> {
  const stack = await context.openStack(flags);
  const summary = await runNamed(context, stack, runId, flags);
  const size = { width: widthOf(context.out, 160), height: Number.MAX_SAFE_INTEGER };
  const ended = await endWithoutVerdict(stack, summary, flags);
  const paint = paintFor(context.out, context.environment);
  const pause = await stack.ledger.readPause(summary.project);
  const paused = pauseJson(pause);
  if (flags.json)
    printJson(context, {
      ...(await withResponses(stack, summary)),
      paused,
      ...(ended === null ? {} : { endedWithoutVerdict: ended }),
    });
  else
    printLines(context, [
      ...statusText(summary, size, paint, context.now(), ended),
      ...pausedLines(pause, flags),
      ...nextOf(summary.state, runId, flags),
    ]);
  if (ended !== null) {
    const next = `  → ${AFTER_NO_VERDICT} npx stepwatch stop ${runId} --reason "its execution has ended"${sameOptions(flags)}`;
    if (!flags.json) printLines(context, [next]);
    return exitCodes.infrastructure;
  }
  return summary.state === "red" || summary.state === "stopped" ? exitCodes.red : exitCodes.green;
}

/** The same, with the warehouse's own word on each vertex. */
async function withResponses(stack: DeployedStack, summary: RunSummary): Promise<RunSummary> {
  const responses = await keptResponses(stack, summary, summary.state);
  const told = <V extends { readonly uniqueId: string }>(vertices: readonly V[]) =>
    vertices.map((vertex) => ({ ...vertex, adapterResponse: responses.get(vertex.uniqueId) ?? null }));
  const { nodes, tests, others } = summary;
  return { ...summary, nodes: told(nodes), tests: told(tests), others: told(others) };
}

/** `stepwatch tasks <run>`: the dbt builds of a run. */
export async function tasksCommand(context: Context, runId: string, flags: CommonOptions): Promise<number> {
  const stack = await context.openStack(flags);
  const summary = await runNamed(context, stack, runId, flags);
  if (flags.json) printJson(context, { contract: 1, project: summary.project, runId, tasks: summary.tasks });
  else
    printLines(context, summary.tasks.length === 0 ? ["The run has no task yet."] : summary.tasks.flatMap(taskLines));
  return exitCodes.green;
}

function taskLines(task: TaskReport): string[] {
  const vertices = task.vertices === null ? "what it plans" : counted(task.vertices, "vertex", "vertices");
  const time = task.dbtMs === null ? "" : `, dbt ${duration(task.dbtMs)}`;
  const exit = task.exitCode === null ? "" : `, exit code ${task.exitCode}`;
  const head = `task ${task.task}  ${task.kind}  ${task.state}  ${vertices}${time}${exit}`;
  return [head, `  why  ${task.reason}`, ...(task.end === null ? [] : [`  end  ${task.end}`])];
}

/** `stepwatch logs <run> [node]`: the output of the run's containers, or what they said of one node. */
export async function logsCommand(
  context: Context,
  runId: string,
  node: string | undefined,
  flags: CommonOptions & { task?: number },
): Promise<number> {
  const stack = await context.openStack(flags);
  const summary = await runNamed(context, stack, runId, flags);
  const named = { runId, uniqueIds: uniqueIdsOf(summary) };
  const uniqueId = node === undefined ? null : vertexNamed(named, node, "logs", sameOptions(flags));
  const rows = await stack.ledger.readTasks({ project: summary.project, runId });
  const chosen = rows.filter((row) => flags.task === undefined || row.task === flags.task);
  if (chosen.length === 0)
    throw new UsageError(
      `The run ${runId} has no task${flags.task === undefined ? " yet" : ` ${flags.task}`}.`,
      `npx stepwatch tasks ${runId}${sameOptions(flags)}`,
    );
  const tasks = [];
  for (const row of chosen) tasks.push(await taskLog(stack, summary.project, row, uniqueId));
  if (flags.json) printJson(context, { contract: 1, project: summary.project, runId, node: uniqueId, tasks });
  else
    printLines(
      context,
      tasks.flatMap((task) => [
        `== task ${task.task} (${task.kind})`,
        ...task.lines.map((line) => readable(line.text, paintFor(context.out, context.environment) !== plain)),
      ]),
    );
  return exitCodes.green;
}

/** A task's lines; of one node, those that name it. A container that never started has no stream and no line. */
async function taskLog(stack: DeployedStack, project: string, row: TaskRow, uniqueId: string | null) {
  const group = deployedNames.projectLogGroup(stack.resources.stackName, project);
  const stream = row.logStream ?? streamOf(row);
  const lines = stream === null ? [] : await stack.logs.readLog(group, stream);
  const about = uniqueId === null ? () => true : aboutVertex(uniqueId);
  const wanted = lines.filter((line) => about(line.text));
  return {
    task: row.task,
    kind: row.kind,
    logGroup: group,
    logStream: stream,
    lines: wanted.map((line) => ({ at: new Date(line.atMs).toISOString(), text: line.text })),
  };
}

/** The name that ECS' awslogs driver makes (prefix/container/task id), for a container that could not say it itself. */
function streamOf(row: TaskRow): string | null {
  const id = (row.fencedBy ?? row.taskArn)?.split("/").at(-1);
  return id === undefined ? null : `dbt/${CONTAINER_NAME}/${id}`;
}
