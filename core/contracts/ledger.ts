import { z } from "zod";
import { causeSchema } from "./cause.ts";
import { projectSettingsSchema } from "./settings.ts";

/** A task's kind: the run's first build; a build of one failed vertex; one build of several; the plan alone. */
export const taskKinds = ["producer", "fallback", "recovery", "plan"] as const;
export type TaskKind = (typeof taskKinds)[number];

/**
 * A task's state. `claiming`: check-run has written the row and claims its vertices. `launching`: every vertex is
 * claimed, RunTask is called until it takes. `running`: a container has passed the fence. `over`: the supervisor
 * recorded that it reaped dbt, or ECS says STOPPED, or the launch was given up.
 */
export const taskStates = ["claiming", "launching", "running", "over"] as const;

/** A run's state. A run that is not `running` has its verdict. */
export const runStates = ["running", "green", "red", "skipped", "stopped"] as const;

/** The end of a build as its supervisor saw it. Written once, by the container. */
export const buildEndSchema = z.object({
  endedAtMs: z.number(),
  exitCode: z.number().nullable(),
  signal: z.string().nullable(),
  /** Reaped, not signalled by us, last summary line seen, exit code as its vertices explain. */
  inOrder: z.boolean(),
  cause: causeSchema,
  /** A producer that ended before any status and whose cause lies outside the dbt project may be launched again. */
  retryableLaunch: z.boolean().default(false),
  failFast: z.boolean().default(false),
  /** The warehouse went away while vertices were built, which failed by it: they and the rest may be built again. */
  lostWarehouse: z.boolean().default(false),
  hookFailures: z
    .array(z.object({ name: z.string(), message: z.string(), phase: z.enum(["start", "end"]) }))
    .default([]),
  /** On-run-end hooks that the log shows as done: dbt may have been cut off after them. */
  endHooksDone: z.array(z.string()).default([]),
  /** Skips that dbt printed by a relation alone, and of which nobody could tell which vertex was meant (B4). */
  unnamedSkips: z.int().default(0),
  /** Models that dbt has run by the files that it left, although it said nothing of any vertex: outcome unknown. */
  ranUnseen: z.int().default(0),
  /** Selected vertices that run_results.json supplied because the log had a start and no end. */
  filled: z.array(z.string()).default([]),
  contradictions: z
    .array(z.object({ uniqueId: z.string(), log: z.string(), file: z.string(), knownReason: z.string().nullable() }))
    .default([]),
  /** What dbt ended as not good although the task's set does not have it: its row, another task's, says nothing of it. */
  strays: z.array(z.object({ uniqueId: z.string(), status: z.string() })).default([]),
  /** What dbt says it is: a build that ends within a second may have had no heartbeat that told it. */
  dbtVersion: z.string().optional(),
  /** Wall milliseconds of the dbt process. */
  dbtMs: z.number().default(0),
});
export type BuildEnd = z.infer<typeof buildEndSchema>;

/** What ECS said of a task that is over. Written once, by check-run. */
export const taskStopSchema = z.object({
  stoppedAtMs: z.number(),
  stopCode: z.string().nullable(),
  stoppedReason: z.string().nullable(),
  exitCode: z.number().nullable(),
  outOfMemory: z.boolean(),
  /** The container never started: counts as a launch failure, not as a try. */
  neverStarted: z.boolean(),
});
export type TaskStop = z.infer<typeof taskStopSchema>;

/** `RUN#<project>#<runId>` / `RUN`. Written by start-run, check-run (version, plan is the producer's), settle-run. */
export const runRowSchema = z.object({
  project: z.string(),
  runId: z.string(),
  executionArn: z.string(),
  /** The run input as validated, without defaults of the project. */
  input: z.record(z.string(), z.unknown()),
  settings: projectSettingsSchema,
  lockKey: z.string(),
  /** The project in whose partition the lock stands, where it is another one (behaviour G29). */
  lockProject: z.string().optional(),
  round: z.int().min(1),
  state: z.enum(runStates),
  /** Optimistic lock of the decision maker: moves by one with each decision. */
  version: z.int().min(0),
  /** Number of the last task that was claimed; 0 before the producer. */
  lastTask: z.int().min(0),
  startedAtMs: z.number(),
  deadlineAtMs: z.number(),
  stopRequestedAtMs: z.number().optional(),
  stopReason: z.string().optional(),
  /** What the run could not go on with (behaviour D19): it is stopped, and red by it. Set once, by settle-run. */
  fault: z.string().optional(),
  /** S3 key of the plan; set once, by the producer (or a plan task). */
  planKey: z.string().optional(),
  plannedVertices: z.int().optional(),
  plannedNodes: z.int().optional(),
  endedAtMs: z.number().optional(),
  /** One sentence. */
  verdict: z.string().optional(),
  summaryKey: z.string().optional(),
  /**
   * When a check found nothing left to wait for. Its own answer may have come too late for its turn's token: the next
   * turn that finds this answers at once.
   */
  readyAtMs: z.number().optional(),
  /** When this round's events had all been published: a repeated settle does not publish them again. */
  eventsSentAtMs: z.number().optional(),
  /** When a recovery build was first held back for a failed vertex; cleared when it is launched. */
  heldSinceMs: z.number().optional(),
});
export type RunRow = z.infer<typeof runRowSchema>;

