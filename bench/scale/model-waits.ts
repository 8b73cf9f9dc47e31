import type { TimeLine } from "./time-line.ts";

/** How a wait on a task token ended. */
export type WaitEnd =
  | { readonly how: "timeout" }
  | { readonly how: "failed"; readonly name: string }
  | { readonly how: "succeeded"; readonly output: unknown };

/** From an answer to the state's next step. Milliseconds. */
const ANSWERED_MS = 50;

/** Waits on task tokens under a virtual clock: each ends once, by an answer or by its time. */
export class ModelWaits {
  readonly #time: TimeLine;
  readonly #open = new Map<string, (end: WaitEnd) => unknown>();

  constructor(time: TimeLine) {
    this.#time = time;
  }

  open(token: string, seconds: number, then: (end: WaitEnd) => unknown): void {
    this.#open.set(token, then);
    this.#time.in(seconds * 1000, () => {
      const end = this.#take(token);
      return end?.({ how: "timeout" });
    });
  }

  /** False: the wait is over already. */
  end(token: string, by: WaitEnd): boolean {
    const end = this.#take(token);
    if (end !== undefined) this.#time.in(ANSWERED_MS, () => end(by));
    return end !== undefined;
  }

  #take(token: string): ((end: WaitEnd) => unknown) | undefined {
    const end = this.#open.get(token);
    this.#open.delete(token);
    return end;
  }
}
