import { handOver } from "#clients/hand-over.ts";
import type { LockRow } from "#core/contracts/project-rows.ts";
import { ended } from "#core/run/watching/task-watch.ts";
import { quoted, sameOptions } from "../command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "../context.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { recordHand } from "../hands.ts";
import { refuseUnknownProject } from "../known-project.ts";
import { evidenceJson, evidenceLines, type LockEvidence, readEvidence, signsOfLife } from "../lock-evidence.ts";
import { lockPartition } from "../lock-holder.ts";
import { printJson, printLines, say } from "../output.ts";

export interface UnlockFlags extends CommonOptions {
  readonly reason: string;
  readonly target?: string;
  readonly lockKey?: string;
  readonly force?: boolean;
}

/**
 * `stepwatch unlock <project>`: takes a lock from a run that is gone, and lets the next one in. Shows first what is
 * known of the holder; one that shows signs of life keeps its lock unless `--force`, which stops it too.
 */
export async function unlockCommand(context: Context, project: string, flags: UnlockFlags): Promise<number> {
  const stack = await context.openStack(flags);
  await refuseUnknownProject(context, stack, project, flags);
  const partition = await lockPartition(context, stack, project, flags);
  const lock = chosen(await stack.ledger.listLocks(partition), project, flags);
  if (lock === null) {
    if (flags.json) printJson(context, { contract: 1, project, unlocked: false });
    else printLines(context, [`No run holds a lock of ${project}.`]);
    return exitCodes.green;
  }
  const evidence = await readEvidence(stack, lock, context.now());
  for (const line of evidenceLines(evidence, context.now())) say(context, line);
  const signs = signsOfLife(evidence);
  if (signs.length > 0 && flags.force !== true)
    throw new UsageError(
      `The run ${lock.runId} goes on: ${signs.join(", ")}. Stop it, and its lock is given on by itself; --force takes the lock from it all the same and stops it.`,
      `npx stepwatch stop ${lock.runId} --reason ${quoted(flags.reason)}${sameOptions(flags)}`,
    );
  await unlock(context, stack, project, evidence, signs, flags);
  return exitCodes.green;
}

/** @throws {UsageError} where several are held and none is named, or the named one is not held */
function chosen(locks: readonly LockRow[], project: string, flags: UnlockFlags): LockRow | null {
  const named = flags.lockKey ?? flags.target;
  const keys = locks.map((lock) => lock.lockKey).join(", ");
  const fits = locks.filter(({ lockKey }) => named === undefined || lockKey === named);
  // Where nobody knows what dbt builds without a name, one lock is that of every target.
  const any = flags.lockKey === undefined ? locks.filter(({ lockKey }) => lockKey === "default") : [];
  const [lock] = fits.length > 0 ? fits : any;
  if (locks.length === 0) return null;
  if (lock === undefined)
    throw new UsageError(
      `The lock ${named} of ${project} is not held; held are: ${keys}.`,
      again(project, locks, flags),
    );
  if (fits.length > 1)
    throw new UsageError(
      `${project} has several locks that are held: ${keys}. Name one.`,
      again(project, locks, flags),
    );
  return lock;
}

const again = (project: string, locks: readonly LockRow[], flags: UnlockFlags): string =>
  `npx stepwatch unlock ${project} --lock-key ${quoted(locks[0]?.lockKey ?? "")} --reason ${quoted(flags.reason)}${sameOptions(flags)}`;

async function unlock(
  context: Context,
  stack: DeployedStack,
  project: string,
  evidence: LockEvidence,
  signs: readonly string[],
  flags: UnlockFlags,
): Promise<void> {
  const { lock, holder, run } = evidence;
  const forced = signs.length > 0 ? ` by force, although ${signs.join(", ")}` : "";
  const sentence = `took the lock ${lock.lockKey} from run ${holder.runId} of ${holder.project}${forced}`;
  await recordHand(context, stack, { project, action: "unlock", reason: flags.reason, sentence });
  await endHolder(context, stack, evidence, flags.reason);
  await stack.ledger.releaseLock(lock.project, lock.lockKey, lock.runId);
  await handOver(lock, stack);
  const [next] = evidence.waiting;
  if (flags.json)
    printJson(context, {
      contract: 1,
      project,
      unlocked: true,
      by: context.person,
      reason: flags.reason,
      forced: signs.length > 0,
      next: next?.runId ?? null,
      ...evidenceJson(evidence),
    });
  else
    printLines(context, [
      `The lock ${lock.lockKey} is free.${next === undefined ? "" : ` The run ${next.runId} is next.`}`,
      ...(signs.length > 0 && run !== null
        ? [`The run ${holder.runId} is told to stop; until its dbt has ended, two may build at once.`]
        : []),
    ]);
}

/** What is left of the holder must not build beside the next run: it launches nothing more, and what lives is stopped. */
async function endHolder(
  context: Context,
  { ledger }: DeployedStack,
  { holder, run, tasks }: LockEvidence,
  reason: string,
): Promise<void> {
  if (run?.state === "running") {
    const stop = { atMs: context.now(), by: context.person, reason: `its lock was taken from it: ${reason}` };
    await ledger.requestStop({ ...holder, round: run.round }, stop);
  }
  for (const { task, state } of tasks) {
    if (state === "running") continue;
    await ledger.markStopped(holder, task, ended(context.now(), `Not begun when ${context.person} unlocked.`, true));
  }
}
