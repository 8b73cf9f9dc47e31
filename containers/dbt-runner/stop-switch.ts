/**
 * Why the supervisor ends dbt. `terminated`: a signal from ECS. `stopped`: the run's stop flag, or the lock names
 * another run. `timeout`: the run's deadline. `stuck`: dbt has said nothing for long (stuck: interrupt). `fence_lost`: another container owns the task. `unsupported_dbt`: dbt's
 * first line names a version that is not read.
 */
export type StopReason = "terminated" | "stopped" | "timeout" | "stuck" | "fence_lost" | "unsupported_dbt";

export interface StopRequest {
  readonly reason: StopReason;
  readonly sentence: string;
  readonly atMs: number;
  /** dbt has had its SIGINT: a Ctrl-C in a terminal reaches the whole process group. A second one would cut its clean-up. */
  readonly dbtWasTold: boolean;
}

/**
 * The one place that says whether dbt is to end. The first request counts, but losing the fence overrides any other, and
 * anything else one for a dbt that is stuck: it may leave less time.
 */
export class StopSwitch {
  #request: StopRequest | null = null;
  readonly #listeners = new Set<(request: StopRequest) => void>();

  get request(): StopRequest | null {
    return this.#request;
  }

  ask(reason: StopReason, sentence: string, dbtWasTold = false): void {
    const earlier = this.#request?.reason;
    if (earlier === reason || (earlier !== undefined && earlier !== "stuck" && reason !== "fence_lost")) return;
    this.#request = { reason, sentence, atMs: Date.now(), dbtWasTold: dbtWasTold || earlier === "stuck" };
    for (const listener of this.#listeners) listener(this.#request);
  }

  /** Calls the listener now, if there is a request, and on each further one. Returns how to stop listening. */
  listen(listener: (request: StopRequest) => void): () => void {
    this.#listeners.add(listener);
    if (this.#request) listener(this.#request);
    return () => this.#listeners.delete(listener);
  }
}

/** When, after a stop was asked for, dbt is signalled harder and everything must be recorded; in milliseconds. */
export interface StopSchedule {
  readonly terminateAfterMs: number;
  readonly killAfterMs: number;
  readonly recordedByMs: number;
}

/** Time kept for statuses, end and artefacts after dbt is gone: 35 % of the stop timeout, 20 s at most. */
const RECORDING_SHARE = 0.35;
const RECORDING_AT_MOST_MS = 20_000;

/**
 * Divides the stop timeout: SIGINT at once, which dbt 1.x needs up to 6 s to obey; SIGTERM near the end; SIGKILL just
 * early enough to leave time for the record. 120 s: SIGTERM at 90, SIGKILL at 100, recorded by 118.
 */
export function stopSchedule(stopTimeoutSeconds: number): StopSchedule {
  const wholeMs = stopTimeoutSeconds * 1000;
  const killAfterMs = wholeMs - Math.min(wholeMs * RECORDING_SHARE, RECORDING_AT_MOST_MS);
  return {
    terminateAfterMs: killAfterMs * 0.9,
    killAfterMs,
    recordedByMs: wholeMs - Math.min(wholeMs * 0.1, 2_000),
  };
}
