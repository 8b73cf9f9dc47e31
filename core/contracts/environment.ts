import { z } from "zod";
import { InputError } from "#core/errors.ts";
import { inOurWords } from "#core/zod-sentences.ts";

/** Environment of every Lambda function. Set by infra/functions. */
export const functionEnvironmentSchema = z.object({
  STEPWATCH_TABLE: z.string().min(1),
  STEPWATCH_BUCKET: z.string().min(1),
  /** The stack's name: whose metrics they are. A deploy changes a function's code before its variables. */
  STEPWATCH_STACK: z.string().min(1).default("stepwatch"),
  /** Only where the function starts or looks at consumers. */
  STEPWATCH_CONSUMER_MACHINE_ARN: z.string().optional(),
  /** Of publish: `off`, and no event tells of a table that was built. */
  STEPWATCH_DATASETS: z.enum(["on", "off"]).optional(),
  /** Of lineage: where it posts to, as JSON (core/contracts/lineage). */
  STEPWATCH_LINEAGE: z.string().optional(),
  /** Of alert: whom it tells of what, as JSON (core/contracts/alerts). No secret: names of secrets alone. */
  STEPWATCH_ALERTS: z.string().optional(),
});

/**
 * Environment of the dbt-runner container. The first group is the task definition's (or the image's), the second the
 * override of one RunTask: ids alone, everything else is read from the task's row.
 */
export const runnerEnvironmentSchema = z.object({
  STEPWATCH_TABLE: z.string().min(1),
  STEPWATCH_BUCKET: z.string().min(1),
  STEPWATCH_PROJECT: z.string().min(1),
  STEPWATCH_DBT_PROJECT_DIR: z.string().min(1),
  STEPWATCH_DBT_PROFILES_DIR: z.string().min(1),
  /** Path of the dbt executable; looked up on PATH when it has no slash. */
  STEPWATCH_DBT_EXECUTABLE: z.string().min(1).default("dbt"),
  /** Folder for target and log paths; each task gets its own below. */
  STEPWATCH_WORK_DIR: z.string().min(1).default("/tmp/stepwatch"),
  /** Seconds between SIGTERM and SIGKILL, as in the task definition. */
  STEPWATCH_STOP_TIMEOUT_SECONDS: z.coerce.number().min(2).max(120).default(120),

  STEPWATCH_RUN_ID: z.string().min(1),
  STEPWATCH_TASK: z.coerce.number().int().min(1),
  /** Served by ECS; tells the container its own task ARN. */
  ECS_CONTAINER_METADATA_URI_V4: z.string().min(1),
});
export type RunnerEnvironment = z.infer<typeof runnerEnvironmentSchema>;

/** Parses an environment; throws {@link InputError} naming each variable that is missing or wrong. */
export function parseEnvironment<S extends z.ZodType>(
  schema: S,
  environment: Record<string, string | undefined>,
): z.infer<S> {
  const parsed = schema.safeParse(environment, { error: inOurWords });
  if (parsed.success) return parsed.data;
  throw new InputError(
    "Environment refused",
    parsed.error.issues.map((issue) => {
      const name = issue.path.join(".");
      const value = environment[name];
      return `${name} = ${value === undefined ? "(not set)" : JSON.stringify(value)}: ${issue.message}`;
    }),
  );
}
