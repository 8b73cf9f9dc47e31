import type { AlertChannel, AlertRow } from "#core/contracts/alerts.ts";
import type {
  BuildEnd,
  ConsumerWait,
  QuietNotice,
  RunRow,
  TaskRow,
  TaskStop,
  ToldAs,
  VertexMark,
  VertexRow,
} from "#core/contracts/ledger.ts";
import type { ConsumerPart } from "#core/contracts/payloads.ts";
import type {
  HandRow,
  ImageRow,
  LatestRow,
  LockRow,
  PauseRow,
  QueueEntry,
  RunIndexRow,
  TriggerRow,
} from "#core/contracts/project-rows.ts";
import type { PastRound, RoundRequest } from "#core/contracts/rounds.ts";
import type { RunTally } from "#core/contracts/run-tally.ts";
import type { VertexWrite } from "#core/contracts/vertex-write.ts";

/** Identifies a run's partition. */
export interface RunKey {
  readonly project: string;
  readonly runId: string;
}

/** One round of a run: what is written about a round counts only while it is the run's present one. */
export interface RoundKey extends RunKey {
  readonly round: number;
}

export type Redriven = NonNullable<VertexRow["redriven"]>;

/** How a further round is opened. */
export interface RoundOpening {
  readonly opening: RoundRequest;
  readonly past: PastRound;
  readonly startedAtMs: number;
  readonly deadlineAtMs: number;
  readonly notBeforeMs?: number | undefined;
  readonly redrives: number;
}

/** A stop of a round: the first one counts, but that one that lets builds end gives way to one that does not. */
export interface StopRequest {
  readonly atMs: number;
  readonly reason: string;
  /** The person, by name. */
  readonly by?: string | undefined;
  /** What runs is let end, and nothing more is launched. */
  readonly afterCurrent?: boolean | undefined;
}

/** A run in the queue of a lock. */
export interface WaitingRun {
  readonly lockKey: string;
  readonly runId: string;
  readonly executionArn: string;
  readonly atMs: number;
}

/** A claim of one vertex for a task. `from` is the owner that the decision saw (null: no row). */
export interface VertexClaim {
  readonly uniqueId: string;
  readonly from: number | null;
  /** The interrupted try that this claim forgives, if the vertex was interrupted. */
  readonly lostTask?: number | undefined;
  /** What an earlier build said of it is taken from its row: it is built anew, and by nothing good until then. */
  readonly forget?: boolean | undefined;
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
  /** Writes tasks and vertices of another run under this one, whose row comes after. A row that is there stays. */
  adoptRows(run: RunRow, tasks: readonly TaskRow[], rows: readonly VertexRow[]): Promise<void>;
  /** Marks the plan that check-run has accepted; only the first one counts. False: there already is another one. */
  setPlan(key: RunKey, plan: { planKey: string; plannedVertices: number; plannedNodes: number }): Promise<boolean>;
  /** A stop of one round that still runs: what comes late, in another round, changes nothing (behaviour G23). */
  requestStop(key: RoundKey, stop: StopRequest): Promise<void>;
  /** Notes what the run can not go on with, once, and requests its stop: its containers end by that. */
  markFault(key: RoundKey, fault: { atMs: number; sentence: string }): Promise<void>;
  /** Notes the wait of the run's present turn, and counts it. Nothing if there is no run. */
  keepRunWait(key: RunKey, wait: NonNullable<RunRow["wait"]>): Promise<void>;
  setHeldSince(key: RunKey, version: number, heldSinceMs: number | null): Promise<boolean>;
  /** Notes that nothing is left to wait for and moves the version: no other decision counts any more. False: it has moved before. */
  markReady(key: RunKey, version: number, readyAtMs: number): Promise<boolean>;
  /** Writes the verdict of a round, if the run is still `running` in it. False: it has one. */
  endRun(
    key: RoundKey,
    end: {
      state: RunRow["state"];
      verdict: string;
      summaryKey: string | null;
      endedAtMs: number;
      tally?: RunTally;
    },
  ): Promise<boolean>;
  /** Notes that the events of a run that has ended are published. */
  markEventsSent(key: RoundKey, atMs: number): Promise<void>;
  /** Notes a wish for a further round. False: the run is in another round by now. */
  requestRound(key: RunKey, request: RoundRequest): Promise<boolean>;
  /**
   * Opens the next round of a run as it was read: one write that voids everything that was marked in the round before.
   * False: it has been opened, or another wish has come; read again.
   */
  openRound(run: RunRow, next: RoundOpening): Promise<boolean>;
  /** Notes redrives that are answered by the round that runs already. */
  markRedriven(key: RoundKey, redrives: number): Promise<void>;

