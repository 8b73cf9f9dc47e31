import type { RunKey } from "#clients/ledger.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { executionArn, PROJECT_NAME, RUN_ID } from "#core/names.ts";
import { inGateOrder } from "#core/run/judging/vertex-view.ts";
import { type RunSummary, summarise } from "#core/run/reporting/summary.ts";
import type { DeployedStack } from "./context.ts";
import { UsageError } from "./failure.ts";
import type { RunSnapshot } from "./follow.ts";
import { lockHolder } from "./lock-holder.ts";

/**
 * The run that a person names by its id. Its project stands in its execution's input, so that nobody has to type it;
 * executions are kept for 90 days, longer than the ledger's rows by default.
 * @param stackOption ` --stack <name>` for the commands to run next, as this one was given it.
 * @throws {UsageError} if there is no such run
 */
export async function findRun(stack: DeployedStack, runId: string, stackOption: string): Promise<RunKey> {
  if (!RUN_ID.test(runId)) {
    throw new UsageError(
      `${JSON.stringify(runId)} is no run id: letters, digits, - and _ only, at most 80.`,
      `npx stepwatch runs <project>${stackOption}`,
    );
  }
  const execution = await stack.executions.describe(executionArn(stack.resources.runMachineArn, runId));
  const project = projectOf(execution?.input);
  if (project === null)
    throw new UsageError(
      `There is no run ${runId} in the stack ${stack.resources.stackName}.`,
      `npx stepwatch runs <project>${stackOption}`,
    );
  return { project, runId };
}

function projectOf(input: unknown): string | null {
  const project = typeof input === "object" && input !== null && "project" in input ? input.project : null;
  return typeof project === "string" && PROJECT_NAME.test(project) ? project : null;
}

/** Everything the ledger says of a run. Tasks before vertices: a task's end is seen with the statuses before it (F12). */
export async function readSnapshot(stack: DeployedStack, key: RunKey): Promise<RunSnapshot> {
  const run = await stack.ledger.readRun(key);
  if (run === null) return { run: null, plan: null, tasks: [], vertices: [] };
  const tasks = await stack.ledger.readTasks(key);
  const vertices = await stack.ledger.readVertices(key);
  const plan = run.planKey === undefined ? null : await stack.readPlan(run.planKey);
  return { run, plan, tasks, vertices };
}

/** Vertices in gate order, parents first: that is how a person reads a run. */
export function summaryOf(snapshot: RunSnapshot & { run: RunRow }, nowMs: number): RunSummary {
  const { run, plan, vertices: rows, tasks } = snapshot;
  const ordered = plan === null ? null : { ...plan, vertices: inGateOrder(plan.vertices) };
  return summarise({ run, plan: ordered, rows, tasks, nowMs });
}

/**
 * The run as it stands.
 * @param entriesOf whose runs share the lock of a project's
 * @throws {UsageError} if there is no such run, or it has no row: it waits for its lock, was refused, or has expired
 */
export async function readRun(
  stack: DeployedStack,
  runId: string,
  nowMs: number,
  stackOption: string,
  entriesOf: (project: string) => readonly string[],
): Promise<RunSummary> {
  const key = await findRun(stack, runId, stackOption);
  const snapshot = await readSnapshot(stack, key);
  if (snapshot.run !== null) return summaryOf({ ...snapshot, run: snapshot.run }, nowMs);
  const execution = await stack.executions.describe(executionArn(stack.resources.runMachineArn, runId));
  if (execution?.status === "RUNNING") {
    const holder = await lockHolder(stack, entriesOf(key.project), runId);
    const why =
      holder === null
        ? "it was started a moment ago, or its first step is being tried again."
        : `the run ${holder.runId} of ${holder.project} holds its lock.`;
    throw new UsageError(
      `The run ${runId} has not begun: ${why}`,
      `npx stepwatch runs ${(holder ?? key).project}${stackOption}`,
    );
  }
  const why = leftOut(execution?.output) ?? execution?.cause ?? execution?.error ?? "its rows have expired";
  throw new UsageError(
    `The run ${runId} is not in the ledger: ${why.replace(/[.]?$/, ".")}`,
    `npx stepwatch runs ${key.project}${stackOption}`,
  );
}

/** Why a run was left out by policy, in its execution's own words. */
function leftOut(output: unknown): string | null {
  if (typeof output !== "object" || output === null || !("state" in output) || output.state !== "skipped") return null;
  return `it was left out. ${"verdict" in output ? String(output.verdict) : ""}`;
}
