import { isRefused } from "#clients/aws-errors.ts";
import { handOver } from "#clients/hand-over.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { CONTRACT, type RunReference, type StartRunPayload } from "#core/contracts/payloads.ts";
import type { LockRow, RunIndexRow } from "#core/contracts/project-rows.ts";
import { labelOf, settingsOfCommand } from "#core/contracts/run-command.ts";
import {
  effectiveOptions,
  parseRunInput,
  type RunInput,
  scheduledTimeOf,
  triggerOf,
  workOf,
} from "#core/contracts/run-input.ts";
import { longestRunMinutes, settingsOfJob } from "#core/contracts/run-job.ts";
import { policyOfRun } from "#core/contracts/run-policy.ts";
import type { Policy, ProjectSettings } from "#core/contracts/settings.ts";
import { InputError, PastNotGreen, RunLeftOut } from "#core/errors.ts";
import { RUN_ID } from "#core/names.ts";
import { withChosenImage } from "#core/run/planning/chosen-image.ts";
import { lockFor } from "#core/run/planning/lock-for.ts";
import { refuseEarly } from "#core/run/planning/refuse-early.ts";
import { refuseLoss } from "#core/run/planning/refuse-loss.ts";
import { scheduledAtMsOf } from "#core/run/planning/run-dates.ts";
import { pausedSentence } from "#core/run/watching/pause.ts";
import { giveLockBack, runKeyOf } from "../run-lock.ts";
import { refuseAfterRed } from "./past.ts";
import { adoptRun, type Resumed, resumedRun } from "./resume.ts";
import { type EarlierAttempt, earlierAttempt, takeKeyOver } from "./run-key.ts";
import { duplicateOf } from "./trigger.ts";
import { type QueueDeps, takeTurn } from "./turn-in-queue.ts";

export type StartRunDeps = QueueDeps;

/**
 * Validates the input, takes the project's lock and writes the run. Null: the run waits in the lock's queue, ask again
 * with the next turn. Run twice, it changes nothing: lock and row recognise their run.
 * @throws InputError, RunLocked, QueueFull, PastNotGreen, RunLeftOut
 */
export async function startRun(payload: StartRunPayload, deps: StartRunDeps): Promise<RunReference | null> {
  const { execution, taskToken } = payload;
  const asked = parseRunInput(payload.input);
  const deployed = withChosenImage(deployedOf(payload, asked), await deps.ledger.readImage(asked.project));
  const current = settingsOfCommand(settingsOfJob(deployed, asked.job), asked);
  const earlier = await attemptBefore(payload, asked, current.policy.ttlDays, deps);
  if (earlier !== null && "ending" in earlier) return null;
  const resumed = await resumedBy(asked, earlier, deployed, deps);
  const { input, settings } = resumed ?? { input: asked, settings: current };
  const lock = lockFor(execution, input, settings, deps.nowMs());
  const policy = policyOf(payload, input, settings);
  const scheduledAtMs = scheduledAt(execution, input, settings, resumed) ?? deps.nowMs();
  const options = effectiveOptions(settings, input);
  refuseEarly(settings, input, policy, options);
  refuseLoss(options, input);
  const reference: RunReference = {
    contract: CONTRACT,
    project: input.project,
    runId: execution.name,
    round: 1,
    ...(payload.waitSeconds === undefined ? {} : { waitSeconds: payload.waitSeconds }),
  };
  const leftOut = async (skipped: string, mayFail = true) => {
    await noteLeftOut(payload, { ...reference, job: labelOf(input, settings) }, skipped, policy, deps);
    if (mayFail && asked.ifLeftOut === "fail") throw new RunLeftOut(`Nothing was built. ${skipped}`);
    return { ...reference, skipped };
  };
  // What was to be built has been: that is no failure.
  if (earlier !== null && "done" in earlier) return await leftOut(earlier.done, false);
  const hadIt = await isMine(lock, deps);
  const against = hadIt ? null : await reasonAgainst(input, asked.backfill, lock, deps);
  if (against !== null) {
    await stepAside(lock, deps);
    return await leftOut(against);
  }
  const token = payload.catchesLockFree === true ? { taskToken } : {};
  const turn = await takeTurn(
    { lock, overlap: policy.overlap, ...token, work: workOf(input, settings.dates) },
    hadIt,
    deps,
  );
  if (turn === "waiting") return null;
  if (turn !== "taken") return await leftOut(turn.skipped);
  if (policy.dependsOnPast && resumed === null) await refuseAfterPast(lock, settings.job?.name, deps);
  await writeRun(lock, input, { ...settings, policy }, { resumed, scheduledAtMs }, deps);
  if (resumed !== null && asked.resume !== undefined)
    await takeKeyOver(input, resumed.past, attemptOf(execution, deps), deps);
  return reference;
}

