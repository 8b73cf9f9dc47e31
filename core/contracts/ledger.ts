import { z } from "zod";
import { causeSchema } from "./cause.ts";
import { buildMomentsSchema, runnerUsageSchema } from "./moments.ts";
import { pastRoundSchema, roundRequestSchema } from "./rounds.ts";
import { runStates } from "./run-states.ts";
import { runTallySchema } from "./run-tally.ts";
import { projectSettingsSchema } from "./settings.ts";

/**
 * A task's kind: the run's first build; a build of one failed vertex; one build of several; the plan alone; the project's
 * on-run hooks alone; another command of dbt's, which owns no vertex.
 */
export const taskKinds = ["producer", "fallback", "recovery", "plan", "hooks", "command"] as const;
export type TaskKind = (typeof taskKinds)[number];

/**
 * A task's state. `claiming`: check-run has written the row and claims its vertices. `launching`: every vertex is
 * claimed, RunTask is called until it takes. `running`: a container has passed the fence. `over`: the supervisor
 * recorded that it reaped dbt, or ECS says STOPPED, or the launch was given up.
 */
export const taskStates = ["claiming", "launching", "running", "over"] as const;

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
  moments: buildMomentsSchema.optional(),
  runner: runnerUsageSchema.optional(),
  /** The longest silence that dbt has broken, of a build that came to its end by itself (behaviour A25). Milliseconds. */
  longestQuietMs: z.number().min(0).optional(),
});
export type BuildEnd = z.infer<typeof buildEndSchema>;

/** A silence of dbt that was long against this project's builds (behaviour A25). Written by the container. */
export const quietNoticeSchema = z.object({
  /** dbt's last line, or its start. */
  sinceMs: z.number(),
  noticedAtMs: z.number(),
  /** What dbt had begun and not ended, the longest first; at most five of `count`. */
  running: z.array(z.object({ uniqueId: z.string(), startedAtMs: z.number().optional() })),
  count: z.int(),
  /** dbt was interrupted for it. */
  interrupted: z.boolean(),
});
export type QuietNotice = z.infer<typeof quietNoticeSchema>;

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

/**
 * `RUN#<project>#<runId>` / `RUN`. Written by start-run, check-run (version, plan), settle-run and whoever stops the run,
 * never by a container: see docs/adr/0043.
 */
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
  /** The moment that it works on, kept by all rounds and retries of it (behaviour H11); absent: begun by an earlier version. */
  scheduledAtMs: z.number().optional(),
  deadlineAtMs: z.number(),
  /** A stop: its first moment counts, and containers end dbt by it. Set once by whoever stops. */
  stopRequestedAtMs: z.number().optional(),
  /** A stop that lets end what runs: nothing more is launched. Set once, unless the run is stopped already. */
  stopAfterCurrentAtMs: z.number().optional(),
  /** Of the stop that counts: why, and which person; nobody is known where an execution was ended. */
  stopReason: z.string().optional(),
  stopRequestedBy: z.string().optional(),
  /** What the run could not go on with (behaviour D19): it is stopped, and red by it. Set once, by settle-run. */
  fault: z.string().optional(),
  /** S3 key of the plan; set once, by check-run, which accepts what a producer or a plan task has told. */
  planKey: z.string().optional(),
  plannedVertices: z.int().optional(),
  plannedNodes: z.int().optional(),
  endedAtMs: z.number().optional(),
  /** One sentence. */
  verdict: z.string().optional(),
  summaryKey: z.string().optional(),
  /** What it comes to in numbers; absent while it runs, and of one that was ended by an earlier version. */
  tally: runTallySchema.optional(),
  /**
   * When a check found nothing left to wait for. Its own answer may have come too late for its turn's token: the next
   * turn that finds this answers at once.
   */
  readyAtMs: z.number().optional(),
  /** When this round's events had all been published: a repeated settle does not publish them again. */
  eventsSentAtMs: z.number().optional(),
  /** When a recovery build was first held back for a failed vertex; cleared when it is launched. */
  heldSinceMs: z.number().optional(),
  // ---- rounds (docs/adr/0034-marks-carry-their-round.md): opening one is one write of this row
  /** When the present round was opened; absent: with the run. */
  roundStartedAtMs: z.number().optional(),
  /** Why the present round was opened; absent in a run's first, unless it goes on with another run. */
  opening: roundRequestSchema.optional(),
  /** Nothing is launched before: the delay of an automatic round. */
  notBeforeMs: z.number().optional(),
  /** Rounds that have ended, oldest first. */
  rounds: z.array(pastRoundSchema).optional(),
  /** Wishes for a further round; those of earlier rounds are void. */
  requests: z.array(roundRequestSchema).optional(),
  /** Redrives of the run's execution that have been answered by a round. */
  redrives: z.int().optional(),
  // ---- waits (docs/adr/0042-waits-are-ended-by-whoever-sees-the-word.md)
  /** The wait of the run's loop, by its present turn; written by check-run, with `watch: wake` alone. */
  wait: z.object({ token: z.string(), averageSeconds: z.int(), waitSeconds: z.int().optional() }).optional(),
  /** Turns that the loop has taken in all rounds, where it notes its waits. */
  turns: z.int().optional(),
  /** How often a person has marked a vertex or taken a mark back: a mark stands in its vertex' row, and moves no task. */
  marks: z.int().optional(),
  /** The run that this one goes on with: its plan and its rows were adopted as round 0. */
  resumed: z.string().optional(),
  /** It, or one that it goes on with, went on under another image: its tables are of two versions of the code. */
  mixedImages: z.boolean().optional(),
});
export type RunRow = z.infer<typeof runRowSchema>;

