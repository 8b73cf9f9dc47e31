import { z } from "zod";
import { NODE_TYPES, plannedTypes } from "#core/dbt/resource-types.ts";
import { nodeSettingsSchema } from "#core/run/planning/node-settings.ts";

/** What holds of a vertex of which nothing else is said. */
export const VERTEX_DEFAULTS = {
  overrides: {},
  safeToRepeat: true,
  afterFailure: "repeat",
  orphan: "harmless",
  mayFailAfterReplacing: false,
  onErrorContinue: false,
  deferred: false,
} as const;

/**
 * The plan: every vertex that the run's selection holds, with the vertices that gate it. One object in S3, written
 * once by the producer; the run row points to it. See docs/adr/0014-the-plan-is-one-object.md.
 */
export const planVertexSchema = z.object({
  uniqueId: z.string(),
  /** What a person calls it. */
  name: z.string(),
  resourceType: z.enum(plannedTypes),
  materialized: z.string().nullable(),
  /** False for what dbt plans but never builds: ephemeral models, files without SQL. */
  builds: z.boolean(),
  /** Vertices of the plan that must be good before this one may be built; edges through unselected nodes included. */
  gateParents: z.array(z.string()),
  /** Of a test or unit test: the nodes of the plan whose result it is part of. Empty for tests on sources alone. */
  nodes: z.array(z.string()),
  /** What exact selection needs, as the manifest has it. */
  fqn: z.array(z.string()),
  packageName: z.string(),
  originalFilePath: z.string(),
  /** `meta.stepwatch`, as far as it is valid. */
  overrides: nodeSettingsSchema.default(VERTEX_DEFAULTS.overrides),
  /** The materialization can be built twice without doubling rows or history, also over a first build that was killed. */
  safeToRepeat: z.boolean().default(VERTEX_DEFAULTS.safeToRepeat),
  /**
   * What a build of it that failed has left (behaviour G28). `repeat`: nothing that another build would double.
   * `rolled_back`: nothing, unless its connection was lost while it committed. `unknown`: perhaps all of its rows.
   */
  afterFailure: z.enum(["repeat", "rolled_back", "unknown"]).default(VERTEX_DEFAULTS.afterFailure),
  /**
   * What a query that its killed build left running can do to the next build's rows (behaviour G31). `must_be_gone`: it
   * could collide with them, and the container sees to it that it is gone; `unknowable`: nobody can tell there.
   */
  orphan: z.enum(["harmless", "must_be_gone", "unknowable"]).default(VERTEX_DEFAULTS.orphan),
  /** A node whose table may have been replaced although it failed: hooks, grants or docs follow (behaviour B12). */
  mayFailAfterReplacing: z.boolean().default(VERTEX_DEFAULTS.mayFailAfterReplacing),
  onErrorContinue: z.boolean().default(VERTEX_DEFAULTS.onErrorContinue),
  /** Of a microbatch model whose window dbt chooses, since the run gives none: a retry has to be given that window. */
  batchSize: z.enum(["hour", "day", "month", "year"]).optional(),
  /** Of such a model: where its first build begins, as it was when the run was planned; it may be made of the time. */
  begin: z.string().optional(),
  /** Of a microbatch model: its own `full_refresh: false`, by which no full refresh replaces its table. */
  keepsRows: z.boolean().optional(),
  /** Why our own policy leaves it out of the run (stale source, state): neither built, nor red, nor retried (B2). */
  leftOut: z.string().optional(),
  /** A test that is not the producer's: it runs after all nodes (testBehavior: after_all) and gates nothing. */
  deferred: z.boolean().default(VERTEX_DEFAULTS.deferred),
});
export type PlanVertex = z.infer<typeof planVertexSchema>;
export type BatchSize = NonNullable<PlanVertex["batchSize"]>;

export const planSchema = z.object({
  contract: z.literal(1),
  project: z.string(),
  runId: z.string(),
  dbtVersion: z.string(),
  adapterType: z.string().nullable(),
  /** The warehouse takes many writers although its adapter's files take one (MotherDuck). */
  manyWriters: z.boolean().optional(),
  /** The dbt project's own name, as in `model.<name>.…`. */
  dbtProject: z.string(),
  /** Something narrows what dbt builds: the run's options, the environment, a default selector (behaviour H9); absent: nobody knows. */
  narrowed: z.boolean().optional(),
  /** Where the selection came from: `manifest` (nothing selects) or `ls`. */
  source: z.enum(["manifest", "ls"]),
  vertices: z.array(planVertexSchema),
  /** The project has on-run-end hooks: a run of which no dbt process came to its end has not run them (B11). */
  endHooks: z.boolean().default(false),
  /** How many they are. */
  endHookCount: z.int().default(0),
  /** On-run hooks of the project and its packages, at start and end: they run in every dbt process. */
  hookCount: z.int().default(0),
  /** Known limits of this run that a person should see (hooks that run in every build, ignored meta values …). */
  warnings: z.array(z.string()),
});
export type Plan = z.infer<typeof planSchema>;

/** Whether a vertex is a node that dbt builds, hence has a consumer. */
export const hasConsumer = (vertex: PlanVertex): boolean => NODE_TYPES.has(vertex.resourceType) && vertex.builds;

/** Warehouses that one process at a time may write: the cap is 1 and recovery waits for the build's end. */
export const SINGLE_WRITERS: ReadonlySet<string> = new Set(["duckdb", "sqlite"]);

/** Whether one process at a time may write the plan's warehouse. */
export const takesOneWriter = (plan: Pick<Plan, "adapterType" | "manyWriters">): boolean =>
  plan.manyWriters !== true && SINGLE_WRITERS.has(plan.adapterType ?? "");
