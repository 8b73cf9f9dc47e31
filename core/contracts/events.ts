import { z } from "zod";

/** Source of every event that stepwatch publishes to EventBridge: what a rule matches on first. */
export const EVENT_SOURCE = "stepwatch";

/**
 * A warning of a run, published once the run has ended, whatever its verdict. One event per warning: a test over several
 * models warns once. EventBridge may deliver an event twice: `id` is the same then.
 */
export const warningDetailSchema = z.object({
  contract: z.literal(1),
  /** Same run, round and warning: same id. */
  id: z.string(),
  project: z.string(),
  runId: z.string(),
  round: z.int().min(1),
  /** `green`, `red`, …: how the run ended in which this was a warning. */
  state: z.string(),
  /** What `status` shows under its warnings: one sentence. */
  sentence: z.string(),
  /** The test that warned; null where the warning is of something else. */
  uniqueId: z.string().nullable(),
  /** Models, seeds and snapshots that the test is on. */
  nodes: z.array(z.string()),
  /** Rows that dbt counted as failing; null unless it said so. */
  failures: z.number().nullable(),
  /** Where `store_failures` keeps those rows; null unless it does. */
  relation: z.string().nullable(),
});
export type WarningDetail = z.infer<typeof warningDetailSchema>;

/** An event as it is published: `detail-type` and `detail` in EventBridge's words. */
export interface RunEvent {
  readonly detailType: "Warning";
  readonly detail: WarningDetail;
  readonly atMs: number;
  /** ARN of the run's execution: the event's `resources`. */
  readonly executionArn: string;
}