  // ---- tasks
  /**
   * Takes the next task number under the run's version and writes the task's row, in one transaction. False: the version
   * has moved, or the run is being stopped.
   */
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
    failure: {
      reason: string;
      nextLaunchAtMs: number;
      launchFailures: number;
      capacityRefusals?: number | undefined;
      clientToken: string;
    },
  ): Promise<void>;
  /**
   * Any state but `over` → `over`, with what ECS said. A launch that is given up (`neverStarted`) needs a task whose
   * fence nobody has passed. False: it was over, or has begun.
   */
  markStopped(key: RunKey, task: number, stop: TaskStop): Promise<boolean>;
  /** Notes which of its container's notices of silence an event has told. */
  markQuietTold(key: RunKey, task: number, noticedAtMs: number): Promise<void>;

  // ---- the container of a task
  /** The fence of a `launching` task, which is `running` by it: once. True for the one container that may build; the same ARN asking again is true too while nothing was built. */
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
      quiet?: readonly QuietNotice[] | undefined;
    },
  ): Promise<{ fenced: boolean }>;
  /** Tells under the fence where the plan lies that this task has written; check-run may accept it. False: fenced off. */
  tellPlan(key: RunKey, task: number, taskArn: string, planKey: string): Promise<boolean>;
  /** Records the end of the build, under the fence. False: fenced off. */
  endTask(key: RunKey, task: number, taskArn: string, end: BuildEnd, sequence: number): Promise<boolean>;
  /**
   * A task's word on one vertex, under its own name. Whether it counts is the readers' to judge: only while the task owns
   * the vertex, or nobody has claimed it from the producer, and until its last word, by which its descendants were
   * decided. Idempotent.
   */
  writeVertex(key: RunKey, task: number, write: VertexWrite): Promise<void>;
  /**
   * The same for some words that end their vertices, each whole: what one does not say, the row has no more. Answers the
   * vertices whose words were not taken just now; the others are durable.
   */
  writeEnds(key: RunKey, task: number, writes: readonly VertexWrite[]): Promise<readonly string[]>;

  // ---- vertices
  readVertices(key: RunKey): Promise<VertexRow[]>;
  readSomeVertices(key: RunKey, uniqueIds: readonly string[]): Promise<VertexRow[]>;
  /**
   * A vertex and its run in one call, read in no order: while the vertex changes hands, a word may count that came after.
   * Enough to find that there is nothing to do, or what a single row says; whoever finds more reads in order before he acts.
   */
  glanceAtVertex(
    key: RunKey,
    uniqueId: string,
  ): Promise<{ readonly run: RunRow | null; readonly row: VertexRow | null }>;
  /** Claims a vertex for a task, and keeps what has been said of it until then. True: ours, now or already (a repeated claim recognises itself). False: somebody else's. */
  claimVertex(key: RunKey, task: number, claim: VertexClaim): Promise<boolean>;
  /**
   * Writes the last word on a vertex and keeps what has been said of it until then, unless another task than `ownerTask` has claimed it since that was decided. Makes
   * the row if there is none.
   */
  setFinal(key: RoundKey, ownerTask: number, final: VertexFinal): Promise<void>;
  markConsumerStarted(key: RoundKey, uniqueId: string, part: ConsumerPart, atMs: number): Promise<void>;
  setOutcome(
    key: RoundKey,
    uniqueId: string,
    part: ConsumerPart,
    outcome: { outcome: NonNullable<VertexRow["outcome"]>; atMs: number },
  ): Promise<void>;
  /**
   * Notes how a consumer waits; one turn follows another. `atMs`: when the call began, in milliseconds; nothing is noted
   * over a call that began later, as where Step Functions has repeated one that was slow, nor over the wait of a later
   * round, whose consumer is another one.
   */
  keepConsumerWait(
    key: RunKey,
    uniqueId: string,
    part: ConsumerPart,
    wait: ConsumerWait & { readonly atMs: number },
  ): Promise<void>;
  /** Notes in which round a redriven consumer asked for another try. */
  markRedrivenConsumer(key: RunKey, uniqueId: string, part: ConsumerPart, redriven: Redriven): Promise<void>;
  /** Notes that an event has told of a vertex that runs longer than it may in this task. */
  markOverdueTold(key: RunKey, uniqueId: string, task: number): Promise<void>;
  /** Notes what the last event about a vertex' failure has said. */
  markToldAs(key: RunKey, uniqueId: string, told: ToldAs): Promise<void>;
  /** A person's word on a vertex; null takes it back. Makes the row if there is none. */
  setMark(key: RunKey, uniqueId: string, ownerTask: number, mark: VertexMark | null): Promise<void>;

  // ---- project
  /** Takes the lock. Null: ours, now or already; otherwise the row of its holder. */
  takeLock(lock: LockRow): Promise<LockRow | null>;
  /** Takes the lock from a holder that is known to be gone. False: it was no longer that holder's. */
  replaceLock(lock: LockRow, gone: { runId: string }): Promise<boolean>;
  readLock(project: string, lockKey: string): Promise<LockRow | null>;
  /** Every lock in a project's partition that is held. */
  listLocks(project: string): Promise<LockRow[]>;
  /** Gives the lock back, if this run holds it, and not for a later round than this one. */
  releaseLock(project: string, lockKey: string, runId: string, round?: number): Promise<void>;
  /** Stands in the queue (once), with the token of its present turn, and answers the queue in order of arrival. */
  joinQueue(project: string, lockKey: string, entry: QueueEntry): Promise<QueueEntry[]>;
  readQueue(project: string, lockKey: string): Promise<QueueEntry[]>;
  /** Notes that a waiting run is replaced by a later one; the first one counts. */
  markReplaced(project: string, lockKey: string, entry: QueueEntry, by: string): Promise<void>;
  leaveQueue(project: string, lockKey: string, entry: { runId: string; atMs: number }): Promise<void>;
  /** Every waiting run in a project's partition, whatever lock it waits for. */
  listWaiting(project: string): Promise<WaitingRun[]>;
  putRunIndex(row: RunIndexRow, ttlDays: number): Promise<void>;
  /** Newest first. */
  listRuns(project: string, limit: number): Promise<RunIndexRow[]>;
  /** Notes which run a trigger has started, for two weeks if not given. Null: this one, now or already; otherwise the row of the run that it started before. */
  claimTrigger(project: string, dedupeKey: string, trigger: TriggerRow, days?: number): Promise<TriggerRow | null>;
  readTrigger(project: string, dedupeKey: string): Promise<TriggerRow | null>;
  /** Takes a trigger from a run that never began. False: it was no longer that run's. */
  replaceTrigger(
    project: string,
    dedupeKey: string,
    trigger: TriggerRow,
    gone: { runId: string },
    days?: number,
  ): Promise<boolean>;

  /** Since when the schedule of a project, or of a job, is the one that is named: from now on, if it was another one. */
  knowSchedule(project: string, schedule: string, nowMs: number, job?: string): Promise<number>;

  // ---- artefacts
  /** Makes a run's artefacts the project's latest. False: they are those of a run that began later. */
  claimLatest(row: LatestRow): Promise<boolean>;
  readLatest(project: string, kind: LatestRow["kind"]): Promise<LatestRow | null>;

  // ---- alerts
  /** What a channel was last told of what is, or was, wrong under a lock. */
  listAlerts(project: string, lockKey: string, channel: AlertChannel): Promise<AlertRow[]>;
  /** Notes what a channel has just been told. */
  putAlert(project: string, row: AlertRow): Promise<void>;

  // ---- people
  readPause(project: string): Promise<PauseRow | null>;
  /** False: it is paused already, by that other row. */
  pause(row: PauseRow): Promise<boolean>;
  /** False: it is not paused. */
  resume(project: string): Promise<boolean>;
  /** The image that a person has chosen for the runs to come; null: the deployed one. */
  readImage(project: string): Promise<ImageRow | null>;
  /** In place of what was chosen before. */
  chooseImage(row: ImageRow): Promise<void>;
  /** Back to the deployed image. False: it was that one. */
  dropImage(project: string): Promise<boolean>;
  /** Keeps what a person did. */
  addHand(row: HandRow, ttlDays: number): Promise<void>;
  /** Newest first. */
  listHands(project: string, limit: number): Promise<HandRow[]>;
}

