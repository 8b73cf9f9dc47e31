import type { Ledger, RunKey } from "#clients/ledger.ts";
import type { QuietNotice, RunRow } from "#core/contracts/ledger.ts";
import { requestedStop, stoppedSentence } from "#core/run/watching/stop-reason.ts";
import type { StopSwitch } from "./stop-switch.ts";

/**
 * Milliseconds between two looks at whether anything has been written since the last beat. A beat carries the task's
 * sequence, and check-run reads vertices only when it has moved: a consumer starts a look and a turn after dbt reached
 * its node, not a heartbeat and a turn. At most one beat a look: a build that writes all the time costs a beat a second.
 */
const LOOK_EVERY_MS = 1000;

type Rows = Pick<Ledger, "heartbeat" | "readRun" | "readLock">;

export interface HeartbeatOptions {
  readonly ledger: Rows;
  readonly key: RunKey;
  readonly task: number;
  readonly taskArn: string;
  readonly run: RunRow;
  readonly stop: StopSwitch;
  /** What the beat tells of the build by now. */
  readonly facts: () => {
    sequence: number;
    dbtVersion: string | undefined;
    invocationId: string | undefined;
    quiet?: readonly QuietNotice[];
  };
  /** Told of a beat that failed, with the error; the next one is tried in its turn. */
  readonly onMissed: (error: unknown) => void;
}

/**
 * Beats every `heartbeatSeconds`, and soon after something was written, until it is stopped, and obeys what the ledger
 * says back: a lost fence, the run's stop flag, its deadline, or a lock that names another run end the build (behaviour
 * D15), although no state machine may be left to stop the task. The deadline is kept by our own clock, so that it holds
 * while the ledger can not be reached.
 */
export function startHeartbeat(options: HeartbeatOptions): { stop(): Promise<void> } {
  const everyMs = Math.max(LOOK_EVERY_MS / 2, options.run.settings.policy.heartbeatSeconds * 1000);
  const lookMs = Math.min(LOOK_EVERY_MS, everyMs);
  let ended = false;
  let beating: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout;
  let last = { atMs: 0, sequence: -1 };
  const look = () => {
    const { sequence } = options.facts();
    const due = sequence !== last.sequence || Date.now() - last.atMs >= everyMs;
    if (due) last = { atMs: Date.now(), sequence };
    const missed = (error: unknown) => {
      last = { atMs: last.atMs, sequence: -1 };
      options.onMissed(error);
    };
    beating = (due ? beat(options).catch(missed) : Promise.resolve()).then(() => {
      if (!ended) timer = setTimeout(look, lookMs);
    });
  };
  const deadline = setDeadline(options);
  timer = setTimeout(look, 0);
  return {
    stop: async () => {
      ended = true;
      clearTimeout(timer);
      clearTimeout(deadline);
      await beating;
    },
  };
}

/** One beat; the order matters: what the fence says comes before what the run says. */
async function beat({ ledger, key, task, taskArn, run, stop, facts }: HeartbeatOptions): Promise<void> {
  const { fenced } = await ledger.heartbeat(key, task, { taskArn, atMs: Date.now(), ...facts() });
  if (!fenced)
    return stop.ask(
      "fence_lost",
      `Task ${task} of run ${key.runId} is no longer this container's: it was ended or fenced off.`,
    );
  // One after the other: a lock that can not be read must not keep a stop from being heard.
  const now = await ledger.readRun(key);
  if (now?.stopRequestedAtMs !== undefined)
    return stop.ask(
      "stopped",
      `The run was stopped. ${stoppedSentence(requestedStop(now)?.reason ?? "no reason given.")}`,
    );
  const lock = await ledger.readLock(run.lockProject ?? key.project, run.lockKey);
  if (lock && lock.runId !== key.runId)
    stop.ask("stopped", `The lock ${run.lockKey} is held by run ${lock.runId} now.`);
}

/** A run's timeout is 7 days at most; Node's timers hold 24. */
function setDeadline({ run, stop }: HeartbeatOptions): NodeJS.Timeout {
  const leftMs = Math.max(0, run.deadlineAtMs - Date.now());
  return setTimeout(
    () => stop.ask("timeout", `The run's deadline, ${new Date(run.deadlineAtMs).toISOString()}, has passed.`),
    leftMs,
  );
}
