/** What docs/design.md promises under "Numbers to hold", as far as a benchmark on one machine can show it. */
export const GOALS = {
  /** Wall clock against plain dbt, of 185 models with 8 threads; with polls one turn more. */
  ratio: 1.05,
  /** Of a stack with wake-ups: the tail, and the lag of consumers at their begin and end. Milliseconds. */
  wakeTailMs: 2000,
  wakeLagMs: 1000,
  /** Beyond the poll interval, in milliseconds. */
  tailBeyondIntervalMs: 2000,
  /** CPU milliseconds a vertex, beside what the runner uses before dbt is started. */
  runnerMsPerVertex: 8,
  runnerRssBytes: 120 * 2 ** 20,
  writesPerNode: 5,
  writesPerTest: 2,
  /** For 185 nodes and a build of 330 s. */
  orchestrationDollars: 0.015,
  /** For 1,000 nodes in 30 minutes, 40 % of the models with a relationships test. */
  orchestrationDollarsOfThousand: 0.1,
  /** With one flaky root under ten levels: time to green beyond a run without a failure. */
  flakyTaskStarts: 2,
} as const;

/**
 * The peer (Cosmos' watcher mode under Airflow), measured on two cores with the same generator: pg_sleep models,
 * layered, 8 threads. By number of models.
 */
export const PEER: Readonly<
  Record<number, { plainMs: number; wallMs: number; tailMs: number; lagP95Ms?: number; cpuTimesDbt?: number }>
> = {
  50: { plainMs: 13_000, wallMs: 28_000, tailMs: 16_000 },
  185: { plainMs: 31_000, wallMs: 79_000, tailMs: 44_000, lagP95Ms: 48_000, cpuTimesDbt: 7.7 },
};

/** Of the peer with a flaky model early in 20 nodes. */
export const PEER_FLAKY = "red in 3 of 3 runs, its retries burned";