/** `RUN#<project>#<runId>` / `TASK#<n>`. Written by check-run until the fence is passed, then by its container. */
export const taskRowSchema = z.object({
  task: z.int().min(1),
  kind: z.enum(taskKinds),
  round: z.int().min(1),
  /** One sentence: why this task exists. */
  reason: z.string(),
  /** S3 key of the set of vertices; absent for the producer, who owns what it plans. */
  setKey: z.string().optional(),
  setSize: z.int().optional(),
  /** The first few ids of the set, for people. */
  setSample: z.array(z.string()).default([]),
  size: z.enum(["producer", "queue"]),
  state: z.enum(taskStates),
  claimedAtMs: z.number(),
  clientToken: z.string(),
  /** RunTask was called and refused, or its task stopped before the container started. */
  launchFailures: z.int().default(0),
  lastLaunchFailure: z.string().optional(),
  nextLaunchAtMs: z.number().optional(),
  launchedAtMs: z.number().optional(),
  taskArn: z.string().optional(),
  /** ARN of the container's task that passed the fence: the only writer from then on. */
  fencedBy: z.string().optional(),
  startedAtMs: z.number().optional(),
  heartbeatAtMs: z.number().optional(),
  /** Moves with every write of the task to a vertex: a reader that saw this number saw everything. */
  sequence: z.int().default(0),
  dbtVersion: z.string().optional(),
  invocationId: z.string().optional(),
  logStream: z.string().optional(),
  end: buildEndSchema.optional(),
  stop: taskStopSchema.optional(),
});
export type TaskRow = z.infer<typeof taskRowSchema>;

/**
 * `RUN#<project>#<runId>` / `VERTEX#<unique_id>`. Status attributes are written by the owner task under the condition
 * that it still is the owner; `consumer…`, `outcome`, `final` by others, apart, and never touched by the owner.
 */
export const vertexRowSchema = z.object({
  uniqueId: z.string(),
  resourceType: z.string().optional(),
  /** Number of the task that may write this vertex. */
  ownerTask: z.int().min(1),
  /** Moves by one with each claim. */
  epoch: z.int().min(0).default(0),
  /** Task numbers in which dbt really started or ended the vertex. */
  tryTasks: z.array(z.int()).default([]),
  /** Task numbers that claimed the vertex after an interruption: the interrupted try is no try. */
  lostTasks: z.array(z.int()).default([]),
  /** Task whose status stands here; smaller than `ownerTask` until the owner has said something. */
  statusTask: z.int().optional(),
  /** dbt's word, verbatim; `started` while it runs. */
  status: z.string().optional(),
  /** A start or an end that is no skip was printed in `statusTask`. */
  evidence: z.boolean().optional(),
  startedAtMs: z.number().optional(),
  endedAtMs: z.number().optional(),
  message: z.string().optional(),
  failures: z.number().optional(),
  executionSeconds: z.number().optional(),
  rowsAffected: z.number().optional(),
  relation: z.string().optional(),
  compiledKey: z.string().optional(),
  checksum: z.string().optional(),
  batches: z.array(z.object({ name: z.string(), status: z.string() })).optional(),
  /** When check-run started the node's consumer. */
  consumerStartedAtMs: z.number().optional(),
  /** How the node's consumer ended. Written by watch-node. */
  outcome: z.enum(["green", "red", "skipped"]).optional(),
  outcomeAtMs: z.number().optional(),
  /** The same of the consumer of the node's data tests (testBehavior: after_each). */
  testsConsumerStartedAtMs: z.number().optional(),
  testsOutcome: z.enum(["green", "red", "skipped"]).optional(),
  testsOutcomeAtMs: z.number().optional(),
  /** The decision maker's last word; see core/run/step. */
  final: z.enum(["dead", "doomed", "not_built"]).optional(),
  finalReason: z.string().optional(),
  /** unique_id of the nearest root cause of a doomed vertex. */
  rootCause: z.string().optional(),
});
export type VertexRow = z.infer<typeof vertexRowSchema>;

/** `PROJECT#<project>` / `LOCK#<lockKey>`. Held while the execution runs or one of its tasks is not over. */
export const lockRowSchema = z.object({
  /** The project in whose partition the lock stands: of entries that share a dbt project, the first (behaviour G29). */
  project: z.string(),
  /** The holder's own project, where it is another one. */
  runProject: z.string().optional(),
  lockKey: z.string(),
  runId: z.string(),
  executionArn: z.string(),
  takenAtMs: z.number(),
});
export type LockRow = z.infer<typeof lockRowSchema>;

/** `PROJECT#<project>` / `RUN#<time>#<runId>`: index of past runs, newest last. */
export const runIndexRowSchema = z.object({
  project: z.string(),
  runId: z.string(),
  executionArn: z.string(),
  startedAtMs: z.number(),
  state: z.enum(runStates),
  endedAtMs: z.number().optional(),
  verdict: z.string().optional(),
});
export type RunIndexRow = z.infer<typeof runIndexRowSchema>;
