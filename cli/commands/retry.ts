import { randomBytes } from "node:crypto";
import type { RunRow } from "#core/contracts/ledger.ts";
import { parseRunInput } from "#core/contracts/run-input.ts";
import { newRunId, workKey } from "#core/names.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import { failedSteps, openSteps, type RunStep, stepsOf, stepsOfNextRound } from "#core/run/judging/run-steps.ts";
import { currentProducer } from "#core/run/judging/vertex-view.ts";
import { sameOptions } from "../command-line.ts";
import type { Context, DeployedStack } from "../context.ts";
import { exitCodes, InfrastructureError, UsageError } from "../failure.ts";
import { followCommand } from "../follow-command.ts";
import { printJson, printLines, say } from "../output.ts";
import { IGNORED, type Retry, type RetryFlags, type RunAsItStands, retryOf } from "../retry-request.ts";
import { lookFurther } from "../run-end.ts";
import { findRun, readSnapshot } from "../run-lookup.ts";
import type { StartedRun } from "../run-start.ts";
import { retryPlan } from "../view/retry-text.ts";

/**
 * `stepwatch retry <run>`: goes on with a run from its failure, in a further round; where Step Functions does not redrive
 * it, as a new run that adopts what is good. Says beforehand what will be built and why, and asks nothing. Answers the
 * exit code of the verdict.
 */
export async function retryCommand(context: Context, runId: string, flags: RetryFlags): Promise<number> {
  const stack = await context.openStack(flags);
  const key = await findRun(stack, runId, sameOptions(flags));
  const { run, plan, tasks, vertices } = await readSnapshot(stack, key);
  if (run === null)
    throw new UsageError(
      `The run ${runId} is not in the ledger: it has not begun, was refused at its start, or its rows have expired.`,
      `npx stepwatch runs ${key.project}${sameOptions(flags)}`,
    );
  const seen = { run, plan, tasks, vertices };
  const retry = retryOf(seen, flags, context.person, context.now());
  refuseNothing(seen, retry, flags);
  await refuseBeside(stack, run, flags);
  say(context, `Retry of run ${runId} of ${run.project} (${run.state}), by ${context.person}:`);
  for (const line of [...retryPlan(retry.next, nextSteps(seen, retry)), ...(await newerRuns(stack, seen))])
    say(context, line);
  await ignoreTests(context, stack, seen, retry);
  if (await goesOn(stack, run)) return await afterThisRound(context, stack, retry, seen, flags);
  const started = await goOn(context, stack, seen, retry, flags);
  if (flags.follow !== false) return await followCommand(context, stack, started, flags);
  if (flags.json) printJson(context, { contract: 1, ...started, retries: runId, state: "started" });
  else printLines(context, lookFurther(started.runId, flags));
  return exitCodes.green;
}

/** @throws {UsageError} where a round would begin, build nothing, and end as the one before */
function refuseNothing(seen: RunAsItStands, { next, ignored }: Retry, flags: RetryFlags): void {
  const { run } = seen;
  if (run.input.command !== undefined && run.state === "green")
    throw new UsageError(
      `The command of run ${run.runId} ended well: there is nothing to retry.`,
      `npx stepwatch run --rerun ${run.runId}${sameOptions(flags)}`,
    );
  if (next.builds === null || next.builds.length > 0 || ignored.length > 0 || run.state === "running") return;
  const options = sameOptions(flags);
  // What failed is a step before or after the build: the round runs that alone.
  if (hasFailedSteps(seen)) return;
  if (run.state === "green")
    throw new UsageError(
      `Every vertex of run ${run.runId} is good: there is nothing to retry. Name a node to have it built again, or run all of it anew.`,
      `npx stepwatch run --rerun ${run.runId}${options}`,
    );
  const [first] = next.refused;
  // A person's marks are in no verdict yet.
  if (first === undefined && (mayHealByHooks(seen) || seen.vertices.some(({ mark }) => mark))) return;
  if (first === undefined)
    throw new UsageError(
      `Every vertex of run ${run.runId} is good; it is ${run.state} for another reason, which no retry changes: ${run.verdict ?? ""}`,
      `npx stepwatch run --rerun ${run.runId}${options}`,
    );
  throw new UsageError(
    `Nothing of run ${run.runId} is built again by itself. ${first.view.plan.uniqueId}: ${first.word.finalReason} Look at its table first: then mark it, or build it all the same by --force.`,
    `npx stepwatch mark ${run.runId} good --node ${first.view.plan.uniqueId} --reason …${options}`,
  );
}

function hasFailedSteps({ run, plan, tasks }: RunAsItStands): boolean {
  const steps = stepsOf(run);
  const asked = { tasks, policy: run.settings.policy, round: roundOf(run, plan) };
  return steps !== null && failedSteps(steps, asked).length + openSteps(steps, asked).length > 0;
}

function nextSteps({ run, tasks }: RunAsItStands, { next }: Retry): RunStep[] {
  const steps = stepsOf(run);
  return steps === null ? [] : stepsOfNextRound(steps, tasks, next.builds === null || next.builds.length > 0);
}

/** On-run-end hooks that failed, or that no process came to: the round runs them alone. */
const mayHealByHooks = ({ plan, tasks }: RunAsItStands): boolean =>
  plan?.endHooks === true || tasks.some((task) => (task.end?.hookFailures.length ?? 0) > 0);

