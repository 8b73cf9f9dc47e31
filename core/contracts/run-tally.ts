import { z } from "zod";

/** How a vertex stands, as reports and `--json` have it: dbt's classes, `doomed`, and two for what has no result yet. */
export const reportClasses = [
  "good",
  "failed",
  "interrupted",
  "not_built",
  "skipped",
  "doomed",
  "running",
  "waiting",
] as const;

/** A number of vertices for each class. */
export const countsSchema = z.object(
  Object.fromEntries(reportClasses.map((name) => [name, z.int().min(0)])) as Record<
    (typeof reportClasses)[number],
    z.ZodInt
  >,
);
export type Counts = z.infer<typeof countsSchema>;

/** The counts of a run that planned nothing, or was left out. */
export const NO_COUNTS: Counts = {
  good: 0,
  failed: 0,
  interrupted: 0,
  not_built: 0,
  skipped: 0,
  doomed: 0,
  running: 0,
  waiting: 0,
};

/**
 * What a run comes to in numbers. Written with its verdict on its row and on its line in the list of runs, so that who
 * embeds it and who looks back over many runs need not read their vertices.
 */
export const runTallySchema = z.object({
  counts: countsSchema,
  /** Vertices that needed more than one try. */
  retried: z.int().min(0),
  /** Wall milliseconds of all dbt processes together. */
  dbtMs: z.number().min(0),
  /** What the vertices that dbt reused took when they were last built. Milliseconds; absent where nobody knows. */
  savedMs: z.number().min(0).optional(),
  /** What it cost, estimated (core/run/reporting/estimate). US dollars. */
  usd: z.number().min(0).optional(),
});
export type RunTally = z.infer<typeof runTallySchema>;
