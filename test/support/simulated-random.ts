/** Numbers that look random and are the same for the same seed: a scenario is told by its seed alone. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** At least 0, less than 1. */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  /** Up to `most` of the choices, each at most once. */
  some<T>(choices: readonly T[], most: number): T[] {
    const left = [...choices];
    const chosen: T[] = [];
    for (let count = this.below(most + 1); count > 0 && left.length > 0; count--) {
      chosen.push(...left.splice(this.below(left.length), 1));
    }
    return chosen;
  }
}
