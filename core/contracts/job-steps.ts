import { z } from "zod";
import { CommandUnreadable, commandWords } from "#core/dbt/command-words.ts";
import { DbtCommandRefused, readDbtCommand } from "#core/dbt/commands.ts";
import { datesSchema } from "./date-settings.ts";

/** What is wrong with a step's command line, as the end of a sentence about it; null if nothing is. */
function wrongCommand(line: string): string | null {
  try {
    const [first] = commandWords(line);
    if (first === undefined) return "names no command of dbt's: write for example deps or seed --select countries.";
    if (first === "dbt") return "begins with dbt: write what follows it.";
    if (first.startsWith("-")) return "begins with a dash: dbt's command comes first.";
    readDbtCommand(commandWords(line));
    return null;
  } catch (error) {
    if (error instanceof CommandUnreadable || error instanceof DbtCommandRefused) return error.message;
    throw error;
  }
}

/**
 * A dbt command that a job runs before or after its build: a text as on dbt's command line without `dbt`, or the same
 * with what is to follow from its failure (core/dbt/command-words reads the text).
 */
export const jobStepSchema = z.preprocess(
  (step) => (typeof step === "string" ? { command: step } : step),
  z.strictObject({
    command: z.string().superRefine((line, context) => {
      const message = wrongCommand(line);
      if (message !== null) context.addIssue({ code: "custom", message });
    }),
    /** Its failure is a warning, and what follows it is done all the same. */
    continueOnFailure: z.boolean().default(false),
    /** Of a step after the build: also where the build is not green. */
    always: z.boolean().default(false),
  }),
);
export type JobStep = z.infer<typeof jobStepSchema>;

/** Steps that one job may have before its build, and after it. */
const MOST_STEPS = 20;

const stepsSchema = z.array(jobStepSchema).max(MOST_STEPS).default([]);

/** Of a job, what its run keeps beside options and policy, which it takes over into its own. */
export const jobOwnSchema = z.strictObject({
  before: stepsSchema,
  after: stepsSchema,
  /**
   * `target`: one live run per target, as without a job. `schema`: one per target and `lockKey`, for runs that build
   * schemas of their own. `none`: none waits for another, and nothing keeps two from building one table.
   */
  lock: z.enum(["target", "schema", "none"]).default("target"),
  /** What tells schemas apart; a run's input may name another. */
  lockKey: z.string().min(1).max(200).optional(),
});

/** The job that a run is of, as its row keeps it. */
export const runJobSchema = jobOwnSchema.extend({ name: z.string() });
export type RunJob = z.infer<typeof runJobSchema>;

/** A job as it is deployed: options and policy are those of stepwatch.yaml, without anything filled in. */
export const deployedJobSchema = jobOwnSchema.extend({
  dates: datesSchema.optional(),
  build: z.record(z.string(), z.unknown()).default({}),
  policy: z.record(z.string(), z.unknown()).default({}),
});
export type DeployedJob = z.infer<typeof deployedJobSchema>;