/** The ledger's methods by the rows that they read and write; each implementation has one part for each. */
export type RunRows = Pick<
  Ledger,
  | "createRun"
  | "readRun"
  | "setPlan"
  | "requestStop"
  | "markFault"
  | "keepRunWait"
  | "setHeldSince"
  | "markReady"
  | "endRun"
  | "markEventsSent"
  | "requestRound"
  | "openRound"
  | "markRedriven"
>;
/** What the decision maker does with tasks. */
export type ClaimedTasks = Pick<
  Ledger,
  | "createTask"
  | "readTasks"
  | "readTask"
  | "markClaimed"
  | "markLaunched"
  | "markLaunchFailed"
  | "markStopped"
  | "markQuietTold"
>;
/** What a task's own container does with it. */
export type FencedTasks = Pick<Ledger, "passFence" | "heartbeat" | "tellPlan" | "endTask">;
export type VertexRows = Pick<
  Ledger,
  | "writeVertex"
  | "writeEnds"
  | "readVertices"
  | "readSomeVertices"
  | "glanceAtVertex"
  | "claimVertex"
  | "setFinal"
  | "markConsumerStarted"
  | "setOutcome"
  | "keepConsumerWait"
  | "markRedrivenConsumer"
  | "markOverdueTold"
  | "markToldAs"
  | "setMark"
>;
