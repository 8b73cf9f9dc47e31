import type { BuildEnd, LockRow, RunIndexRow, RunRow, TaskRow, TaskStop, VertexRow } from "#core/contracts/ledger.ts";
import type { ConsumerPart } from "#core/contracts/payloads.ts";
import type { VertexWrite } from "#core/contracts/vertex-write.ts";

/** Identifies a run's partition. */
export interface RunKey {
  readonly project: string;
  readonly runId: string;
}

/** A claim of one vertex for a task. `from` is the owner that the decision saw (null: no row). */
export interface VertexClaim {
  readonly uniqueId: string;
  readonly from: number | null;
  /** The interrupted try that this claim forgives, if the vertex was interrupted. */
  readonly lostTask?: number | undefined;
}

export interface VertexFinal {
  readonly uniqueId: string;
  readonly final: NonNullable<VertexRow["final"]>;
  readonly finalReason: string;
  readonly rootCause?: string | undefined;
}

/**
 * The ledger: one DynamoDB table. Every method is one access pattern; conditions that fail come out as a boolean or a
 * named error, never as an SDK error. All reads are consistent unless the name says otherwise. Throws
 * `LedgerUnavailable` for throttling and network, which callers let pass to the machine's Retry.
 */
export interface Ledger {
  // ---- run (start-run, check-run, settle-run)
  /** Writes the run row if there is none. False: it exists (starting twice changes nothing). */
  createRun(run: RunRow): Promise<boolean>;
  readRun(key: RunKey): Promise<RunRow | null>;
  /** Marks the plan; only the first one counts. False: there already is another one. */
  setPlan(key: RunKey, plan: { planKey: string; plannedVertices: number; plannedNodes: number }): Promise<boolean>;
  requestStop(key: RunKey, stop: { atMs: number; reason: string }): Promise<void>;
  /** Notes what the run can not go on with, once, and requests its stop: its containers end by that. */
  markFault(key: RunKey, fault: { atMs: number; sentence: string }): Promise<void>;
  setHeldSince(key: RunKey, version: number, heldSinceMs: number | null): Promise<boolean>;
  /** Notes that nothing is left to wait for and moves the version: no other decision counts any more. False: it has moved before. */
  markReady(key: RunKey, version: number, readyAtMs: number): Promise<boolean>;
  /** Writes the verdict, if the run is still `running`. False: it has one. */
  endRun(
    key: RunKey,
    end: { state: RunRow["state"]; verdict: string; summaryKey: string | null; endedAtMs: number },
  ): Promise<boolean>;
  /** Notes that the events of a run that has ended are published. */
  markEventsSent(key: RunKey, atMs: number): Promise<void>;

  // ---- tasks
  /** Takes the next task number under the run's version and writes the task's row, in one transaction. False: the version has moved. */
  createTask(key: RunKey, version: number, task: TaskRow): Promise<boolean>;
  readTasks(key: RunKey): Promise<TaskRow[]>;
  readTask(key: RunKey, task: number): Promise<TaskRow | null>;
  /** `claiming` → `launching`. */
  markClaimed(key: RunKey, task: number): Promise<void>;
  /** Notes RunTask's answer on a task that is still `launching`. */
  markLaunched(key: RunKey, task: number, launch: { taskArn: string; launchedAtMs: number }): Promise<void>;
  /** Notes a launch that failed: the next attempt has another client token. */
  markLaunchFailed(
    key: RunKey,
    task: number,
    failure: { reason: string; nextLaunchAtMs: number; launchFailures: number; clientToken: string },
  ): Promise<void>;
  /**
   * Any state but `over` → `over`, with what ECS said. A launch that is given up (`neverStarted`) needs a task whose
   * fence nobody has passed. False: it was over, or has begun.
   */
  markStopped(key: RunKey, task: number, stop: TaskStop): Promise<boolean>;