/**
 * A task, joined of two rows (core/run/judging/joined-rows): what is decided of it, `RUN#<project>#<runId>` / `TASK#<n>`
 * ({@link decidedTaskSchema}), and what its container tells, `BUILD#<project>#<runId>` / `TASK#<n>`
 * ({@link toldTaskSchema}).
 */
export const taskRowSchema = z.object({
  task: z.int().min(1),
  kind: z.enum(taskKinds),
  /** 0: of the run that this one goes on with. */
  round: z.int().min(0),
  /** One sentence: why this task exists. */
  reason: z.string(),
  /** S3 key of the set of vertices; absent for the producer, who owns what it plans. */
  setKey: z.string().optional(),
  setSize: z.int().optional(),
  /** The first few ids of the set: all of a small one. For people, and for wake to know when a small one is done. */
  setSample: z.array(z.string()).default([]),
  size: z.enum(["producer", "queue"]),
  /** Of a command: which step of its run it is (core/run/deciding/steps). */
  step: z.string().optional(),
  /** Its build is given `--full-refresh`, whatever the run's options say. */
  fullRefresh: z.boolean().optional(),
  state: z.enum(taskStates),
  claimedAtMs: z.number(),
  clientToken: z.string(),
  /** RunTask was called and refused, or its task stopped before the container started. */
  launchFailures: z.int().default(0),
  /** Those of them for which ECS had no room: they wait within the run's deadline and count for no bound (behaviour D21). */
  capacityRefusals: z.int().optional(),
  /** Not on Spot, since the run has lost a container to it. */
  onDemand: z.boolean().optional(),
  lastLaunchFailure: z.string().optional(),
  nextLaunchAtMs: z.number().optional(),
  launchedAtMs: z.number().optional(),
  taskArn: z.string().optional(),
  /** Which of its container's notices of silence an event has told, by the newest. */
  quietToldAtMs: z.number().optional(),
  stop: taskStopSchema.optional(),
  // ---- what its container tells
  /** ARN of the container's task that passed the fence: the only writer from then on. */
  fencedBy: z.string().optional(),
  startedAtMs: z.number().optional(),
  heartbeatAtMs: z.number().optional(),
  /** Moves with every write of the task to a vertex: a reader that saw this number saw everything. */
  sequence: z.int().default(0),
  dbtVersion: z.string().optional(),
  invocationId: z.string().optional(),
  logStream: z.string().optional(),
  quiet: z.array(quietNoticeSchema).optional(),
  /** S3 key of the plan that this task has written: the run's, once check-run has accepted it. */
  toldPlanKey: z.string().optional(),
  end: buildEndSchema.optional(),
});
export type TaskRow = z.infer<typeof taskRowSchema>;

/**
 * A consumer that waits: its present turn's token, the first round whose answer it takes, and how often it had been
 * redriven. Written by watch-node, with `watch: wake` alone; a token that is over is refused when it is answered.
 */
export const consumerWaitSchema = z.object({ token: z.string(), round: z.int(), redrives: z.int() });
export type ConsumerWait = z.infer<typeof consumerWaitSchema>;

/**
 * `RUN#<project>#<runId>` / `TASK#<n>`: what is decided of a task. Written by check-run and by whoever ends a run. Its
 * state is never `running`, and `over` by our word or ECS' alone. A row that was adopted from another run has all of it.
 */
export const decidedTaskSchema = taskRowSchema;
export type DecidedTask = TaskRow;

/** `BUILD#<project>#<runId>` / `TASK#<n>`: what the container of a task tells, and its fence. */
export const toldTaskSchema = taskRowSchema
  .pick({
    fencedBy: true,
    startedAtMs: true,
    heartbeatAtMs: true,
    sequence: true,
    dbtVersion: true,
    invocationId: true,
    logStream: true,
    quiet: true,
    toldPlanKey: true,
    end: true,
  })
  .extend({
    /** The fence is closed by whoever ended the task: no container passes it, or says anything under it, any more. */
    closedAtMs: z.number().optional(),
  });
export type ToldTask = z.infer<typeof toldTaskSchema>;

