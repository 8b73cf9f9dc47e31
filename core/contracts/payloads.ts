import { z } from "zod";
import { projectSettingsSchema } from "./settings.ts";

/**
 * What the states hand to each other, on one screen. Step N's input is step N−1's output: `Start run` answers a
 * {@link RunReference}, which stays the state data of the run machine to its end.
 */
export const CONTRACT = 1;

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
});
export type RunReference = z.infer<typeof runReferenceSchema>;

/** `Start run` → start-run. `input` is the execution's input, validated by the function. */
export const startRunPayloadSchema = z.object({
  taskToken: z.string(),
  input: z.unknown(),
  execution: z.object({ arn: z.string(), name: z.string(), startTime: z.string() }),
  projects: z.record(z.string(), projectSettingsSchema),
});
export type StartRunPayload = z.infer<typeof startRunPayloadSchema>;

/** `Check run` → check-run. */
export const checkRunPayloadSchema = z.object({ taskToken: z.string(), run: runReferenceSchema });
export type CheckRunPayload = z.infer<typeof checkRunPayloadSchema>;

/** `Settle run` → settle-run; its answer is the execution's output. */
export const settleRunPayloadSchema = z.object({ run: runReferenceSchema });
export type SettleRunPayload = z.infer<typeof settleRunPayloadSchema>;

export const runOutputSchema = z.object({
  contract: z.literal(CONTRACT),
  project: z.string(),
  runId: z.string(),
  state: z.enum(["green", "skipped"]),
  verdict: z.string(),
  summaryKey: z.string().optional(),
});
export type RunOutput = z.infer<typeof runOutputSchema>;

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
export const watchNodePayloadSchema = z.object({ taskToken: z.string(), consumer: consumerReferenceSchema });
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
