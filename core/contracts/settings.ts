import { z } from "zod";
import { failureKinds } from "#core/dbt/failure-messages.ts";

/** What is wrong with a pattern as a regular expression, in one sentence; null where nothing is. */
function wrongPattern(pattern: string): string | null {
  try {
    new RegExp(pattern, "im");
    return null;
  } catch (error) {
    // The engine repeats the pattern, which stands before the sentence already.
    const why = (error as Error).message.split(": ").at(-1)!.toLowerCase();
    const hint = pattern.includes("(?i)") ? "; leave out (?i), upper and lower case count the same" : "";
    return `is no regular expression of JavaScript (${why})${hint}.`;
  }
}

/** What gates what, how often a thing is tried, and how long a run may take. Defaults are those of docs/design.md. */
export const policySchema = z.strictObject({
  /** Further tries of a failed vertex, by kind; a vertex's own `meta.stepwatch.retries` wins. */
  retries: z
    .strictObject({ node: z.int().min(0).max(20).default(1), test: z.int().min(0).max(20).default(1) })
    .prefault({}),
  /**
   * `transient`: what comes to the same each time gets no further try: a compilation error, a contract, a permission, SQL
   * that names what is not there, a time limit, a unit test, a data test that found rows (core/dbt/failure-messages.ts).
   */
  retryOn: z.enum(["all", "transient"]).default("transient"),
  /** The project's own words for a kind of failure, tried before the table's; `pattern` is a regular expression. */
  failureMessages: z
    .array(
      z.strictObject({
        pattern: z
          .string()
          .min(1)
          .max(500)
          .superRefine((pattern, context) => {
            const message = wrongPattern(pattern);
            if (message !== null) context.addIssue({ code: "custom", message });
          }),
        kind: z.enum(failureKinds),
        /** dbt's adapter type, such as snowflake; unset: any. */
        adapter: z.string().min(1).optional(),
      }),
    )
    .max(50)
    .default([]),
  /**
   * `auto`: what one outage struck is built again in one build, everything else alone. `together`: all that failed at one
   * moment in one build. `alone`: each vertex in a build of its own.
   */
  fallbacks: z.enum(["auto", "together", "alone"]).default("auto"),
  /** Seconds before the first retry of a vertex; doubles with each further one, up to five minutes. */
  retryDelaySeconds: z.number().min(0).max(3600).default(5),
  /** How often a vertex may be interrupted (its build was killed) before it is given up. Uses no try. */
  losses: z.int().min(0).max(20).default(2),
  /** How often ECS may fail to start one task before it is given up. Uses no try. */
  launchFailures: z.int().min(0).max(50).default(5),
  /** How often a producer is launched again that ended before any status for a cause outside the dbt project. */
  producerRetries: z.int().min(0).max(20).default(2),
  /** Seconds that a recovery build waits for a failed vertex that gates more of the set. */
  holdSeconds: z.number().min(0).max(3600).default(5),
  /** When failed vertices become free: after the build that owns them has ended. */
  recovery: z.enum(["after"]).default("after"),
  /** What is built again when only a test failed: the test, its node too, or nothing. */
  onTestFailure: z.enum(["test", "node", "none"]).default("test"),
  /** A vertex whose build was killed: `rebuild` unless its materialization is not safe to repeat; `stop` never rebuilds. */
  interrupted: z.enum(["rebuild", "stop"]).default("rebuild"),
  /** Seconds for the warehouse to drop the query of a killed build before its node is built again. */
  orphanGraceSeconds: z.number().min(0).max(3600).default(10),
  /** What a failed on-run-end hook makes of a run whose vertices are good. */
  hookFailure: z.enum(["red", "warn"]).default("red"),
  /** What a run does while another one holds its lock. */
  overlap: z.enum(["queue", "skip", "refuse"]).default("queue"),
  /** Minutes from the moment the run has its lock until it is ended. */
  runTimeoutMinutes: z.int().min(1).max(10_080).default(240),
  /** Seconds between two heartbeats of a task. */
  heartbeatSeconds: z.number().min(0.5).max(60).default(10),
  /** Seconds without a heartbeat after which ECS is asked what became of the task. */
  lostAfterSeconds: z.number().min(2).max(600).default(60),
  /** Days until the ledger's rows of a run expire. */
  ttlDays: z.int().min(1).max(3650).default(60),
  /**
   * `build`: tests run inside the builds and count for their nodes. `after_each`: the same builds, but the data tests of
   * a node have a consumer of their own. `after_all`: the producer runs no tests; one `dbt test` follows. `none`: none.
   */
  testBehavior: z.enum(["build", "after_each", "after_all", "none"]).default("build"),
  /** `eager`: each terminal status is durable within a second; `end`: statuses are written when the build ends. */
  backup: z.enum(["eager", "end"]).default("eager"),
  /** Whether a selection that finds nothing is green. */
  allowEmpty: z.boolean().default(false),
});
export type Policy = z.infer<typeof policySchema>;

/** Size of an ECS task. */
export const taskSizeSchema = z.strictObject({
  /** CPU units of ECS: 1024 are one vCPU. */
  cpu: z.int().min(256).max(16_384).default(1024),
  memoryMiB: z.int().min(512).max(122_880).default(2048),
});
export type TaskSize = z.infer<typeof taskSizeSchema>;

/** How to launch a task of one size: everything RunTask needs, pinned per run. */
export const launchTargetSchema = z.strictObject({
  cluster: z.string(),
  taskDefinitionArn: z.string(),
  containerName: z.string(),
  subnets: z.array(z.string()),
  securityGroups: z.array(z.string()),
  assignPublicIp: z.boolean(),
});
export type LaunchTarget = z.infer<typeof launchTargetSchema>;

/**
 * What the deployed stack knows of a project. Written at synth into the run machine's definition, copied by start-run
 * to the run row, so that a redeploy changes nothing of a run that has begun.
 */
export const projectSettingsSchema = z.strictObject({
  project: z.string(),
  producer: launchTargetSchema,
  executionQueue: launchTargetSchema.extend({
    /** Tasks of the execution queue that may run at once. */
    maxTasks: z.int().min(1).max(100),
  }),
  policy: policySchema,
  /** `dbt build` options of stepwatch.yaml, under those of the run input. */
  build: z.record(z.string(), z.unknown()),
  threads: z.int().min(1).max(256).optional(),
  target: z.string().optional(),
  /** dbt_project.yml's own profile: a run that names it builds what one builds that names none (behaviour G10). */
  defaultProfile: z.string().optional(),
  /** Of entries that share a dbt project's folder, the one in whose partition their locks stand (behaviour G29). */
  lockProject: z.string().optional(),
  /** What dbt builds when no target is named; null where only dbt can tell. */
  defaultTarget: z.string().nullable().default(null),
});
export type ProjectSettings = z.infer<typeof projectSettingsSchema>;