/** Two that go on with one piece of work would build it twice. @throws {UsageError} */
async function refuseBeside(stack: DeployedStack, { project, runId, input }: RunRow, flags: RetryFlags): Promise<void> {
  if (typeof input.runKey !== "string") return;
  const holder = await stack.ledger.readTrigger(project, workKey(input.runKey));
  if (holder === null || holder.runId === runId) return;
  if ((await stack.executions.describe(holder.executionArn))?.status !== "RUNNING") return;
  throw new UsageError(
    `The run ${holder.runId} works on the same runKey already.`,
    `npx stepwatch status ${holder.runId}${sameOptions(flags)}`,
  );
}

/** A run of the same lock that began later: its tables are newer than what this one would build. */
async function newerRuns(stack: DeployedStack, { run }: RunAsItStands): Promise<string[]> {
  const runs = await stack.ledger.listRuns(run.project, 10);
  const newer = runs.filter((one) => one.startedAtMs > run.startedAtMs && one.state !== "skipped");
  const [last] = newer;
  if (last === undefined) return [];
  return [`  note        run ${last.runId} of ${run.project} has begun since (${last.state}): what it built is newer`];
}

async function ignoreTests(context: Context, stack: DeployedStack, seen: RunAsItStands, retry: Retry): Promise<void> {
  const owner = currentProducer(seen.tasks)?.task ?? 1;
  const mark = {
    as: "skip" as const,
    by: context.person,
    atMs: context.now(),
    reason: retry.request.reason ?? IGNORED,
  };
  for (const id of retry.ignored) await stack.ledger.setMark(seen.run, id, owner, mark);
}

/** Whether a check of the run will take up what is asked for: one whose execution was ended needs a redrive for it. */
async function goesOn(stack: DeployedStack, { state, executionArn }: RunRow): Promise<boolean> {
  if (state !== "running") return false;
  const execution = await stack.executions.describe(executionArn);
  return execution !== null && ["RUNNING", "PENDING_REDRIVE"].includes(execution.status);
}

/** What is decided in a round is not taken back in it. */
async function afterThisRound(
  context: Context,
  stack: DeployedStack,
  { request }: Retry,
  { run }: RunAsItStands,
  flags: RetryFlags,
): Promise<number> {
  if (flags.image === "current")
    throw new UsageError(
      `The run ${run.runId} still runs, with the image that it began with.`,
      `npx stepwatch stop ${run.runId} --reason …${sameOptions(flags)}`,
    );
  if (!(await stack.ledger.requestRound(run, request))) throw movedOn(run.runId, flags);
  say(context, `The run ${run.runId} still runs: this is done as soon as its present round has ended.`);
  const { project, runId, executionArn } = run;
  if (flags.json) printJson(context, { contract: 1, project, runId, executionArn, state: "requested" });
  else printLines(context, lookFurther(runId, flags));
  return exitCodes.green;
}

const movedOn = (runId: string, flags: RetryFlags) =>
  new UsageError(
    `The run ${runId} has gone on meanwhile: look at it, and ask again.`,
    `npx stepwatch status ${runId}${sameOptions(flags)}`,
  );

/** Looks at an execution that is just about to end: Step Functions redrives it once it has. Seconds in all. */
const REDRIVE_ATTEMPTS = 60;

/** By redriving its execution; where that is impossible, or another image is wanted, as a new run. */
async function goOn(
  context: Context,
  stack: DeployedStack,
  { run }: RunAsItStands,
  { request }: Retry,
  flags: RetryFlags,
): Promise<StartedRun> {
  const { project, runId, executionArn } = run;
  const { error } = (await stack.executions.describe(executionArn)) ?? {};
  const isFull = error === "HistoryFull" || error === "RowsExpire";
  if (run.state !== "green" && flags.image !== "current" && !isFull) {
    if (!(await stack.ledger.requestRound(run, request))) throw movedOn(runId, flags);
    if (await redriven(context, stack, run, flags)) return { project, runId, executionArn, fromRound: run.round + 1 };
    say(
      context,
      "Step Functions does not redrive it (older than 14 days, its history is full, or the engine redrives nothing).",
    );
  }
  const { round: _round, by: _by, atMs: _atMs, ...resume } = request;
  const image = flags.image ?? "same";
  const input = parseRunInput({ project, resume: { ...resume, run: runId, image }, ...PAUSED_OR_NOT });
  const next = newRunId(context.now(), randomBytes(4).toString("hex"));
  const started = await stack.executions.start(stack.resources.runMachineArn, next, input);
  say(context, `It goes on as run ${next}, which adopts its plan and what is good.`);
  return { project, runId: next, executionArn: started.executionArn };
}

/** A person who retries a run knows what is paused. */
const PAUSED_OR_NOT = { evenIfPaused: true };

/**
 * False: Step Functions never will.
 * @throws {InfrastructureError} where its execution neither ends nor takes the request up
 */
async function redriven(context: Context, stack: DeployedStack, run: RunRow, flags: RetryFlags): Promise<boolean> {
  for (let attempt = 1; attempt <= REDRIVE_ATTEMPTS; attempt++) {
    if (await stack.executions.redrive(run.executionArn)) return true;
    const execution = await stack.executions.describe(run.executionArn);
    if (execution?.status !== "RUNNING") return false;
    // It was just about to end, has seen the request, and goes on by itself.
    const now = await stack.ledger.readRun(run);
    if (now !== null && now.round > run.round) return true;
    await context.sleep(1_000);
  }
  throw new InfrastructureError(
    `The execution of run ${run.runId} is still about to end: ask again in a minute.`,
    `npx stepwatch status ${run.runId}${sameOptions(flags)}`,
  );
}
