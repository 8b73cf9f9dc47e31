import { z } from "zod";
import { periods } from "#core/schedule/local-time.ts";
import { timeZoneSchema } from "#core/schedule/schedule-settings.ts";

/** How the scheduled time of a run reaches dbt, beside the environment, which always has it (behaviour H11). */
export const datesSchema = z.strictObject({
  /** A variable of dbt's that holds it; what a run gives as `vars` goes before it. */
  variable: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is no name of a variable (letters, digits and _).")
    .optional(),
  /** Of the variable: `2026-01-31`, or `2026-01-31T03:00:00+01:00`. */
  format: z.enum(["date", "datetime"]).default("date"),
  /** Event-time window of microbatch models: the last whole hour, day, week or month before the scheduled time. */
  eventTime: z.enum(periods).optional(),
  /** Whose calendar counts; unset: that of the schedule, or UTC. */
  zone: timeZoneSchema.optional(),
});
export type Dates = z.infer<typeof datesSchema>;
