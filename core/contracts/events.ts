import { z } from "zod";
import { columnSchema, ownerSchema } from "#core/run/planning/node-facts.ts";
import { runStates } from "./run-states.ts";

/** Source of every event that stepwatch publishes to EventBridge: what a rule matches on first. */
export const EVENT_SOURCE = "stepwatch";

/** Of every event. EventBridge may deliver one twice, and we may publish one twice: `id` is the same then. */
const head = {
  contract: z.literal(1),
  /** Same run, round and occurrence: same id. */
  id: z.string(),
  project: z.string(),
  runId: z.string(),
  round: z.int().min(1),
};

/** Of every event but `Warning`. */
const from = {
  ...head,
  /** The stack's name: two of them share an account's default bus. */
  stack: z.string(),
  /** The run's execution in the console; null on the embedded AWS, which has none. */
  runUrl: z.string().nullable(),
};

/** What the dbt project says of a vertex, as far as it says something: all of it bounded. */
const meaning = {
  /** `meta.owner`, else the owner of dbt's `group`; of a test the tested node's where it has none. */
  owner: ownerSchema.nullable(),
  tags: z.array(z.string()),
  /** `meta`, unless it is longer than 2,000 characters. */
  meta: z.record(z.string(), z.unknown()).nullable(),
};

/** Of every event about one vertex. */
const vertex = {
  ...from,
  uniqueId: z.string(),
  name: z.string(),
  resourceType: z.string(),
  materialized: z.string().nullable(),
  ...meaning,
  /** The node's own execution; null for a test, which has none. */
  executionArn: z.string().nullable(),
  executionUrl: z.string().nullable(),
  /** dbt's output of the build that the event is about. */
  logUrl: z.string().nullable(),
};

/** Of a run's own events. Absent in those of an older release. */
const whichRun = {
  /** `command`: it ran one command of dbt's, and is no build of the project. */
  kind: z.enum(["build", "command"]).optional(),
  /** The job that it is a run of; null: of the project itself. */
  job: z.string().nullable().optional(),
};

/** A run has begun, or a further round of it. */
export const runStartedDetailSchema = z.object({
  ...from,
  ...whichRun,
  startedAt: z.string(),
  /** Who or what opened a further round; null in a run's first. */
  opening: z.object({ by: z.string(), who: z.string().nullable(), reason: z.string().nullable() }).nullable(),
  /** The run whose work this one goes on with. */
  resumed: z.string().nullable(),
});
export type RunStartedDetail = z.infer<typeof runStartedDetailSchema>;

/** One root cause of a verdict. */
export const eventCauseSchema = z.object({
  /** Null where it is no vertex: a hook, a project that can not be parsed. */
  uniqueId: z.string().nullable(),
  sentence: z.string(),
  /** Vertices that are not built because of it. */
  gates: z.int(),
  owner: ownerSchema.nullable(),
});

/** A run has its verdict. A round that another follows by itself (`runRetries`) has none. */
export const runEndedDetailSchema = z.object({
  ...from,
  ...whichRun,
  state: z.enum(runStates),
  verdict: z.string(),
  startedAt: z.string(),
  endedAt: z.string(),
  seconds: z.number(),
  /** Vertices by class; null where the summary could not be read. */
  counts: z.record(z.string(), z.int()).nullable(),
  /** The first twenty, those first that gate most. */
  causes: z.array(eventCauseSchema),
  causeCount: z.int(),
  /** It built what its project or its job says, not a part or another target that somebody named, nor a backfill's window. */
  asConfigured: z.boolean(),
  /** Key of the whole summary in the bucket of artefacts. */
  summaryKey: z.string().nullable(),
  /** Of the project's own log group. */
  logUrl: z.string().nullable(),
});
export type RunEndedDetail = z.infer<typeof runEndedDetailSchema>;

const failure = {
  ...vertex,
  /** dbt's word. */
  status: z.string().nullable(),
  /** dbt's own words, cut. */
  message: z.string().nullable(),
  tries: z.int(),
  /** Rows that a data test found; null unless dbt said so. */
  failures: z.number().nullable(),
  /** Where `store_failures` keeps them. */
  relation: z.string().nullable(),
  /** Of a test: the nodes that it is on. */
  on: z.array(z.string()),
};