  // ---- the container of a task
  /** The fence: `launching` → `running`, once. True for the one container that may build; the same ARN asking again is true too while nothing was built. */
  passFence(
    key: RunKey,
    task: number,
    container: { taskArn: string; startedAtMs: number; logStream?: string | undefined },
  ): Promise<boolean>;
  /** Heartbeat under the fence. `fenced: true`: the fence is still this container's; false: it must end dbt and itself. */
  heartbeat(
    key: RunKey,
    task: number,
    beat: {
      taskArn: string;
      atMs: number;
      sequence: number;
      dbtVersion?: string | undefined;
      invocationId?: string | undefined;
    },
  ): Promise<{ fenced: boolean }>;
  /** Records the end of the build, under the fence. False: fenced off. */
  endTask(key: RunKey, task: number, taskArn: string, end: BuildEnd, sequence: number): Promise<boolean>;
  /**
   * One status of one vertex, on condition that the vertex has no owner or this task owns it, and that it has no last
   * word: its descendants were decided by that. False: refused. Idempotent.
   */
  writeVertex(key: RunKey, task: number, write: VertexWrite): Promise<boolean>;

  // ---- vertices
  readVertices(key: RunKey): Promise<VertexRow[]>;
  readSomeVertices(key: RunKey, uniqueIds: readonly string[]): Promise<VertexRow[]>;
  /** Claims a vertex for a task. True: ours, now or already (a repeated claim recognises itself). False: somebody else's. */
  claimVertex(key: RunKey, task: number, claim: VertexClaim): Promise<boolean>;
  /**
   * Writes the last word on a vertex, unless another task than `ownerTask` has claimed it since that was decided. Makes
   * the row if there is none.
   */
  setFinal(key: RunKey, ownerTask: number, final: VertexFinal): Promise<void>;
  markConsumerStarted(key: RunKey, uniqueId: string, part: ConsumerPart, atMs: number): Promise<void>;
  setOutcome(
    key: RunKey,
    uniqueId: string,
    part: ConsumerPart,
    outcome: { outcome: NonNullable<VertexRow["outcome"]>; atMs: number },
  ): Promise<void>;

  // ---- project
  /** Takes the lock. Null: ours, now or already; otherwise the row of its holder. */
  takeLock(lock: LockRow): Promise<LockRow | null>;
  /** Takes the lock from a holder that is known to be gone. False: it was no longer that holder's. */
  replaceLock(lock: LockRow, gone: { runId: string }): Promise<boolean>;
  readLock(project: string, lockKey: string): Promise<LockRow | null>;
  /** Gives the lock back, if this run holds it. */
  releaseLock(project: string, lockKey: string, runId: string): Promise<void>;
  /** Stands in the queue (once) and answers the run ids in order of arrival. */
  joinQueue(
    project: string,
    lockKey: string,
    entry: { runId: string; atMs: number; executionArn: string },
  ): Promise<{ runId: string; executionArn: string; atMs: number }[]>;
  leaveQueue(project: string, lockKey: string, entry: { runId: string; atMs: number }): Promise<void>;
  putRunIndex(row: RunIndexRow, ttlDays: number): Promise<void>;
  /** Newest first. */
  listRuns(project: string, limit: number): Promise<RunIndexRow[]>;
}

/** The ledger's methods by the rows that they read and write; each implementation has one part for each. */
export type RunRows = Pick<
  Ledger,
  | "createRun"
  | "readRun"
  | "setPlan"
  | "requestStop"
  | "markFault"
  | "setHeldSince"
  | "markReady"
  | "endRun"
  | "markEventsSent"
>;
/** What the decision maker does with tasks. */
export type ClaimedTasks = Pick<
  Ledger,
  "createTask" | "readTasks" | "readTask" | "markClaimed" | "markLaunched" | "markLaunchFailed" | "markStopped"
>;
/** What a task's own container does with it. */
export type FencedTasks = Pick<Ledger, "passFence" | "heartbeat" | "endTask">;
export type VertexRows = Pick<
  Ledger,
  | "writeVertex"
  | "readVertices"
  | "readSomeVertices"
  | "claimVertex"
  | "setFinal"
  | "markConsumerStarted"
  | "setOutcome"
>;
