import { ServiceUnavailable } from "#core/errors.ts";
import type { Random } from "./simulated-random.ts";

/** A function or container died in the middle of its work: none of its own code may catch it. */
export class Crash extends Error {
  override readonly name = "Crash";
}

interface Sleeper {
  dueAtMs: number;
  readonly wake: () => void;
}

/** More steps than any scenario needs; beyond them something hangs. */
const MOST_STEPS = 60_000;

/**
 * Lets many actors take turns, one call at a time, in an order that the seed decides. Time is theirs alone: it moves a
 * little with each turn, and to the next one that is due when all of them sleep.
 */
export class Schedule {
  nowMs = 1_700_000_000_000;
  readonly #random: Random;
  readonly #sleepers: Sleeper[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  readonly pause = (forMs: number): Promise<void> =>
    new Promise((resolve) => this.#sleepers.push({ dueAtMs: this.nowMs + forMs, wake: resolve }));

  /** A pause that another actor can end. */
  alarm(forMs: number): { readonly over: Promise<void>; readonly ring: () => void } {
    const over = this.pause(forMs);
    const sleeper = this.#sleepers.at(-1)!;
    return { over, ring: () => void Object.assign(sleeper, { dueAtMs: this.nowMs }) };
  }

  /** Until nobody sleeps any more. */
  async run(): Promise<void> {
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#sleepers.length === 0) return;
      const due = this.#sleepers.filter((sleeper) => sleeper.dueAtMs <= this.nowMs);
      if (due.length === 0) this.nowMs = Math.min(...this.#sleepers.map((sleeper) => sleeper.dueAtMs));
      else this.#wake(this.#random.pick(due));
    }
    throw new Error(`The scenario did not end within ${MOST_STEPS} steps.`);
  }

  #wake(sleeper: Sleeper): void {
    this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
    this.nowMs += this.#random.below(50);
    sleeper.wake();
  }
}

/** How calls of one kind of actor go wrong. */
export interface Faults {
  /** Share of calls at which the caller dies, half of them after the call took effect. */
  readonly crashes: number;
  /** Share of calls that are refused for a moment, half of them after they took effect. */
  readonly refusals: number;
  /** The writing call of this number (from 1, over all callers) at which the caller dies. */
  readonly crashAt?: { readonly write: number; readonly after: boolean };
}

export const NO_FAULTS: Faults = { crashes: 0, refusals: 0 };

const READING = /^(read|get|list|describe)/;

/** Counts calls over all callers of one kind, for {@link Faults.crashAt}. */
export interface CallCount {
  calls: number;
  /** Calls that change something: dying anywhere between two of them comes to the same. */
  writes: number;
  crashed: number;
}

/**
 * The same object, each of whose calls takes a turn of the schedule and may go wrong. A caller that has died makes no
 * further call.
 */
export function faulty<T extends object>(
  target: T,
  schedule: Schedule,
  random: Random,
  faults: Faults,
  count: CallCount,
  caller: { dead: boolean },
): T {
  const call = async (name: string, act: () => Promise<unknown>) => {
    await schedule.pause(0);
    if (caller.dead) throw new Crash(`Dead before ${name}.`);
    count.calls += 1;
    const writes = !READING.test(name);
    if (writes) count.writes += 1;
    const chosen = writes && faults.crashAt?.write === count.writes;
    const dies = chosen || random.chance(faults.crashes);
    const refused = random.chance(faults.refusals);
    const after = chosen ? faults.crashAt!.after : random.chance(0.5);
    const answer = (dies || refused) && !after ? undefined : await act();
    if (dies) {
      caller.dead = true;
      count.crashed += 1;
      throw new Crash(`Died ${after ? "after" : "before"} ${name}.`);
    }
    if (refused) throw new ServiceUnavailable(`${name} was refused ${after ? "after" : "before"} it took effect.`);
    return answer;
  };
  return new Proxy(target, {
    get(from, name) {
      const value = Reflect.get(from, name, from) as unknown;
      if (typeof value !== "function") return value;
      return (...given: unknown[]) => call(String(name), () => Reflect.apply(value, from, given) as Promise<unknown>);
    },
  });
}
