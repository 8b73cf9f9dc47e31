import type { Ledger, RunKey } from "#clients/ledger.ts";
import type { Cause } from "#core/contracts/cause.ts";
import type { BuildEnd } from "#core/contracts/ledger.ts";
import { type AfterEnd, nothingMore } from "./after-end.ts";
import { patiently } from "./patience.ts";

/** Another container owns the task now: nothing that we say of it may count. */
export class FenceLost extends Error {
  override readonly name = "FenceLost";
}

/** The time was over before every status was in the ledger: an end that is recorded now would claim that they are. */
export class StatusesUnwritten extends Error {
  override readonly name = "StatusesUnwritten";
  readonly waiting: number;
  constructor(waiting: number) {
    super(
      `${waiting} statuses could not be written in time, so that the end of the build is not recorded: ECS will tell that the task is over.`,
    );
    this.waiting = waiting;
  }
}

export interface EndRecord {
  readonly ledger: Pick<Ledger, "endTask">;
  readonly key: RunKey;
  readonly task: number;
  readonly taskArn: string;
  readonly untilMs: () => number;
}

/** Records how the build ended, the last word of this container. Throws {@link FenceLost} if it is no longer asked. */
export async function recordEnd(record: EndRecord, end: BuildEnd, sequence: number): Promise<void> {
  const { ledger, key, task, taskArn, untilMs } = record;
  const recorded = await patiently(() => ledger.endTask(key, task, taskArn, end, sequence), untilMs);
  if (!recorded)
    throw new FenceLost(
      `The end of task ${task} of run ${key.runId} was refused: the task is over or another container's.`,
    );
}

/** Records that dbt was not started, and why. Nothing is left to be done then. */
export async function recordEndWithoutDbt(record: EndRecord, cause: Omit<Cause, "lines">): Promise<AfterEnd> {
  await recordEnd(record, endWithoutDbt(cause), 0);
  return nothingMore;
}

/** The end of a task whose dbt was not started. */
export function endWithoutDbt(cause: Omit<Cause, "lines">, inOrder = false): BuildEnd {
  return {
    endedAtMs: Date.now(),
    exitCode: null,
    signal: null,
    inOrder,
    cause: { ...cause, lines: [] },
    retryableLaunch: false,
    failFast: false,
    lostWarehouse: false,
    hookFailures: [],
    endHooksDone: [],
    unnamedSkips: 0,
    ranUnseen: 0,
    filled: [],
    contradictions: [],
    strays: [],
    dbtMs: 0,
  };
}
