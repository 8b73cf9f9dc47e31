import { z } from "zod";

/**
 * The set of a task, one object in S3: written by check-run before the task's row names it, read by its container and
 * by a check that finishes the launch of one that died.
 */
export const taskSetSchema = z.object({
  /** What the build is to build, exactly. */
  uniqueIds: z.array(z.string().min(1)).min(1),
  /** What makes the task the owner of each; the container does not need them. */
  claims: z.array(z.object({ uniqueId: z.string(), from: z.number().nullable(), lostTask: z.number().optional() })),
  /** Of a microbatch model that is built again: the event-time window of its first build (behaviour G17). */
  eventWindow: z.object({ start: z.string(), end: z.string() }).optional(),
  /** Of a set with microbatch models that choose their own window: the moment at which they are to choose it (G27). */
  asOfMs: z.number().optional(),
  /** Queries that an earlier build may have left running, to be ended before this one (behaviour D12). */
  orphans: z.object({ uniqueIds: z.array(z.string()), openedBeforeMs: z.number() }).optional(),
});
export type TaskSet = z.infer<typeof taskSetSchema>;
