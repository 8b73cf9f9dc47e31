/**
 * Longest line that is kept whole, in bytes. dbt's longest lines at debug level hold a list of all nodes (81 kB with
 * 200 nodes), so 16 MiB serve some 40,000 nodes; beyond it the rest of the line is dropped, so that a dbt that prints
 * without an end can not fill the container's memory.
 */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

const NEWLINE = 0x0a;

/**
 * Cuts a stream of bytes into lines. Invalid UTF-8 becomes U+FFFD; a half line at the end of the stream is a line.
 * Holds at most {@link MAX_LINE_BYTES} and one chunk.
 */
export class LineSplitter {
  readonly #onLine: (line: string, droppedBytes: number) => void;
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #heldBytes = 0;
  #droppedBytes = 0;

  constructor(onLine: (line: string, droppedBytes: number) => void, maxBytes: number = MAX_LINE_BYTES) {
    this.#onLine = onLine;
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      if (this.#heldBytes === 0 && this.#droppedBytes === 0 && end - start <= this.#maxBytes) {
        this.#onLine(chunk.toString("utf8", start, end), 0);
      } else {
        this.#hold(chunk.subarray(start, end));
        this.#release();
      }
      start = end + 1;
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start));
  }

  /** The stream is over: what is held is the last line. */
  end(): void {
    if (this.#heldBytes > 0 || this.#droppedBytes > 0) this.#release();
  }

  #hold(part: Buffer): void {
    const kept = part.subarray(0, Math.max(0, this.#maxBytes - this.#heldBytes));
    if (kept.length > 0) this.#parts.push(kept);
    this.#heldBytes += kept.length;
    this.#droppedBytes += part.length - kept.length;
  }

  #release(): void {
    const line = Buffer.concat(this.#parts, this.#heldBytes).toString("utf8");
    const dropped = this.#droppedBytes;
    this.#parts = [];
    this.#heldBytes = 0;
    this.#droppedBytes = 0;
    this.#onLine(line, dropped);
  }
}
