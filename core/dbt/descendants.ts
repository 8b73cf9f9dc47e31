import { parentsFirst } from "#core/run/planning/parents-first.ts";

/**
 * What lies below each vertex, as one bit for each pair: 10,000 vertices are 12.5 MB and some milliseconds, where a set for
 * each of them held 45 million ids. Vertices of a cycle, which dbt refuses, have nothing below them.
 */
export class Descendants {
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #children = new Map<string, string[]>();
  readonly #words: number;
  readonly #bits: Uint32Array;

  constructor(parentsOf: ReadonlyMap<string, readonly string[]>) {
    const ids = [...parentsOf.keys()];
    this.#numbers = new Map(ids.map((id, number) => [id, number]));
    this.#words = Math.ceil(ids.length / 32);
    this.#bits = new Uint32Array(ids.length * this.#words);
    for (const [id, parents] of parentsOf)
      for (const parent of parents) {
        const known = this.#children.get(parent);
        if (known) known.push(id);
        else this.#children.set(parent, [id]);
      }
    for (const id of parentsFirst(parentsOf).reverse()) for (const child of this.childrenOf(id)) this.#take(id, child);
  }

  childrenOf(id: string): readonly string[] {
    return this.#children.get(id) ?? [];
  }

  /** Whether `id` lies below `above`, at whatever depth. */
  isBelow(id: string, above: string): boolean {
    const at = this.#numbers.get(id);
    const row = this.#numbers.get(above);
    if (at === undefined || row === undefined) return false;
    return ((this.#bits[row * this.#words + (at >>> 5)] ?? 0) & (1 << (at & 31))) !== 0;
  }

  /** A child and all below it lie below its parent. */
  #take(parent: string, child: string): void {
    const at = this.#numbers.get(child)!;
    const to = (this.#numbers.get(parent) ?? 0) * this.#words;
    const from = at * this.#words;
    const bits = this.#bits;
    for (let word = 0; word < this.#words; word += 1) bits[to + word]! |= bits[from + word]!;
    bits[to + (at >>> 5)]! |= 1 << (at & 31);
  }
}
