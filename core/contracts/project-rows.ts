import { z } from "zod";
import { latestKinds } from "./latest.ts";
import { runStates } from "./run-states.ts";
import { runTallySchema } from "./run-tally.ts";

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
  /** The holder's round, from its second on: what comes late of an earlier round does not give the lock back. */
  round: z.int().optional(),
});
export type LockRow = z.infer<typeof lockRowSchema>;

/** `PROJECT#<project>` / `QUEUE#<lockKey>#<time>#<runId>`: a run that waits for the lock. Written by start-run. */
export const queueEntrySchema = z.object({
  runId: z.string(),
  executionArn: z.string(),
  /** When it came: the order of the queue. */
  atMs: z.number(),
  /** Of its present turn: whoever gives the lock back ends that wait (core/contracts/payloads: LOCK_FREE). */
  taskToken: z.string().optional(),
  /** What it would build, as a hash: only a run that builds the same replaces it (overlap: latest). */
  work: z.string().optional(),
  /** The later run that is built instead of it: it has no place in the queue any more, and ends as skipped. */
  replacedBy: z.string().optional(),
});
export type QueueEntry = z.infer<typeof queueEntrySchema>;

/** `PROJECT#<project>` / `TRIGGER#<dedupeKey>`: the run that was started by a trigger (behaviour G22). Written by start-run. */
export const triggerRowSchema = z.object({
  runId: z.string(),
  executionArn: z.string(),
  atMs: z.number(),
  /** Of a `runKey`: the run with the same key that this one goes on with (behaviour G13). */
  goesOnWith: z.string().optional(),
});
export type TriggerRow = z.infer<typeof triggerRowSchema>;

/** `PROJECT#<project>` / `PAUSE`: no run of the project begins while it is there. Written by a person's command. */
export const pauseRowSchema = z.object({
  project: z.string(),
  /** The person's name on the machine where the command was given. */
  by: z.string(),
  atMs: z.number(),
  reason: z.string(),
});
export type PauseRow = z.infer<typeof pauseRowSchema>;

/** `PROJECT#<project>` / `LATEST#<kind>`: the run whose artefacts lie under `latest/` or `latest-green/`, or whose site under `latest/…/docs/`. Written by settle-run. */
export const latestRowSchema = z.object({
  project: z.string(),
  kind: z.enum([...latestKinds, "docs"]),
  runId: z.string(),
  /** A run that began earlier and ended later does not take the place of a newer one. */
  startedAtMs: z.number(),
});
export type LatestRow = z.infer<typeof latestRowSchema>;

/** `PROJECT#<project>` / `SCHEDULE`: the schedule that the sweep knows, and since when. Written by stop-run. */
export const scheduleRowSchema = z.object({ schedule: z.string(), sinceMs: z.number() });
export type ScheduleRow = z.infer<typeof scheduleRowSchema>;

/**
 * `PROJECT#<project>` / `IMAGE`: the image that a person has chosen for the runs to come, without a deploy. Written by
 * `stepwatch image`, read by start-run, as long as it stands over the task definitions that are deployed.
 */
export const imageRowSchema = z.object({
  project: z.string(),
  /** By digest. */
  image: z.string(),
  /** The deployed task definitions that these were made from: with a later deploy, that deploy's image counts again. */
  over: z.object({ producer: z.string(), executionQueue: z.string() }),
  /** Revisions of the same families with the image. */
  producer: z.string(),
  executionQueue: z.string(),
  by: z.string(),
  atMs: z.number(),
  reason: z.string(),
});
export type ImageRow = z.infer<typeof imageRowSchema>;

/** `PROJECT#<project>` / `HAND#<time>#…`: what a person did to the project; kept as long as a run's rows. */
export const handRowSchema = z.object({
  project: z.string(),
  action: z.enum(["unlock", "pause", "resume", "mark", "image"]),
  by: z.string(),
  atMs: z.number(),
  reason: z.string(),
  /** One sentence: what it was done to, and what was known of it. */
  sentence: z.string(),
});
export type HandRow = z.infer<typeof handRowSchema>;

/** `PROJECT#<project>` / `RUN#<time>#<runId>`: index of past runs, newest last. */
export const runIndexRowSchema = z.object({
  project: z.string(),
  runId: z.string(),
  executionArn: z.string(),
  startedAtMs: z.number(),
  state: z.enum(runStates),
  endedAtMs: z.number().optional(),
  verdict: z.string().optional(),
  /** The round that this row tells of; absent: 1. */
  round: z.int().optional(),
  /** Of a run that has had its lock. */
  lockKey: z.string().optional(),
  /** Of one that has its verdict. */
  tally: runTallySchema.optional(),
  /** The job that it is a run of. */
  job: z.string().optional(),
});
export type RunIndexRow = z.infer<typeof runIndexRowSchema>;
