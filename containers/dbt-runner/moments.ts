import type { BuildMoments, Moment, RunnerUsage } from "#core/contracts/moments.ts";

/** When this container came to what, and what it used; told with the end of its build. */
export class Moments {
  readonly #at: BuildMoments = {};
  #startCpuMs = 0;

  /** Now, unless it was before. */
  first(moment: Moment, atMs: number = Date.now()): void {
    if (moment === "dbtStartedAtMs" && this.#at[moment] === undefined) this.#startCpuMs = cpuMs();
    this.#at[moment] ??= Math.round(atMs);
  }

  /** Now, whenever it was before. */
  last(moment: Moment): void {
    this.#at[moment] = Date.now();
  }

  get told(): BuildMoments {
    return { ...this.#at };
  }

  /** What this process has used so far. */
  get usage(): RunnerUsage {
    const { maxRSS } = process.resourceUsage();
    return { startCpuMs: this.#startCpuMs, cpuMs: cpuMs(), peakRssBytes: maxRSS * 1024 };
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return Math.round((user + system) / 1000);
}