/** What an earlier run with the same `runKey` makes of this one. A run that names another to go on with needs no key. */
async function attemptBefore(
  { execution }: StartRunPayload,
  { runKey, resume, ...input }: RunInput,
  keepDays: number,
  deps: StartRunDeps,
): Promise<EarlierAttempt | null> {
  if (runKey === undefined || resume !== undefined) return null;
  return await earlierAttempt({ ...input, runKey }, attemptOf(execution, deps), keepDays, deps);
}

const attemptOf = ({ name, arn }: StartRunPayload["execution"], { nowMs }: Pick<StartRunDeps, "nowMs">) => ({
  ...{ runId: name, executionArn: arn, atMs: nowMs() },
});

async function resumedBy(
  asked: RunInput,
  earlier: Exclude<EarlierAttempt, { readonly ending: string }> | null,
  deployed: ProjectSettings,
  deps: StartRunDeps,
): Promise<Resumed | null> {
  if (asked.resume !== undefined) return await resumedRun({ ...asked, resume: asked.resume }, deployed, deps);
  if (earlier === null || "done" in earlier) return null;
  const { project, policy, evenIfPaused, dedupeKey } = asked;
  return await resumedRun({ project, policy, evenIfPaused, dedupeKey, resume: earlier.resume }, deployed, deps);
}

/** @throws InputError */
function deployedOf(payload: StartRunPayload, input: RunInput): ProjectSettings {
  const { execution } = payload;
  const settings = Object.hasOwn(payload.projects, input.project) ? payload.projects[input.project] : undefined;
  if (!settings)
    throw new InputError("Run input refused", [
      `project = "${input.project}": this stack has ${Object.keys(payload.projects).join(", ") || "no project"}`,
    ]);
  if (!RUN_ID.test(execution.name))
    throw new InputError("Run input refused", [
      `execution name = "${execution.name}": letters, digits, - and _ only, at most 80`,
    ]);
  return settings;
}

/** Why this run is not even to wait: its backfill is over, a person has paused the project, or its trigger has started a run before. */
async function reasonAgainst(
  input: RunInput,
  backfill: string | undefined,
  lock: LockRow,
  deps: StartRunDeps,
): Promise<string | null> {
  const { project, evenIfPaused } = input;
  // Stopped, it may be waiting for its end here: not every engine ends the executions that one has started. One that
  // nobody knows has begun a moment ago.
  const starter = backfill === undefined ? null : await deps.executions.describe(backfill);
  if (starter !== null && starter.status !== "RUNNING") return "The backfill that has started this run is over.";
  const pause = evenIfPaused === true ? null : await deps.ledger.readPause(project);
  if (pause !== null) return pausedSentence(pause);
  const trigger = triggerOf(input);
  if (trigger === null) return null;
  const { runId, executionArn, takenAtMs: atMs } = lock;
  const first = await duplicateOf(project, trigger, { runId, executionArn, atMs }, deps);
  return first === null ? null : `Duplicate of run ${first}: the same trigger (dedupeKey) started that one.`;
}

/** A run that waited and will not begin lets the next one in. */
async function stepAside(lock: LockRow, deps: StartRunDeps): Promise<void> {
  await deps.ledger.leaveQueue(lock.project, lock.lockKey, { runId: lock.runId, atMs: lock.takenAtMs });
  await handOver(lock, deps);
}

/** A run that has its row was asked before. @throws PastNotGreen once the lock is given on */
async function refuseAfterPast(lock: LockRow, job: string | undefined, deps: StartRunDeps): Promise<void> {
  if ((await deps.ledger.readRun(runKeyOf(lock))) !== null) return;
  try {
    await refuseAfterRed(lock, job, deps.ledger);
  } catch (error) {
    if (error instanceof PastNotGreen)
      await giveLockBack({ ...runKeyOf(lock), lockProject: lock.project, lockKey: lock.lockKey }, deps);
    throw error;
  }
}

