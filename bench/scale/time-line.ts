/** Something that happens at a moment of a virtual clock. */
interface Moment {
  readonly atMs: number;
  readonly order: number;
  readonly act: () => unknown;
}

/** A virtual clock: what is to happen, in the order of time. One thing happens at once, so that a seed is not needed. */
export class TimeLine {
  nowMs: number;
  readonly #heap: Moment[] = [];
  #order = 0;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  at(atMs: number, act: Moment["act"]): void {
    this.#push({ atMs: Math.max(atMs, this.nowMs), order: this.#order++, act });
  }

  in(ms: number, act: Moment["act"]): void {
    this.at(this.nowMs + ms, act);
  }

  /** Until nothing is left to happen. */
  async run(): Promise<void> {
    for (let next = this.#pop(); next !== undefined; next = this.#pop()) {
      this.nowMs = next.atMs;
      await next.act();
    }
  }

  #push(moment: Moment): void {
    const heap = this.#heap;
    let at = heap.push(moment) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!isBefore(heap[at]!, heap[up]!)) return;
      [heap[at], heap[up]] = [heap[up]!, heap[at]!];
      at = up;
    }
  }

  #pop(): Moment | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || heap.length === 0 || last === undefined) return first;
    heap[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < heap.length && isBefore(heap[left]!, heap[least]!)) least = left;
      if (right < heap.length && isBefore(heap[right]!, heap[least]!)) least = right;
      if (least === at) return first;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}

const isBefore = (a: Moment, b: Moment): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
