import type { AwsJson } from "./aws-json.ts";
import { EmulatorCallError } from "./aws-json.ts";

/** How long lines are collected before they are sent; a person who follows a log does not notice it. */
const FLUSH_AFTER_MS = 200;
/** PutLogEvents takes 10,000 events and 1 MB a call, each event counting 26 bytes more than its text. */
const MAX_EVENTS_PER_CALL = 5_000;
const MAX_BYTES_PER_CALL = 1_000_000;
const EVENT_OVERHEAD_BYTES = 26;
const MAX_MESSAGE_BYTES = 250_000;
/** While the emulator does not take them, lines wait here; beyond this the oldest are dropped. */
const MAX_WAITING_EVENTS = 50_000;
const ATTEMPTS = 3;

interface LogEvent {
  readonly timestamp: number;
  readonly message: string;
}

interface Stream {
  readonly group: string;
  readonly name: string;
  waiting: LogEvent[];
  timer: NodeJS.Timeout | undefined;
  sending: Promise<void>;
  known: boolean;
}

/** Sends lines to CloudWatch Logs of the emulator in batches. A line that can not be delivered is lost, never waited for. */
export class LogShipper {
  readonly #aws: AwsJson;
  readonly #streams = new Map<string, Stream>();

  constructor(aws: AwsJson) {
    this.#aws = aws;
  }

  write(group: string, stream: string, message: string, timestampMs = Date.now()): void {
    const target = this.#streamOf(group, stream);
    target.waiting.push({ timestamp: timestampMs, message: shortened(message) });
    if (target.waiting.length > MAX_WAITING_EVENTS) target.waiting.shift();
    target.timer ??= setTimeout(() => this.#send(target), FLUSH_AFTER_MS);
  }

  /** Resolves when everything written so far to the stream has been sent, or given up. */
  async flush(group: string, stream: string): Promise<void> {
    const target = this.#streams.get(keyOf(group, stream));
    if (target !== undefined) await this.#send(target);
  }

  async flushAll(): Promise<void> {
    await Promise.all([...this.#streams.values()].map((stream) => this.#send(stream)));
  }

  /** Forgets a stream that gets no more lines. */
  async close(group: string, stream: string): Promise<void> {
    await this.flush(group, stream);
    this.#streams.delete(keyOf(group, stream));
  }

  #streamOf(group: string, name: string): Stream {
    const key = keyOf(group, name);
    const existing = this.#streams.get(key);
    if (existing !== undefined) return existing;
    const stream: Stream = { group, name, waiting: [], timer: undefined, sending: Promise.resolve(), known: false };
    this.#streams.set(key, stream);
    return stream;
  }

  #send(stream: Stream): Promise<void> {
    clearTimeout(stream.timer);
    stream.timer = undefined;
    stream.sending = stream.sending.then(async () => {
      while (stream.waiting.length > 0) await this.#put(stream, nextBatch(stream));
    });
    return stream.sending;
  }

  async #put(stream: Stream, logEvents: LogEvent[]): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      try {
        if (!stream.known) await this.#create(stream);
        stream.known = true;
        await this.#aws.call("logs", "PutLogEvents", {
          logGroupName: stream.group,
          logStreamName: stream.name,
          logEvents,
        });
        return;
      } catch {
        // After a reset of the emulator the stream is gone: the next attempt makes it again.
        stream.known = false;
        await new Promise((resolve) => setTimeout(resolve, 100 * attempt));
      }
    }
  }

  async #create(stream: Stream): Promise<void> {
    await this.#unlessItExists("CreateLogGroup", { logGroupName: stream.group });
    await this.#unlessItExists("CreateLogStream", { logGroupName: stream.group, logStreamName: stream.name });
  }

  async #unlessItExists(action: string, input: object): Promise<void> {
    try {
      await this.#aws.call("logs", action, input);
    } catch (error) {
      if (!(error instanceof EmulatorCallError && error.code === "ResourceAlreadyExistsException")) throw error;
    }
  }
}

function keyOf(group: string, stream: string): string {
  return `${group}\n${stream}`;
}

function nextBatch(stream: Stream): LogEvent[] {
  let bytes = 0;
  let count = 0;
  for (const event of stream.waiting) {
    bytes += Buffer.byteLength(event.message) + EVENT_OVERHEAD_BYTES;
    if (count >= MAX_EVENTS_PER_CALL || (count > 0 && bytes > MAX_BYTES_PER_CALL)) break;
    count += 1;
  }
  return stream.waiting.splice(0, count);
}

function shortened(message: string): string {
  return Buffer.byteLength(message) <= MAX_MESSAGE_BYTES
    ? message
    : Buffer.from(message).subarray(0, MAX_MESSAGE_BYTES).toString();
}
