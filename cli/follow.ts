import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { RetryableError } from "#core/errors.ts";
import { hasConsumer, type Plan } from "#core/run/planning/plan.ts";

/** What the ledger says of a run at one moment. `run` is null while it waits for its lock. */
export interface RunSnapshot {
  readonly run: RunRow | null;
  readonly plan: Plan | null;
  readonly tasks: readonly TaskRow[];
  readonly vertices: readonly VertexRow[];
}

/** What Step Functions says of the run's execution. */
export interface ExecutionState {
  readonly status: string;
  readonly error: string | null;
  readonly cause: string | null;
  readonly output: unknown;
}

export interface FollowDeps {
  snapshot(): Promise<RunSnapshot>;
  /** Null if there is no such execution. */
  execution(): Promise<ExecutionState | null>;
  sleep(milliseconds: number): Promise<void>;
  now(): number;
  /** Verdicts of earlier rounds are none. */
  readonly fromRound: number;
  /** Called once for each time that the ledger begins to be silent. */
  onSilence(patienceMs: number): void;
  /** Called when the execution has ended and the run waits for its verdict. */
  onEnded?(execution: ExecutionState): void;
}

export type FollowEnd =
  /** The run has its verdict in the ledger. */
  | { readonly kind: "verdict"; readonly snapshot: RunSnapshot & { run: RunRow } }
  /** The execution is over and the ledger has no verdict: start-run refused, skipped, or something broke. */
  | { readonly kind: "over"; readonly snapshot: RunSnapshot; readonly execution: ExecutionState };

const POLL_MS = 1000;

/**
 * Rest after a look, in times of what the look itself took: a ledger that needs seconds for a run's rows (thousands of
 * them, an emulator that also takes the build's statuses) is asked by us for a third of the time at most.
 */
const REST = 2;

/**
 * Step Functions is asked this often only: DescribeExecution has 15 calls a second for a whole account, and the ledger
 * says everything that a run in order has to say.
 */
const EXECUTION_MS = 10_000;

/** Consumers end within one turn of their loop after the verdict (5 s) at the latest; most have ended before. */
const LAST_OUTCOMES_MS = 7000;

/** How long a ledger that does not answer is no reason to give up: the run itself goes on without us. */
const PATIENCE_MS = 60_000;

/** Reads the run about once a second (see {@link REST}), until it has a verdict or its execution is over without one. */
export async function follow(deps: FollowDeps, onSnapshot: (snapshot: RunSnapshot) => void): Promise<FollowEnd> {
  const read = patient(deps);
  let executionAskedAtMs = deps.now();
  let endedSinceMs: number | null = null;
  for (;;) {
    const askedAtMs = deps.now();
    const snapshot = await read();
    const restMs = (deps.now() - askedAtMs) * REST;
    if (snapshot !== null) {
      onSnapshot(snapshot);
      if (hasVerdict(snapshot, deps.fromRound))
        return { kind: "verdict", snapshot: await lastOutcomes(deps, snapshot, onSnapshot) };
    }
    if (deps.now() - executionAskedAtMs >= EXECUTION_MS) {
      executionAskedAtMs = deps.now();
      const end = await endWithoutVerdict(deps, onSnapshot);
      if (end === null) endedSinceMs = null;
      else if (end.kind === "verdict" || end.snapshot.run?.state !== "running") return end;
      else {
        if (endedSinceMs === null) deps.onEnded?.(end.execution);
        endedSinceMs ??= deps.now();
        if (deps.now() - endedSinceMs > VERDICT_AFTER_END_MS) return end;
      }
    }
    await deps.sleep(Math.max(POLL_MS, restMs));
  }
}

function hasVerdict(snapshot: RunSnapshot, fromRound: number): snapshot is RunSnapshot & { run: RunRow } {
  return snapshot.run !== null && snapshot.run.state !== "running" && snapshot.run.round >= fromRound;
}

/**
 * A run whose execution was ended gets its verdict from stop-run, which first waits for its tasks: four minutes at most
 * for one call, of which Lambda repeats two. Milliseconds.
 */
const VERDICT_AFTER_END_MS = 6 * 60_000;

/** The ledger is read once more after Step Functions has answered: the verdict may have come in between. */
async function endWithoutVerdict(
  deps: FollowDeps,
  onSnapshot: (snapshot: RunSnapshot) => void,
): Promise<FollowEnd | null> {
  const execution = await unlessBusy(() => deps.execution());
  if (execution === null || execution.status === "RUNNING" || execution.status === "PENDING_REDRIVE") return null;
  const snapshot = await unlessBusy(() => deps.snapshot());
  if (snapshot === null) return null;
  if (hasVerdict(snapshot, deps.fromRound))
    return { kind: "verdict", snapshot: await lastOutcomes(deps, snapshot, onSnapshot) };
  return { kind: "over", snapshot, execution };
}

async function lastOutcomes(
  deps: FollowDeps,
  first: RunSnapshot & { run: RunRow },
  onSnapshot: (snapshot: RunSnapshot) => void,
): Promise<RunSnapshot & { run: RunRow }> {
  const untilMs = deps.now() + LAST_OUTCOMES_MS;
  let snapshot = first;
  while (openConsumers(snapshot) > 0 && deps.now() < untilMs) {
    await deps.sleep(POLL_MS / 2);
    const next = await unlessBusy(() => deps.snapshot());
    if (next === null || !hasVerdict(next, deps.fromRound)) continue;
    snapshot = next;
    onSnapshot(snapshot);
  }
  return snapshot;
}

/** Consumers that were started and have not said how they ended. */
function openConsumers(snapshot: RunSnapshot): number {
  const watched = new Set(snapshot.plan?.vertices.filter(hasConsumer).map((vertex) => vertex.uniqueId));
  return snapshot.vertices.filter(
    (row) => watched.has(row.uniqueId) && row.consumerStartedAtMs !== undefined && row.outcome === undefined,
  ).length;
}

function patient(deps: FollowDeps): () => Promise<RunSnapshot | null> {
  let silentSinceMs: number | null = null;
  return async () => {
    try {
      const snapshot = await deps.snapshot();
      silentSinceMs = null;
      return snapshot;
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error;
      if (silentSinceMs === null) deps.onSilence(PATIENCE_MS);
      silentSinceMs ??= deps.now();
      if (deps.now() - silentSinceMs > PATIENCE_MS) throw error;
      return null;
    }
  };
}

/** Null where the ledger or Step Functions is away for the moment. */
export async function unlessBusy<T>(call: () => Promise<T>): Promise<T | null> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof RetryableError) return null;
    throw error;
  }
}
