/** What docs/design.md promises under "Numbers to hold", as far as a benchmark on one machine can show it. */
export const GOALS = {
  /** Wall clock against plain dbt, with polls alone: this ratio and one poll interval. */
  ratio: 1.05,
  /** Beyond the poll interval, in milliseconds. */
  tailBeyondIntervalMs: 2000,
  runnerCpuShare: 0.03,
  runnerRssBytes: 120 * 2 ** 20,
  writesPerNode: 5,
  writesPerTest: 2,
  /** For 185 nodes and a build of 330 s. */
  orchestrationDollars: 0.03,
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