/** A root cause that is not tried again in this run by itself. What is below it has no event of its own. */
export const nodeFailedDetailSchema = z.object({
  ...failure,
  /** Why it is not tried again. */
  reason: z.string().nullable(),
  /** Vertices below it in the plan. */
  gates: z.int(),
});
export type NodeFailedDetail = z.infer<typeof nodeFailedDetailSchema>;

/** It failed, and is built again. */
export const retryPendingDetailSchema = z.object(failure);
export type RetryPendingDetail = z.infer<typeof retryPendingDetailSchema>;

/** It failed in this run, as an event has told, and is good now. */
export const nodeRecoveredDetailSchema = z.object({
  ...vertex,
  status: z.string().nullable(),
  tries: z.int(),
  /** What was told before: that it had failed for good (in an earlier round), or that it was to be tried again. */
  after: z.enum(["failed", "retry"]),
  on: z.array(z.string()),
});
export type NodeRecoveredDetail = z.infer<typeof nodeRecoveredDetailSchema>;

/** A model, seed or snapshot was built, and the tests that count for it are good. Not of what dbt reused. */
export const datasetUpdatedDetailSchema = z.object({
  ...vertex,
  /** Its table or view, as dbt writes it. */
  relation: z.string().nullable(),
  /** As the project documents them. */
  columns: z.array(columnSchema),
  rowsAffected: z.number().nullable(),
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  /** Relations that it was built from. */
  inputs: z.array(z.string()),
});
export type DatasetUpdatedDetail = z.infer<typeof datasetUpdatedDetailSchema>;

/**
 * A warning of a run, published once the run has ended, whatever its verdict; of a node that runs longer than it may as
 * soon as it does. One event per warning: a test over several models warns once.
 */
export const warningDetailSchema = z.object({
  ...head,
  /** `green`, `red`, …: how the run ended in which this was a warning; `running` while it goes on. */
  state: z.string(),
  /** What `status` shows under its warnings: one sentence. */
  sentence: z.string(),
  /** The test that warned, or what runs too long; null where the warning is of something else. */
  uniqueId: z.string().nullable(),
  /** Models, seeds and snapshots that the test is on. */
  nodes: z.array(z.string()),
  /** Rows that dbt counted as failing; null unless it said so. */
  failures: z.number().nullable(),
  /** Where `store_failures` keeps those rows; null unless it does. */
  relation: z.string().nullable(),
  /** Absent in events of an older release. */
  stack: z.string().optional(),
  runUrl: z.string().nullable().optional(),
  /** Of the test's own, else of its nodes; absent of what runs too long. */
  owner: ownerSchema.nullable().optional(),
  tags: z.array(z.string()).optional(),
  meta: z.record(z.string(), z.unknown()).nullable().optional(),
});
export type WarningDetail = z.infer<typeof warningDetailSchema>;

/** The events that people may match on, by detail type: docs/events.md. */
export const eventDetailSchemas = {
  "Run started": runStartedDetailSchema,
  "Run ended": runEndedDetailSchema,
  "Node failed": nodeFailedDetailSchema,
  "Retry pending": retryPendingDetailSchema,
  "Node recovered": nodeRecoveredDetailSchema,
  "Dataset updated": datasetUpdatedDetailSchema,
  Warning: warningDetailSchema,
} as const;
export type DetailType = keyof typeof eventDetailSchemas;

/** Detail type of the event by which `stepwatch stop` asks stop-run to end a run whose execution is gone. */
export const STOP_ASKED = "Stop asked";

/** In the words of Step Functions' own event of an execution's end, so that stop-run reads both. */
export interface StopAskedDetail {
  readonly executionArn: string;
  readonly stateMachineArn: string;
}

/** An event as it is published: `detail-type` and `detail` in EventBridge's words. */
export type RunEvent = { [Type in DetailType]: EventOf<Type> }[DetailType] | StopAskedEvent;

/** A published event of one detail type. */
export interface EventOf<Type extends DetailType> extends EventHead {
  readonly detailType: Type;
  readonly detail: z.infer<(typeof eventDetailSchemas)[Type]>;
}

export type WarningEvent = EventOf<"Warning">;

export interface StopAskedEvent extends EventHead {
  readonly detailType: typeof STOP_ASKED;
  readonly detail: StopAskedDetail;
}

interface EventHead {
  readonly atMs: number;
  /** ARN of the run's execution: the event's `resources`. */
  readonly executionArn: string;
}
