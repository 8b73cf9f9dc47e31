import { cutPainted, type Terminal } from "./style.ts";

/**
 * The lower part of a terminal, redrawn in place. Lines are cut to the terminal's columns and rows: one that wraps takes
 * two rows, and the cursor can not be moved up beyond the first line of the screen.
 */
export class LiveRegion {
  readonly #terminal: Terminal;
  #lines: readonly string[] = [];

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Replaces what the region shows. */
  draw(lines: readonly string[]): void {
    const fitting = this.#fitting(lines);
    this.#terminal.write(`${this.#toStart()}${fitting.map((line) => `${line}\u001b[K\n`).join("")}\u001b[J`);
    this.#lines = fitting;
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

  /** The last column stays free, since some terminals wrap when it is written; so does the row of the cursor. */
  #fitting(lines: readonly string[]): string[] {
    const { columns, rows } = this.#terminal;
    const shown = rows ? lines.slice(-Math.max(1, rows - 1)) : lines;
    return shown.map((line) => (columns ? cutPainted(line, columns - 1) : line));
  }

  #toStart(): string {
    return this.#lines.length === 0 ? "" : `\u001b[${this.#lines.length}A\r`;
  }
}
