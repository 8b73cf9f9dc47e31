import {
  attemptName,
  type BackfillInput,
  type BackfillState,
  type BackfillWindow,
  backfillIdOf,
  backfillInputSchema,
  backfillState,
  triggerOfWindow,
  type WindowState,
  windowsIn,
} from "#core/backfill.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { executionArn } from "#core/names.ts";
import { sameOptions } from "../command-line.ts";
import type { CommonOptions, DeployedStack } from "../context.ts";
import { InfrastructureError, UsageError } from "../failure.ts";
import { causeSentence } from "../run-end.ts";

/** One window as it stands. */
export interface WindowLook {
  readonly window: BackfillWindow;
  readonly state: WindowState;
  /** The newest run that works on it; null: none has begun to wait for its lock. */
  readonly runId: string | null;
  readonly verdict: string | null;
  readonly tookMs: number | null;
}

/** A backfill as it stands. */
export interface BackfillLook {
  /** Of all of its windows, by its first execution. */
  readonly input: BackfillInput;
  /** Of executions that have been started for it; the newest is the one that counts. */
  readonly attempt: number;
  readonly startedAtMs: number;
  readonly status: string;
  readonly state: BackfillState;
  readonly windows: readonly WindowLook[];
}

/** @throws {InfrastructureError} of a stack whose deployment knows no backfills yet */
export function backfillMachineOf({ resources }: DeployedStack, flags: CommonOptions): string {
  if (resources.backfillMachineArn !== undefined) return resources.backfillMachineArn;
  throw new InfrastructureError(
    `The stack ${resources.stackName} was deployed by a version of stepwatch that had no backfills.`,
    `npx stepwatch deploy${sameOptions(flags)}`,
  );
}

/** What somebody who has just looked, or has just begun it, knows beside the ledger. */
export interface KnownOfBackfill {
  /** Windows that were green before, which they stay. */
  readonly green?: ReadonlyMap<string, WindowLook>;
  /** Runs that never began, by their ids. */
  readonly leftOut?: ReadonlyMap<string, WindowLook>;
  /** The attempt that has just been started, which Step Functions may not know of yet. */
  readonly begun?: { readonly input: BackfillInput; readonly attempt: number; readonly startedAtMs: number };
}

/**
 * Reads what became of each window from the ledger, where each is known by its `runKey`.
 * @throws {UsageError} if there is no such backfill
 */
export async function lookAtBackfill(
  stack: DeployedStack,
  named: string,
  flags: CommonOptions,
  known: KnownOfBackfill = {},
): Promise<BackfillLook> {
  const machine = backfillMachineOf(stack, flags);
  const id = backfillIdOf(named);
  const { begun } = known;
  const started = begun?.attempt === 1 ? { ...begun, status: "RUNNING" } : null;
  const first = (await stack.executions.describe(executionArn(machine, id))) ?? started;
  const input = backfillInputSchema.safeParse(first?.input);
  if (first === null || !input.success)
    throw new UsageError(
      `There is no backfill ${named} in the stack ${stack.resources.stackName}, or it has expired.`,
      `npx stepwatch backfill <project>${sameOptions(flags)}`,
    );
  const newest = await newestAttempt(stack, machine, id, first.status);
  const isHidden = begun !== undefined && newest.attempt < begun.attempt;
  const { attempt, status } = isHidden ? { attempt: begun.attempt, status: "RUNNING" } : newest;
  const windows = await lookAtWindows(stack, input.data, status, known);
  const { startedAtMs } = first;
  return { input: input.data, attempt, startedAtMs, status, state: backfillState(status, windows), windows };
}

async function newestAttempt(
  stack: DeployedStack,
  machine: string,
  id: string,
  firstStatus: string,
): Promise<{ attempt: number; status: string }> {
  for (let attempt = 1, status = firstStatus; ; attempt += 1) {
    const next = await stack.executions.describe(executionArn(machine, attemptName(id, attempt + 1)));
    if (next === null) return { attempt, status };
    status = next.status;
  }
}

/** Windows without a run that may lie before one with a run: where a start was refused, for example. */
const MOST_GAP = 10;

/**
 * Each lane goes through its windows in their order: where many more than there are lanes have no run, one after the
 * other, no later one has, as long as the backfill goes on.
 */
async function lookAtWindows(
  stack: DeployedStack,
  input: BackfillInput,
  status: string,
  known: KnownOfBackfill,
): Promise<WindowLook[]> {
  const looks: WindowLook[] = [];
  let without = 0;
  for (const window of windowsIn(input)) {
    const isPassed = status === "RUNNING" && without >= input.lanes.length + MOST_GAP;
    const look = isPassed
      ? withoutRun(window, status)
      : (known.green?.get(window.window) ?? (await lookAt(stack, input, window, status, known)));
    without = look.runId === null ? without + 1 : 0;
    looks.push(look);
  }
  return looks;
}

/** An execution that succeeded has seen each window green, also where nobody knows its run any more. */
const withoutRun = (window: BackfillWindow, status: string): WindowLook => ({
  ...{ window, runId: null, verdict: null, tookMs: null },
  state: status === "RUNNING" ? "waiting" : status === "SUCCEEDED" ? "green" : "not built",
});

function lookAtRun(window: BackfillWindow, run: RunRow): WindowLook {
  const { runId, state, verdict = null, startedAtMs, endedAtMs } = run;
  const tookMs = endedAtMs === undefined ? null : endedAtMs - startedAtMs;
  return { window, runId, state: state === "skipped" ? "not built" : state, verdict, tookMs };
}

async function lookAt(
  stack: DeployedStack,
  { backfill: { project } }: BackfillInput,
  window: BackfillWindow,
  status: string,
  { leftOut }: KnownOfBackfill,
): Promise<WindowLook> {
  const trigger = await stack.ledger.readTrigger(project, triggerOfWindow(window));
  if (trigger === null) return withoutRun(window, status);
  const { runId } = trigger;
  const before = leftOut?.get(runId);
  if (before !== undefined) return before;
  const run = await stack.ledger.readRun({ project, runId });
  if (run !== null) return lookAtRun(window, run);
  const execution = await stack.executions.describe(trigger.executionArn);
  const past = trigger.goesOnWith;
  // It never began: the run that it was to go on with is what there is of the window.
  const adopted =
    past === undefined || execution?.status === "RUNNING" ? null : await stack.ledger.readRun({ project, runId: past });
  if (adopted !== null) return lookAtRun(window, adopted);
  if (execution?.status === "RUNNING")
    return { window, runId, state: "running", verdict: "It waits for its lock.", tookMs: null };
  const why = causeSentence(execution?.cause ?? null) ?? execution?.error ?? "its rows have expired";
  return { window, runId, state: "not built", verdict: why, tookMs: null };
}