/**
 * A vertex, joined (core/run/judging/joined-rows) of what is decided of it, `RUN#<project>#<runId>` /
 * `VERTEX#<unique_id>`, and of a task's word on it, `BUILD#<project>#<runId>` / `TASK#<n>/VERTEX#<unique_id>`. A claim
 * and a last word keep in the decided row what had been said by then: a word that comes later counts no more.
 */
export const vertexRowSchema = z.object({
  uniqueId: z.string(),
  resourceType: z.string().optional(),
  /** Number of the task whose word on this vertex counts. */
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
  /** Of a failed vertex: where its compiled SQL lies once the task's files are up, if it has any. */
  compiledKey: z.string().optional(),
  checksum: z.string().optional(),
  batches: z.array(z.object({ name: z.string(), status: z.string() })).optional(),
  /** When check-run started the node's consumer, and in which round; rounds are 1 where none is named. */
  consumerStartedAtMs: z.number().optional(),
  consumerRound: z.int().optional(),
  /** How the node's consumer ended. Written by watch-node. */
  outcome: z.enum(["green", "red", "skipped"]).optional(),
  outcomeAtMs: z.number().optional(),
  outcomeRound: z.int().optional(),
  /** The same of the consumer of the node's data tests (testBehavior: after_each). */
  testsConsumerStartedAtMs: z.number().optional(),
  testsConsumerRound: z.int().optional(),
  testsOutcome: z.enum(["green", "red", "skipped"]).optional(),
  testsOutcomeAtMs: z.number().optional(),
  testsOutcomeRound: z.int().optional(),
  /** How its consumer waits, and that of its data tests. */
  wait: consumerWaitSchema.optional(),
  testsWait: consumerWaitSchema.optional(),
  /** When the call began that noted it: one that began before notes nothing, since its turn's token is over. */
  waitAtMs: z.number().optional(),
  testsWaitAtMs: z.number().optional(),
  /** The round of that wait, over which none of an earlier round is noted; absent: noted by an earlier version. */
  waitRound: z.int().optional(),
  testsWaitRound: z.int().optional(),
  /** Its consumer was redriven: how often by then, and the run's round in which it asked for another try. */
  redriven: z.object({ redrives: z.int(), round: z.int() }).optional(),
  testsRedriven: z.object({ redrives: z.int(), round: z.int() }).optional(),
  /** Task in which it ran longer than it may, as an event has told; written by check-run. */
  overdueTold: z.int().optional(),
  /** What the last event about its failure said, and of which task's word; written by publish. */
  toldAs: z.object({ as: z.enum(["retry", "failed", "recovered"]), round: z.int(), task: z.int() }).optional(),
  /** A person's word on the vertex: it counts as good, or as left out, until it is built again. */
  mark: z.object({ as: z.enum(["good", "skip"]), by: z.string(), atMs: z.number(), reason: z.string() }).optional(),
  /** The decision maker's last word; see core/run/deciding/step. */
  final: z.enum(["dead", "doomed", "not_built"]).optional(),
  /** The round in which it is the last word. */
  finalRound: z.int().optional(),
  finalReason: z.string().optional(),
  /** unique_id of the nearest root cause of a doomed vertex. */
  rootCause: z.string().optional(),
});
export type VertexRow = z.infer<typeof vertexRowSchema>;

/** `RUN#<project>#<runId>` / `VERTEX#<unique_id>`. Nobody's, hence the producer's, until somebody claims it. */
export const decidedVertexSchema = vertexRowSchema.extend({ ownerTask: vertexRowSchema.shape.ownerTask.optional() });
export type DecidedVertex = z.infer<typeof decidedVertexSchema>;

/** What a task has said of a vertex: null takes back what an older task had said. */
const told = vertexRowSchema.pick({
  startedAtMs: true,
  endedAtMs: true,
  message: true,
  failures: true,
  executionSeconds: true,
  rowsAffected: true,
  relation: true,
  compiledKey: true,
  checksum: true,
  batches: true,
  resourceType: true,
});

/** `BUILD#<project>#<runId>` / `TASK#<n>/VERTEX#<unique_id>`: the tries of a vertex are its rows. Written by the task. */
export const vertexWordSchema = z.object({
  uniqueId: z.string(),
  task: z.int().min(1),
  status: z.string(),
  evidence: z.boolean(),
  ...told.shape,
  message: z.string().nullish(),
  failures: z.number().nullish(),
  executionSeconds: z.number().nullish(),
  rowsAffected: z.number().nullish(),
  relation: z.string().nullish(),
});
export type VertexWord = z.infer<typeof vertexWordSchema>;

/** What an event has said of a vertex' failure. */
export type ToldAs = NonNullable<VertexRow["toldAs"]>;

/** A person's word on a vertex. */
export type VertexMark = NonNullable<VertexRow["mark"]>;
