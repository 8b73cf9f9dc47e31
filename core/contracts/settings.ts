import { z } from "zod";
import { failureKinds } from "#core/dbt/failure-messages.ts";
import { datesSchema } from "./date-settings.ts";
import { deployedJobSchema, runJobSchema } from "./job-steps.ts";

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
  /** Further rounds of a run that ended red of what may pass, with nobody asking: all of them within the run's time. */
  runRetries: z.int().min(0).max(10).default(0),
  /** Seconds before such a round begins. */
  runRetryDelaySeconds: z.number().min(0).max(86_400).default(60),
  /** Seconds that a recovery build waits for a failed vertex that gates more of the set. */
  holdSeconds: z.number().min(0).max(3600).default(5),
  /**
   * When failed vertices become free: after the build that owns them has ended, or as soon as it has said its last word
   * on them and on what reads them.
   */
  recovery: z.enum(["after", "early"]).default("after"),
  /** Whether on-run hooks may run in a recovery build while the producer still builds; without it they forbid `early`. */
  concurrentHooks: z.boolean().default(false),
  /** What is built again when only a test failed: the test, its node too, or nothing. */
  onTestFailure: z.enum(["test", "node", "none"]).default("test"),
  /** A vertex whose build was killed: `rebuild` unless its materialization is not safe to repeat; `stop` never rebuilds. */
  interrupted: z.enum(["rebuild", "stop"]).default("rebuild"),
  /** Seconds for the warehouse to drop the query of a killed build before its node is built again. */
  orphanGraceSeconds: z.number().min(0).max(3600).default(10),
  /** What a failed on-run-end hook makes of a run whose vertices are good. */
  hookFailure: z.enum(["red", "warn"]).default("red"),
  /**
   * `each`: on-run-start and on-run-end hooks run in every dbt process of a run, as dbt does it. `once`: start hooks in the
   * first build alone, end hooks when nothing is left to be built, with the results of all builds (dbt 1 alone).
   */
  hooks: z.enum(["each", "once"]).default("each"),
  /** What a run does while another one holds its lock; `latest` waits, in place of those that wait to build the same. */
  overlap: z.enum(["queue", "latest", "skip", "refuse"]).default("queue"),
  /** Whether a run begins only if the one before it, of the same project and lock, is green. */
  dependsOnPast: z.boolean().default(false),
  /** Minutes from the moment the run has its lock until it is ended. */
  runTimeoutMinutes: z.int().min(1).max(10_080).default(240),
  /** Minutes from the moment the run has its lock after which it counts as overdue, for the alarm; it goes on. */
  overdueMinutes: z.int().min(1).max(10_080).optional(),
  /** Minutes that one build of a node or test may take before the run warns of it; dbt can not end one node alone. */
  nodeTimeoutMinutes: z.number().positive().max(10_080).optional(),
  /**
   * Minutes for which dbt may say nothing before a warning says what it runs. Where builds of the project were silent for
   * longer than half of it and went on, twice that.
   */
  stuckAfterMinutes: z.number().positive().max(10_080).default(60),
  /** A dbt that says nothing for so long: `interrupt` ends it as a stop does, and what it ran is built again by the rules. */
  stuck: z.enum(["warn", "interrupt"]).default("warn"),
  /** Rows that are kept of each failed data test which stores them in the warehouse, for `why`; 0 keeps none. */
  failureRows: z.int().min(0).max(20).default(5),
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
  /** Which sources are too old to build from: nodes that read nothing else are left out of the run (behaviour H1). */
  freshness: z
    .strictObject({
      /**
       * By what a source is stale: by dbt's word of it from `warn` or from `error` on; `given`: by what is said here alone,
       * and dbt is not asked. `off`: nothing is left out.
       */
      gate: z.enum(["off", "warn", "error", "given"]).default("off"),
      /** A program of the project that decides beside dbt (behaviour H2): prints `{"stale": [source], "fresh": [source]}`. */
      command: z.array(z.string().min(1)).min(1).max(50).optional(),
      /** Sources that are stale, or are not, whatever dbt or the command say; by unique_id, or as `source.table`. */
      stale: z.array(z.string().min(1)).max(1_000).default([]),
      fresh: z.array(z.string().min(1)).max(1_000).default([]),
    })
    .prefault({}),
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

/**
 * Which capacity of Fargate tasks run on. `spot` is up to 70 % cheaper and may be taken away with two minutes' warning;
 * `spot_then_on_demand` leaves Spot where there is none, or where a container was taken away.
 */
export const capacities = ["on_demand", "spot", "spot_then_on_demand"] as const;
export type Capacity = (typeof capacities)[number];

/** How to launch a task of one size: everything RunTask needs, pinned per run. */
export const launchTargetSchema = z.strictObject({
  cluster: z.string(),
  taskDefinitionArn: z.string(),
  containerName: z.string(),
  subnets: z.array(z.string()),
  securityGroups: z.array(z.string()),
  assignPublicIp: z.boolean(),
  /** Absent: on demand. */
  capacity: z.enum(capacities).optional(),
  /** Its size, by which its cost is estimated; absent: deployed by an earlier version. */
  cpu: z.int().optional(),
  memoryMiB: z.int().optional(),
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
  /** The warehouse of runs that name neither target nor profile, where it takes one writing process at a time. */
  singleWriter: z.string().optional(),
  /** Of the same runs: an embedded database that is on a server, such as MotherDuck, and takes many. */
  manyWriters: z.boolean().optional(),
  /** With `watch: poll`: seconds of a turn, by which its cost is estimated. */
  pollSeconds: z.number().min(1).optional(),
  /** What dbt builds when no target is named; null where only dbt can tell. */
  defaultTarget: z.string().nullable().default(null),
  /** How a run's scheduled time reaches dbt, with the zone that counts (behaviour H11). */
  dates: datesSchema.optional(),
  /** The project's jobs by name, as they are deployed; a run's row keeps the one that it is of. */
  jobs: z.record(z.string(), deployedJobSchema).optional(),
  /** Of a run's row alone. Its options and its policy are in those of the row by then. */
  job: runJobSchema.optional(),
});
export type ProjectSettings = z.infer<typeof projectSettingsSchema>;
