import { write } from "node:fs";

/** Text that may wait for a slow reader of our stdout; beyond it lines are dropped and counted, the build goes on. */
const MAX_WAITING_CHARACTERS = 16 * 1024 * 1024;

/** CloudWatch refuses an event above 256 KiB; what dbt prints beyond this is in its own log file among the artefacts. */
const MAX_PRINTED_CHARACTERS = 200_000;

/** Lines of so many milliseconds are written at once: dbt prints them one by one, and a write costs what a line's reading does. */
const GATHER_MS = 50;
const GATHER_CHARACTERS = 256 * 1024;

/** Wait before writing again to a pipe that is full and does not block, in milliseconds. */
const PIPE_FULL_WAIT_MS = 10;

type Write = (fd: number, bytes: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void) => void;

/**
 * The container's stdout: dbt's lines as they are and our own as `{"stepwatch": {…}}`. Written apart from the event
 * loop, several lines at a time, since a log driver that blocks must not hold back statuses and heartbeats.
 */
export class LogOutput {
  readonly #fd: number;
  readonly #write: Write;
  #waiting: string[] = [];
  #waitingCharacters = 0;
  #dropped = 0;
  #broken = false;
  #writing: Promise<void> | null = null;
  #gathering: NodeJS.Timeout | null = null;
  #mask = (text: string): string => text;
  #subject: Record<string, unknown> = {};

  constructor(fd = 1, writeBytes: Write = (to, bytes, done) => write(to, bytes, done)) {
    this.#fd = fd;
    this.#write = writeBytes;
  }

  /** From now on everything goes through this (behaviour A22). */
  maskWith(mask: (text: string) => string): void {
    this.#mask = mask;
  }

  /** From now on every message of our own says this of the task: queries of the logs find it by that. */
  isAbout(subject: { readonly project: string; readonly runId: string; readonly task: number }): void {
    this.#subject = { ...subject };
  }

  /** The text as it may be kept: without the secrets that dbt does not mask itself. */
  masked(text: string): string {
    return this.#mask(text);
  }

  /** One line, without its newline. Long ones are cut. */
  line(unmasked: string): void {
    const text = this.#mask(unmasked);
    if (this.#broken) return;
    if (this.#waitingCharacters > MAX_WAITING_CHARACTERS) {
      this.#dropped += 1;
      return;
    }
    const printed = text.length > MAX_PRINTED_CHARACTERS ? cut(text) : text;
    this.#waiting.push(printed);
    this.#waitingCharacters += printed.length;
    if (this.#waitingCharacters > GATHER_CHARACTERS) this.#writeWaiting();
    else if (this.#writing === null) this.#gathering ??= setTimeout(() => this.#writeWaiting(), GATHER_MS);
  }

  /** A message of our own. `event` is a few words that a metric filter can rely on. */
  say(event: string, facts: Record<string, unknown> = {}): void {
    this.line(JSON.stringify({ stepwatch: { event, at: new Date().toISOString(), ...facts, ...this.#subject } }));
  }

  /** Resolves when everything so far is written. */
  async flush(): Promise<void> {
    this.#writeWaiting();
    while (this.#writing) await this.#writing;
  }

  #writeWaiting(): void {
    if (this.#gathering) clearTimeout(this.#gathering);
    this.#gathering = null;
    if (this.#waiting.length > 0) this.#writing ??= this.#drain();
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#broken) {
      const text = `${this.#waiting.join("\n")}\n${this.#droppedNotice()}`;
      this.#waiting = [];
      this.#waitingCharacters = 0;
      await this.#writeAll(text);
    }
    this.#writing = null;
  }

  #droppedNotice(): string {
    if (this.#dropped === 0) return "";
    const notice = {
      stepwatch: { event: "log lines dropped", lines: this.#dropped, why: "stdout was read too slowly" },
    };
    this.#dropped = 0;
    return `${JSON.stringify(notice)}\n`;
  }

  async #writeAll(text: string): Promise<void> {
    let rest = Buffer.from(text);
    while (rest.length > 0 && !this.#broken) {
      const { error, written } = await this.#writeOnce(rest);
      if (error?.code === "EAGAIN") await new Promise((resolve) => setTimeout(resolve, PIPE_FULL_WAIT_MS));
      else if (error) this.#broken = true;
      else rest = rest.subarray(written);
    }
  }

  #writeOnce(bytes: Buffer): Promise<{ error: NodeJS.ErrnoException | null; written: number }> {
    return new Promise((resolve) => this.#write(this.#fd, bytes, (error, written) => resolve({ error, written })));
  }
}

function cut(text: string): string {
  const rest = text.length - MAX_PRINTED_CHARACTERS;
  return `${text.slice(0, MAX_PRINTED_CHARACTERS)}… (${rest} characters cut; dbt.log among the artefacts has them)`;
}
