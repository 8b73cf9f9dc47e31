interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
}

/**
 * Time for tests: it moves only when {@link VirtualClock.advance} says so, from timer to timer, and everything that a
 * timer set off comes to rest before the next one. Code under test must do no real I/O.
 */
export class VirtualClock {
  #nowMs: number;
  #order = 0;
  readonly #timers = new Set<Timer>();

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  readonly nowMs = (): number => this.#nowMs;

  /** Calls `action` when the time has come; timers of one moment go off in the order in which they were set. */
  after(delayMs: number, action: () => void): { cancel(): void } {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, action };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  readonly sleep = (delayMs: number): Promise<void> => new Promise((resolve) => void this.after(delayMs, resolve));

  /** Lets time pass, at most `forMs`; stops early when `until` holds. True if it held. */
  async advance(forMs: number, until: () => boolean = () => false): Promise<boolean> {
    const endMs = this.#nowMs + forMs;
    await rest();
    while (!until()) {
      const next = this.#next();
      if (next === undefined || next.atMs > endMs) {
        this.#nowMs = endMs;
        return until();
      }
      this.#timers.delete(next);
      this.#nowMs = next.atMs;
      next.action();
      await rest();
    }
    return true;
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (first === undefined || timer.atMs < first.atMs || (timer.atMs === first.atMs && timer.order < first.order))
        first = timer;
    }
    return first;
  }
}

/** Promises that need nothing but each other are done when the event loop comes round. */
const rest = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
