import { type FileHandle, open, stat } from "node:fs/promises";
import { LineSplitter } from "./line-splitter.ts";

/** How often the file is looked at, in milliseconds: a failure's retry waits for seconds in any case. */
const LOOK_MS = 500;

/** Bytes of one read. */
const CHUNK_BYTES = 256 * 1024;

/** dbt-core's events that tell why a vertex failed, at level debug. Found in the line before it is parsed: it is one of thousands. */
const TELLS_WHY = /"name": ?"(?:Catchable|Generic|Internal)\w*OnRun"/;

/**
 * Follows dbt 1's own log file for what its standard output says only when the build ends: why a vertex failed
 * (`recovery: early` decides by that). dbt renames the file when it is large and begins a new one: the old one is read to
 * its end first. A file that can not be read tells nothing, and then nothing is recovered early.
 */
export class ErrorTail {
  readonly #path: string;
  readonly #lines: LineSplitter;
  readonly #timer: NodeJS.Timeout;
  #file: FileHandle | null = null;
  #reading: Promise<void> = Promise.resolve();

  constructor(path: string, onLine: (line: string) => void) {
    this.#path = path;
    this.#lines = new LineSplitter((line, droppedBytes) => {
      if (droppedBytes === 0 && TELLS_WHY.test(line)) onLine(line);
    });
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Reads what is left, once dbt has ended. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#look();
    await this.#reading;
    await this.#file?.close();
    this.#file = null;
  }

  #look(): void {
    this.#reading = this.#reading.then(() => this.#readOn()).catch(() => undefined);
  }

  async #readOn(): Promise<void> {
    // The task's folder is its own: a renamed file that is there before ours was opened is this dbt's too.
    this.#file ??= await open(`${this.#path}.1`, "r").catch(() => open(this.#path, "r"));
    const isRotated = await this.#isRotated();
    await this.#readToEnd();
    if (!isRotated) return;
    await this.#file.close();
    this.#file = await open(this.#path, "r");
    await this.#readToEnd();
  }

  /** Asked before the last read: what dbt wrote into the old file until then is read by it. */
  async #isRotated(): Promise<boolean> {
    const [ours, named] = await Promise.all([this.#file!.stat(), stat(this.#path)]);
    return ours.ino !== named.ino;
  }

  async #readToEnd(): Promise<void> {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await this.#file!.read(buffer, 0, CHUNK_BYTES);
      if (bytesRead === 0) return;
      this.#lines.push(Buffer.from(buffer.subarray(0, bytesRead)));
    }
  }
}