/** The list of runs tells of one that was left out too. It has no row: nothing was built, and nothing can be retried. */
async function noteLeftOut(
  { execution }: StartRunPayload,
  { project, runId, job }: RunReference & { readonly job: string | undefined },
  verdict: string,
  policy: Policy,
  deps: StartRunDeps,
): Promise<void> {
  const endedAtMs = deps.nowMs();
  const startedAtMs = Date.parse(execution.startTime) || endedAtMs;
  const ends = { state: "skipped" as const, endedAtMs, verdict };
  const index = { project, runId, executionArn: execution.arn, startedAtMs, ...ofJob(job), ...ends };
  await putIndex(index, policy.ttlDays, deps);
}

/** The project's policy as this run's input changes it. */
function policyOf(
  payload: StartRunPayload,
  { policy, allowEmpty, command }: RunInput,
  settings: ProjectSettings,
): Policy {
  const longest = longestRunMinutes(Object.values(payload.projects));
  const { overlap = "queue", ...own } = policy ?? {};
  // Whoever asks for a command waits for it, whatever a schedule's runs do, and no run before it matters.
  if (command !== undefined)
    return policyOfRun(settings.policy, { ...own, overlap, dependsOnPast: false, runRetries: 0 }, longest);
  return policyOfRun(settings.policy, allowEmpty === undefined ? policy : { ...policy, allowEmpty }, longest);
}

/**
 * The moment that a run works on: what its trigger says, whenever it is delivered and however long it waits; of one that
 * goes on with another that one's; else the execution's start. @throws InputError
 */
function scheduledAt(
  { startTime }: StartRunPayload["execution"],
  input: RunInput,
  { dates }: ProjectSettings,
  resumed: Resumed | null,
): number | null {
  if (resumed !== null) return scheduledAtMsOf(resumed.past);
  return scheduledTimeOf(input, dates?.zone ?? "UTC") ?? (Date.parse(startTime) || null);
}

const isOfTwoImages = ({ resume }: RunInput, past: RunRow): boolean =>
  resume?.image === "current" || past.mixedImages === true;

const ofJob = (job: string | undefined) => (job === undefined ? {} : { job });

async function writeRun(
  lock: LockRow,
  input: RunInput,
  settings: ProjectSettings,
  { resumed, scheduledAtMs }: { readonly resumed: Resumed | null; readonly scheduledAtMs: number },
  deps: StartRunDeps,
): Promise<void> {
  const nowMs = deps.nowMs();
  const begun: RunRow = {
    ...runKeyOf(lock),
    ...(lock.runProject === undefined ? {} : { lockProject: lock.project }),
    executionArn: lock.executionArn,
    input,
    settings,
    lockKey: lock.lockKey,
    round: 1,
    state: "running",
    version: 0,
    lastTask: 0,
    startedAtMs: nowMs,
    scheduledAtMs,
    deadlineAtMs: nowMs + settings.policy.runTimeoutMinutes * 60_000,
    ...(resumed !== null && isOfTwoImages(input, resumed.past) ? { mixedImages: true } : {}),
  };
  const isNew = resumed !== null && (await deps.ledger.readRun(begun)) === null;
  const run = isNew ? await adoptRun(begun, resumed, deps) : begun;
  const known = (await deps.ledger.createRun(run)) ? run : await deps.ledger.readRun(run);
  if (known?.state !== "running") return;
  const { project, runId, executionArn, startedAtMs } = known;
  const index = { project, runId, executionArn, startedAtMs, state: "running" as const, lockKey: known.lockKey };
  await putIndex({ ...index, ...ofJob(labelOf(known.input, known.settings)) }, settings.policy.ttlDays, deps);
}

/** A list that lacks a run must not end it, or leave it without an answer: what AWS refuses for good is passed over. */
async function putIndex(row: RunIndexRow, ttlDays: number, deps: StartRunDeps): Promise<void> {
  try {
    await deps.ledger.putRunIndex(row, ttlDays);
  } catch (error) {
    if (!isRefused(error)) throw error;
  }
}

/** Whether an earlier call got so far: it must not stand in the queue again, behind runs that wait for this one. */
async function isMine(lock: LockRow, deps: StartRunDeps): Promise<boolean> {
  if ((await deps.ledger.readLock(lock.project, lock.lockKey))?.runId === lock.runId) return true;
  return (await deps.ledger.readRun(runKeyOf(lock))) !== null;
}
