import { z } from "zod";

const at = z.number().optional();

/**
 * When a task's container came to what, by its own clock, in milliseconds since 1970: where the seconds of a run go can be
 * told of any run, on AWS as on a laptop. Nothing decides by them. What never came is left out. Written by the container,
 * with the end of its build.
 */
export const buildMomentsSchema = z.object({
  /** Its process began; ECS had started the container just before. */
  startedAtMs: at,
  /** Its code is loaded. */
  loadedAtMs: at,
  /** It has passed the fence. */
  fencedAtMs: at,
  /** It knows what to build. */
  briefedAtMs: at,
  /** dbt is started, for the build. */
  dbtStartedAtMs: at,
  /** dbt's first line: Python has loaded dbt. */
  dbtSpokeAtMs: at,
  /** dbt says how many threads it will use: the project is parsed, the connection stands, start hooks were run. */
  dbtReadyAtMs: at,
  firstVertexAtMs: at,
  /** The first status is in the ledger. */
  firstDurableAtMs: at,
  /** The plan is in the ledger. */
  plannedAtMs: at,
  /** dbt printed the last end of a vertex. */
  lastVertexAtMs: at,
  /** dbt is reaped. */
  dbtEndedAtMs: at,
  /** Every status is in the ledger; its end is recorded next. */
  durableAtMs: at,
});

export type BuildMoments = z.infer<typeof buildMomentsSchema>;
export type Moment = keyof BuildMoments;

/** What the container's own process used, dbt not counted, when its end was recorded. Nothing decides by it. */
export const runnerUsageSchema = z.object({
  /** CPU milliseconds until dbt was started: what a build of any size costs. */
  startCpuMs: z.number(),
  /** CPU milliseconds in all. */
  cpuMs: z.number(),
  /** The most resident memory. */
  peakRssBytes: z.number(),
});
export type RunnerUsage = z.infer<typeof runnerUsageSchema>;
