import type { Ledger, RunKey } from "#clients/ledger.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import type { StopSwitch } from "./stop-switch.ts";

type Rows = Pick<Ledger, "heartbeat" | "readRun" | "readLock">;

export interface HeartbeatOptions {
  readonly ledger: Rows;
  readonly key: RunKey;
  readonly task: number;
  readonly taskArn: string;
  readonly run: RunRow;
  readonly stop: StopSwitch;
  /** What the beat tells of the build by now. */
  readonly facts: () => { sequence: number; dbtVersion: string | undefined; invocationId: string | undefined };
  /** Told of a beat that failed, with the error; the next one is tried in its turn. */
  readonly onMissed: (error: unknown) => void;
}

/**
 * Beats until it is stopped, and obeys what the ledger says back: a lost fence, the run's stop flag, its deadline, or a
 * lock that names another run end the build (behaviour D15), although no state machine may be left to stop the task.
 * The deadline is kept by our own clock, so that it holds while the ledger can not be reached.
 */
export function startHeartbeat(options: HeartbeatOptions): { stop(): Promise<void> } {
  const everyMs = options.run.settings.policy.heartbeatSeconds * 1000;
  let ended = false;
  let beating: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout;
  const turn = () => {
    const begunAtMs = Date.now();
    beating = beat(options)
      .catch(options.onMissed)
      .then(() => {
        if (!ended) timer = setTimeout(turn, Math.max(0, everyMs - (Date.now() - begunAtMs)));
      });
  };
  const deadline = setDeadline(options);
  timer = setTimeout(turn, 0);
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
  const [now, lock] = await Promise.all([ledger.readRun(key), ledger.readLock(key.project, run.lockKey)]);
  if (now?.stopRequestedAtMs !== undefined)
    stop.ask("stopped", `The run was stopped: ${now.stopReason ?? "no reason given"}.`);
  else if (lock && lock.runId !== key.runId)
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
