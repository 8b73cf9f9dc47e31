import { z } from "zod";

/** How one vertex ended in the run, as an on-run-end hook is told it. */
export const hookResultSchema = z.object({
  uniqueId: z.string(),
  /** A word that dbt 1 has for a result. */
  status: z.string(),
  /** The task whose run_results.json may tell more of it; null: none. */
  task: z.int().nullable(),
  startedAtMs: z.number().optional(),
  endedAtMs: z.number().optional(),
  executionSeconds: z.number().optional(),
  message: z.string().optional(),
  failures: z.number().optional(),
  rowsAffected: z.number().optional(),
});
export type HookResult = z.infer<typeof hookResultSchema>;

/** What a task runs that builds nothing: the project's on-run hooks alone (behaviour G30). */
export const hooksBriefSchema = z.object({
  /** On-run-start hooks too: one failed in a build and has not run well since. */
  start: z.boolean(),
  /** On-run-end hooks that are done already, as dbt names them: they are not run again. */
  done: z.array(z.string()),
  /** The results of all builds of the run. */
  results: z.array(hookResultSchema),
});
export type HooksBrief = z.infer<typeof hooksBriefSchema>;

/**
 * The set of a task, one object in S3: written by check-run before the task's row names it, read by its container and
 * by a check that finishes the launch of one that died.
 */
export const taskSetSchema = z.object({
  /** What the build is to build, exactly; nothing where `hooks` says what to run. */
  uniqueIds: z.array(z.string().min(1)),
  /** What makes the task the owner of each; the container does not need them. */
  claims: z.array(
    z.object({
      uniqueId: z.string(),
      from: z.number().nullable(),
      lostTask: z.number().optional(),
      forget: z.boolean().optional(),
    }),
  ),
  /** Of a microbatch model that is built again: the event-time window of its first build (behaviour G17). */
  eventWindow: z.object({ start: z.string(), end: z.string() }).optional(),
  /** Of a set with microbatch models that choose their own window: the moment at which they are to choose it (G27). */
  asOfMs: z.number().optional(),
  /** Queries that an earlier build may have left running, to be ended before this one (behaviour D12). */
  orphans: z.object({ uniqueIds: z.array(z.string()), openedBeforeMs: z.number() }).optional(),
  /** With `hooks: once`: the project's on-run-start hooks are to run in this build too. */
  startHooks: z.boolean().optional(),
  /** Of a task of kind `command`: what stands behind `dbt`, a word each. */
  command: z.array(z.string()).min(1).optional(),
  /** Of a task of kind `hooks`. */
  hooks: hooksBriefSchema.optional(),
});
export type TaskSet = z.infer<typeof taskSetSchema>;
