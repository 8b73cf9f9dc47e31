import type { QuietNotice } from "#core/contracts/ledger.ts";
import type { BuildLog } from "#core/dbt/build-log.ts";
import { NAMED, quietAfterMs } from "#core/run/watching/quiet.ts";

/** The watch looks twenty times within the time that it waits for, and at least each ten seconds; milliseconds. */
const LOOKS = 20;
const LOOK_AT_MOST_MS = 10_000;

/** A look that comes so many looks late tells of a supervisor that stood still: what dbt said meanwhile is unread. */
const LATE_LOOKS = 3;

export interface SilenceWatchOptions {
  readonly stuckAfterMinutes: number;
  /** The longest silence of the project's builds that went on. Milliseconds. */
  readonly longestMs: number;
  readonly interrupts: boolean;
  readonly log: Pick<BuildLog, "vertices">;
  readonly onQuiet: (notice: QuietNotice) => void;
}

/**
 * Watches a dbt for lines (behaviour A25). A silence is told once, and in a later one only if something runs that was not
 * named before. Measured by a clock that nobody sets.
 */
export class SilenceWatch {
  readonly #options: SilenceWatchOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #lookMs: number;
  readonly #named = new Set<string>();
  #heardMs = performance.now();
  #lookedMs = performance.now();
  #longestMs = 0;
  #isTold = false;

  constructor(options: SilenceWatchOptions) {
    this.#options = options;
    this.#lookMs = Math.min(LOOK_AT_MOST_MS, quietAfterMs(options.stuckAfterMinutes, 0) / LOOKS);
    this.#timer = setInterval(() => this.#look(), this.#lookMs);
  }

  /** The longest silence that dbt has broken. Milliseconds. */
  get longestMs(): number {
    return this.#longestMs;
  }

  /** dbt has printed something. */
  heard(): void {
    const nowMs = performance.now();
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#heardMs);
    this.#heardMs = nowMs;
    this.#isTold = false;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = performance.now();
    const stoodStillMs = nowMs - this.#lookedMs;
    this.#lookedMs = nowMs;
    if (stoodStillMs > this.#lookMs * LATE_LOOKS) this.#heardMs += stoodStillMs;
    const { stuckAfterMinutes, longestMs, interrupts, onQuiet } = this.#options;
    const silentMs = nowMs - this.#heardMs;
    if (this.#isTold || silentMs < quietAfterMs(stuckAfterMinutes, Math.max(longestMs, this.#longestMs))) return;
    this.#isTold = true;
    const running = this.#running();
    const keys = running.length === 0 ? [""] : running.map(({ uniqueId }) => uniqueId);
    if (!interrupts && keys.every((key) => this.#named.has(key))) return;
    for (const key of keys) this.#named.add(key);
    const noticedAtMs = Date.now();
    const [named, count] = [running.slice(0, NAMED), running.length];
    onQuiet({
      sinceMs: Math.round(noticedAtMs - silentMs),
      noticedAtMs,
      running: named,
      count,
      interrupted: interrupts,
    });
  }

  /** What dbt has begun and not ended, the longest first. */
  #running(): QuietNotice["running"] {
    return [...this.#options.log.vertices.values()]
      .filter((vertex) => vertex.evidence && vertex.class === null)
      .sort((a, b) => (a.startedAtMs ?? 0) - (b.startedAtMs ?? 0))
      .map(({ uniqueId, startedAtMs }) => ({ uniqueId, ...(startedAtMs === null ? {} : { startedAtMs }) }));
  }
}
