import type { FunctionName } from "../../infra/deployed-names.ts";
import { FUNCTION_SIZES } from "../../infra/function-sizes.ts";
import { billedSeconds, type CountedCalls } from "../lambda-time.ts";
import type { TimeLine } from "./time-line.ts";

/** What one function was called for in a run. */
export interface FunctionUse {
  invocations: number;
  /** Calls of AWS services, one after the other. */
  serviceCalls: number;
  readBytes: number;
  seconds: number;
  /** The longest single call, in seconds. */
  longest: number;
  /** Calls that Lambda refused for want of a place, each of which the machine repeated. */
  throttled: number;
}

/** The machine's wait before it repeats a refused call: doubling from 2 s to 60 s, half of it on average (jitter). */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;

export type Counted = Pick<CountedCalls, "serviceCalls" | "readBytes"> & {
  /** For so long it only waited, and was paid for it. Milliseconds. */
  readonly pausedMs: number;
};
type Counting = { -readonly [K in keyof Counted]: Counted[K] };

/** Lambda under a virtual clock: a call takes as long as what it did would, and an account has so many places. */
export class ModelLambda {
  readonly uses = new Map<string, FunctionUse>();
  readonly #time: TimeLine;
  readonly #places: number;
  /** When each call that goes on ends. */
  #ends: number[] = [];
  mostAtOnce = 0;

  constructor(time: TimeLine, places: number) {
    this.#time = time;
    this.#places = places;
  }

  useOf(name: string): FunctionUse {
    const known = this.uses.get(name) ?? noUse();
    this.uses.set(name, known);
    return known;
  }

  /** Calls a function now, or, where no place is free, as often as it takes; `then` follows when it would have ended. */
  call<T>(
    name: FunctionName,
    work: (counted: Counting) => Promise<T>,
    then: (answer: T) => unknown,
    onRetry: () => void,
    attempt = 0,
  ): Promise<void> | void {
    const { nowMs } = this.#time;
    const use = this.useOf(name);
    this.#ends = this.#ends.filter((endsAtMs) => endsAtMs > nowMs);
    if (this.#ends.length < this.#places) return this.#run(name, use, work, then);
    use.throttled += 1;
    onRetry();
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
    this.#time.in(waitMs, () => this.call(name, work, then, onRetry, attempt + 1));
  }

  async #run<T>(
    name: FunctionName,
    use: FunctionUse,
    work: (counted: Counting) => Promise<T>,
    then: (answer: T) => unknown,
  ): Promise<void> {
    const counted = { serviceCalls: 0, readBytes: 0, pausedMs: 0 };
    const answer = await work(counted);
    const { pausedMs, ...calls } = counted;
    const { memoryMiB } = FUNCTION_SIZES[name];
    // Lambda bills whole milliseconds.
    const seconds = Math.ceil(billedSeconds({ count: 1, memoryMiB, ...calls }) * 1000 + pausedMs) / 1000;
    use.invocations += 1;
    use.serviceCalls += counted.serviceCalls;
    use.readBytes += counted.readBytes;
    use.seconds += seconds;
    use.longest = Math.max(use.longest, seconds);
    this.#ends.push(this.#time.nowMs + seconds * 1000);
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#ends.length);
    this.#time.in(seconds * 1000, () => then(answer));
  }
}

const noUse = (): FunctionUse => ({
  invocations: 0,
  serviceCalls: 0,
  readBytes: 0,
  seconds: 0,
  longest: 0,
  throttled: 0,
});
