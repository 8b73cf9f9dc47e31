import type { Terminal } from "./style.ts";

/**
 * The lower part of a terminal, redrawn in place. Lines must not be wider than the terminal, and not more than its
 * rows: the cursor can not be moved up beyond the first line of the screen.
 */
export class LiveRegion {
  readonly #terminal: Terminal;
  #lines: readonly string[] = [];

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Replaces what the region shows. */
  draw(lines: readonly string[]): void {
    this.#terminal.write(`${this.#toStart()}${lines.map((line) => `${line}\u001b[K\n`).join("")}\u001b[J`);
    this.#lines = lines;
  }

  /** Prints lines above the region, where they stay. */
  print(lines: readonly string[]): void {
    const region = this.#lines;
    this.#terminal.write(`${this.#toStart()}${lines.map((line) => `${line}\u001b[K\n`).join("")}\u001b[J`);
    this.#lines = [];
    this.draw(region);
  }

  /** Leaves what is shown where it is: what is printed next goes below. */
  close(): void {
    this.#lines = [];
  }

  #toStart(): string {
    return this.#lines.length === 0 ? "" : `\u001b[${this.#lines.length}A\r`;
  }
}
