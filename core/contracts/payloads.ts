import { z } from "zod";
import { countsSchema } from "./run-tally.ts";
import { projectSettingsSchema } from "./settings.ts";

/**
 * What the states hand to each other, on one screen. Step N's input is step N−1's output: `Start run` answers a
 * {@link RunReference}, which stays the state data of the run machine to its end.
 */
export const CONTRACT = 1;

/**
 * Of a payload that a machine's definition or a rule carries beside its state data. Absent: of a release before the number
 * stood there, which is as the first.
 */
const contractOfCaller = z.literal(CONTRACT).optional();

/** The run machine's state data from `Start run` on. */
export const runReferenceSchema = z.object({
  contract: z.literal(CONTRACT),
  project: z.string(),
  runId: z.string(),
  round: z.int().min(1),
  /** Set where `Check run` could not go on: Step Functions' words for what it caught (behaviour D19). */
  error: z.object({ Error: z.string().default("unknown"), Cause: z.string().default("") }).optional(),
  /** Set when `Start run` decided that there is nothing to run (overlap: skip). */
  skipped: z.string().optional(),
  /** How long `Check run` waits in its next turn; TimeoutSecondsPath leads here. Absent: begun by an earlier version. */
  waitSeconds: z.int().min(1).optional(),
  /** Where `Check run` leads: to another look, or to the verdict. */
  next: z.enum(["check", "settle"]).optional(),
});
export type RunReference = z.infer<typeof runReferenceSchema>;

/**
 * The error by which a wait for the lock is ended from outside: the lock is free, or the waiting run has been replaced.
 * `Start run` catches it and looks again at once.
 */
export const LOCK_FREE = "LockFree";

/** The error by which a wait of `Check run` is ended from outside: something has happened that it decides about. */
export const WOKEN = "Woken";

/** The errors by which a consumer goes to turns of seconds, and back: while its run is redriven nothing wakes it. */
export const CLOSELY = "LookClosely";
export const PATIENTLY = "LookPatiently";

/** `Start run` → start-run. `input` is the execution's input, validated by the function. */
export const startRunPayloadSchema = z.object({
  contract: contractOfCaller,
  taskToken: z.string(),
  input: z.unknown(),
  execution: z.object({ arn: z.string(), name: z.string(), startTime: z.string() }),
  projects: z.record(z.string(), projectSettingsSchema),
  /** The state catches LOCK_FREE. That of an execution which was begun by an earlier version would fail by it. */
  catchesLockFree: z.literal(true).optional(),
  /** How long the first wait of `Check run` lasts; its answer hands it on. */
  waitSeconds: z.int().min(1).optional(),
});
export type StartRunPayload = z.infer<typeof startRunPayloadSchema>;

/** `Check run` → check-run. */
export const checkRunPayloadSchema = z.object({
  taskToken: z.string(),
  run: runReferenceSchema,
  /**
   * With `watch: wake`: the state catches WOKEN and waits as long as its data say, `netSeconds` at most; one turn per
   * `averageSeconds` fits into the execution's history. Absent: the state polls.
   */
  waits: z.object({ netSeconds: z.int().min(1), averageSeconds: z.int().min(1) }).optional(),
});
export type CheckRunPayload = z.infer<typeof checkRunPayloadSchema>;

/**
 * What Step Functions says of the execution that calls: its whole context object, since a path into it that is missing
 * (no redrive yet) would end the execution.
 */
export const executionContextSchema = z.object({
  RedriveCount: z.int().optional(),
  /** When it was redriven last; ISO 8601. */
  RedriveTime: z.string().optional(),
});
export type ExecutionContext = z.infer<typeof executionContextSchema>;

/** `Settle run` → settle-run; its answer is the execution's output. */
export const settleRunPayloadSchema = z.object({
  run: runReferenceSchema,
  execution: executionContextSchema.default({}),
  /** Seconds that the turns of all rounds together may take (infra/state-machines/turns.ts). */
  roundsSeconds: z.number().optional(),
});
export type SettleRunPayload = z.infer<typeof settleRunPayloadSchema>;

/**
 * The output of a run's execution: counts and a pointer. Every field is always there, since who embeds a run selects from
 * it by path, and a path that leads nowhere ends an execution.
 */
export const runOutputSchema = z.object({
  contract: z.literal(CONTRACT),
  project: z.string(),
  runId: z.string(),
  state: z.enum(["green", "skipped"]),
  verdict: z.string(),
  /** Vertices by class; of a run that was left out all of them 0. */
  counts: countsSchema,
  /** In the stack's bucket; null of a run that was left out, or whose summary could not be written. */
  summaryKey: z.string().nullable(),
});
export type RunOutput = z.infer<typeof runOutputSchema>;

/**
 * EventBridge → stop-run: an execution of the run machine has ended, or somebody asks to end what is left of it (no
 * redrive count); or the sweep's hour has come, with the projects to look at, and the schedules of those that have one, each
 * with its time zone behind it (`cron(0 3 * * ? *) Europe/Berlin`); that of a job under `project/job`.
 */
export const stopRunPayloadSchema = z.union([
  z.object({
    contract: contractOfCaller,
    sweep: z.array(z.string()),
    schedules: z.record(z.string(), z.string()).optional(),
  }),
  z.object({ detail: z.object({ executionArn: z.string(), redriveCount: z.int().nullish() }) }),
]);
export type StopRunPayload = z.infer<typeof stopRunPayloadSchema>;

/** Input of a consumer execution: started by check-run, watched by watch-node. */
export const consumerReferenceSchema = z.object({
  contract: z.literal(CONTRACT),
  project: z.string(),
  runId: z.string(),
  round: z.int().min(1),
  uniqueId: z.string(),
  /** What it mirrors: the node, or (testBehavior: after_each) the node's data tests. */
  part: z.enum(["node", "tests"]).default("node"),
});
export type ConsumerPart = "node" | "tests";
export type ConsumerReference = z.infer<typeof consumerReferenceSchema>;

/** `Watch node` → watch-node. */
export const watchNodePayloadSchema = z.object({
  taskToken: z.string(),
  consumer: consumerReferenceSchema,
  execution: executionContextSchema.default({}),
  /** With `watch: wake`: the state's turn, and that it catches CLOSELY and PATIENTLY. Absent: it polls. */
  waits: z.enum(["patiently", "closely"]).optional(),
});
export type WatchNodePayload = z.infer<typeof watchNodePayloadSchema>;

/** Output of a consumer that ended green or skipped. */
export const consumerOutputSchema = z.object({
  contract: z.literal(CONTRACT),
  uniqueId: z.string(),
  outcome: z.enum(["green", "skipped"]),
  status: z.string(),
  tries: z.int(),
  /** Something a person should know although the node is green: a warning, a test that could never run. */
  notes: z.array(z.string()),
});
export type ConsumerOutput = z.infer<typeof consumerOutputSchema>;
