import type { Ledger } from "#clients/ledger.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import type { TriggerRow } from "#core/contracts/project-rows.ts";
import { type RunInput, workOf } from "#core/contracts/run-input.ts";
import { InputError, StillRunning } from "#core/errors.ts";
import { workKey } from "#core/names.ts";
import { rowsLastUntilMs } from "#core/run/judging/rounds.ts";
import type { TriggerDeps } from "./trigger.ts";

export interface RunKeyDeps extends TriggerDeps {
  readonly ledger: Pick<Ledger, "claimTrigger" | "replaceTrigger" | "readTrigger" | "readRun">;
}

/** What an earlier run of the same key makes of this one: it goes on with that, or there is nothing left to do. */
export type EarlierAttempt =
  | { readonly resume: NonNullable<RunInput["resume"]> }
  | { readonly done: string }
  /** Its verdict is on its way: its execution has ended, as when the larger machine ran out of time, or was redriven. */
  | { readonly ending: string };

/**
 * A step of a larger machine that is repeated by that machine's own Retry starts the same work under another name
 * (behaviour G13): by its `runKey` it goes on with the attempt before, and builds nothing again that is good. Null: it
 * is the first attempt, or none before has built anything. Asked again by the same run, the answer is the same.
 * @throws StillRunning; InputError where the key was used for other options
 */
export async function earlierAttempt(
  input: RunInput & { readonly runKey: string },
  attempt: TriggerRow,
  keepDays: number,
  deps: RunKeyDeps,
): Promise<EarlierAttempt | null> {
  const { project, runKey } = input;
  const first = await deps.ledger.claimTrigger(project, workKey(runKey), attempt, keepDays);
  if (first === null) return before(input, await deps.ledger.readTrigger(project, workKey(runKey)));
  const holder = await deps.ledger.readRun({ project, runId: first.runId });
  const statusOf = async (arn: string) => (await deps.executions.describe(arn))?.status;
  if (holder === null && (await statusOf(first.executionArn)) === "RUNNING")
    throw new StillRunning(first.runId, runKey);
  const past = holder ?? (await adoptedBy(project, first, deps));
  const isLive = past !== null && past.state !== "green" && (await statusOf(past.executionArn)) === "RUNNING";
  if (isLive && past.state === "running" && past.round === 1) throw new StillRunning(past.runId, runKey);
  // It has its verdict in a moment, or a person has redriven it and it goes on: what comes of that counts.
  if (past?.state === "running" || isLive) return { ending: past.runId };
  if (past !== null && asked(past.input as RunInput) !== asked(input))
    throw new InputError("Run input refused", [
      `runKey = "${runKey}": run ${past.runId} had it with other options; give each piece of work a key of its own`,
    ]);
  if (past?.state === "green") return { done: `Run ${past.runId} of the same runKey is green: nothing is left to do.` };
  const goesOn = past !== null && attempt.atMs <= rowsLastUntilMs(past);
  const next = goesOn ? { ...attempt, goesOnWith: past.runId } : attempt;
  if (!(await deps.ledger.replaceTrigger(project, workKey(runKey), next, first, keepDays)))
    return await earlierAttempt(input, attempt, keepDays, deps);
  return before(input, next);
}

/** An attempt that never began has built nothing: what counts is the run that it was to go on with. */
const adoptedBy = async (
  project: string,
  { goesOnWith }: TriggerRow,
  { ledger }: RunKeyDeps,
): Promise<RunRow | null> => (goesOnWith === undefined ? null : await ledger.readRun({ project, runId: goesOnWith }));

/**
 * A run by which a person goes on with an attempt takes its key over, once it has begun: the larger machine's next attempt
 * goes on with what this one has built, and not with what the first left behind. Not where it does other work.
 */
export async function takeKeyOver(
  input: RunInput,
  past: RunRow,
  attempt: TriggerRow,
  { ledger }: Pick<RunKeyDeps, "ledger">,
): Promise<void> {
  const { project, runKey } = input;
  if (runKey === undefined || asked(input) !== asked(past.input as RunInput)) return;
  const holder = await ledger.readTrigger(project, workKey(runKey));
  if (holder === null) return;
  // Or an attempt's that never began, and was to go on with this one.
  const wouldGoOn =
    holder.goesOnWith === past.runId && (await ledger.readRun({ project, runId: holder.runId })) === null;
  if (holder.runId !== past.runId && !wouldGoOn) return;
  const days = past.settings.policy.ttlDays;
  await ledger.replaceTrigger(project, workKey(runKey), { ...attempt, goesOnWith: past.runId }, holder, days);
}

/** The work, whatever was adopted for it. Of another scheduled time it is another: dbt is told that one, by its environment at least. */
const asked = ({ resume: _, runKey: __, evenIfPaused: ___, ...input }: RunInput): string =>
  `${workOf(input)} ${input.scheduledTime ?? ""}`;

function before({ attemptImage: image = "same" }: RunInput, row: TriggerRow | null): EarlierAttempt | null {
  if (row?.goesOnWith === undefined) return null;
  const nothingElse = { downstream: false, force: false, fullRefresh: false, image };
  return { resume: { ...nothingElse, run: row.goesOnWith, reason: "Another attempt with the same runKey." } };
}
