import { z } from "zod";
import { datesSchema } from "#core/contracts/date-settings.ts";
import { jobOwnSchema } from "#core/contracts/job-steps.ts";
import { runPolicySchema } from "#core/contracts/run-policy.ts";
import { buildOptionsSchema } from "#core/dbt/argv.ts";
import { PROJECT_NAME } from "#core/names.ts";
import { scheduleSchema, timeZoneSchema } from "#core/schedule/schedule-settings.ts";
import { startAfterSchema } from "#core/start-after.ts";

/** A job of stepwatch.yaml: a way to run its project, by the clock or by name. It shares image, lock and history. */
export const jobSchema = jobOwnSchema
  .extend({
    schedule: scheduleSchema.optional(),
    scheduleTimeZone: timeZoneSchema.optional(),
    /** What a run of it follows, beside the clock. */
    startAfter: startAfterSchema.optional(),
    /** In the place of the project's. */
    dates: datesSchema.optional(),
    /** Options of `dbt build`, over the project's and under those of a run's input. */
    build: buildOptionsSchema.prefault({}),
    /** What it changes of the project's policy, as one run may. */
    policy: runPolicySchema.default({}),
  })
  .superRefine(({ schedule, scheduleTimeZone, lock, lockKey, policy, startAfter }, context) => {
    const complain = (field: string, message: string) => context.addIssue({ code: "custom", path: [field], message });
    if (scheduleTimeZone !== undefined && schedule === undefined)
      complain("scheduleTimeZone", "has no meaning without schedule.");
    if (lockKey !== undefined && lock !== "schema") complain("lockKey", "has no meaning without lock: schema.");
    if (lock === "schema" && lockKey === undefined && (schedule ?? startAfter) !== undefined)
      complain("lock", "needs lockKey beside it: neither a schedule nor an event names a schema of its own.");
    if (lock === "none" && policy.dependsOnPast === true)
      complain("policy", "dependsOnPast has no meaning with lock: none, where no run is before another.");
  });
export type JobConfig = z.infer<typeof jobSchema>;

/** The jobs of a project by their names. */
export const jobsSchema = z
  .record(
    z.string().regex(PROJECT_NAME, "is no job name: letters, digits, _ and -, a letter first, at most 63."),
    jobSchema,
  )
  .default({});
