import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { isTerminal } from "#core/dbt/status.ts";
import { RetryableError } from "#core/errors.ts";
import { noLaterThan, retryWaitMs } from "./patience.ts";

/** Calls in flight at once: enough for some 800 writes a second at 10 ms each, few enough to spare sockets. */
const CONCURRENCY = 8;

/**
 * Milliseconds after which a word that could wait is as urgent as an end. Until then it gives way while the ledger is
 * behind: what waits becomes one write with the end that follows, and a vertex that goes on for long is still seen.
 */
const GIVES_WAY_MS = 5_000;

/** Ends in one call, as many as a batch of DynamoDB takes: a failed root skips thousands of vertices in one moment. */
const ENDS_AT_ONCE = 25;

/** How often a flush asks anew how much time it has, in milliseconds. */
const LOOK_AGAIN_MS = 500;

export interface StatusWriterOptions {
  /** Writes one word on a vertex. */
  readonly write: (write: VertexWrite) => Promise<void>;
  /** Writes words that end their vertices in one call, and answers those that were not taken; without it each goes alone. */
  readonly writeEnds?: (writes: readonly VertexWrite[]) => Promise<readonly string[]>;
  /** Holds back until `flush` whatever may wait (policy `backup: end`). */
  readonly hold: boolean;
  /** Told of each write that the ledger has taken. */
  readonly onWritten?: () => void;
  /** Told of each write that can never succeed. */
  readonly onLost: (write: VertexWrite, error: unknown) => void;
}

export interface StatusCounts {
  /** Writes that the ledger has taken: the task's sequence. */
  readonly written: number;
  /** Attempts that were repeated. */
  readonly repeated: number;
  /** Writes given up as defective. */
  readonly lost: number;
}

interface Slot {
  /** What is still to be written; null while nothing is, or all of it is in flight. */
  next: VertexWrite | null;
  dueAtMs: number;
  /** From then on it no longer gives way to others: at once for what must not wait. */
  urgentAtMs: number;
  inFlight: boolean;
  attempts: number;
  /** Is not held back. */
  evenHeld: boolean;
  /** A call with it and others was refused for good: whose fault that was is found out one by one. */
  alone: boolean;
}

type Waiting = readonly [uniqueId: string, slot: Slot];

/**
 * Brings statuses to the ledger without ever holding up the build: the newest word per vertex is kept in memory, words
 * that come close together become one write, ends of one moment become one call, writes of one vertex never overtake each
 * other, and a refused call is repeated with back-off for as long as the container lives. Memory: one slot per vertex with something unwritten.
 */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #slots = new Map<string, Slot>();
  readonly #counts = { written: 0, repeated: 0, lost: 0 };
  #inFlight = 0;
  #holding: boolean;
  #closed = false;
  #turnsSoon = false;
  #timer: NodeJS.Timeout | null = null;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #idle: (() => void)[] = [];

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#holding = options.hold;
  }

  get counts(): StatusCounts {
    return { ...this.#counts };
  }

  /** Vertices with something unwritten. */
  get waiting(): number {
    return this.#slots.size;
  }

  /**
   * Takes a word about a vertex; it is written `delayMs` from now at the latest, together with what came before.
   * `evenHeld`: also while others are held back.
   */
  put(write: VertexWrite, delayMs = 0, evenHeld = false): void {
    if (this.#closed) return;
    const dueAtMs = Date.now() + delayMs;
    const urgentAtMs = delayMs === 0 ? 0 : dueAtMs + GIVES_WAY_MS;
    const slot = this.#slots.get(write.uniqueId);
    if (!slot)
      this.#slots.set(write.uniqueId, {
        ...{ next: write, dueAtMs, urgentAtMs, evenHeld },
        ...{ inFlight: false, attempts: 0, alone: false },
      });
    else {
      slot.urgentAtMs = Math.min(slot.urgentAtMs, urgentAtMs);
      slot.dueAtMs =
        slot.next && slot.attempts === 0 ? Math.min(slot.dueAtMs, dueAtMs) : Math.max(slot.dueAtMs, dueAtMs);
      slot.next = merge(slot.next, write);
    }
    this.#turnSoon();
  }

  /** Writes all that is left, now. True: nothing is left; false: the time was over first. A stop may shorten the time. */
  async flush(untilMs: () => number): Promise<boolean> {
    this.#holding = false;
    for (const slot of this.#slots.values()) if (slot.attempts === 0) slot.dueAtMs = 0;
    this.#turn();
    let empty = this.#slots.size === 0;
    const idle = new Promise<true>((resolve) => this.#idle.push(() => resolve(true)));
    while (!empty && Date.now() < untilMs() && !this.#closed) {
      empty = (await noLaterThan(idle, Math.min(untilMs(), Date.now() + LOOK_AGAIN_MS))) ?? false;
    }
    return empty;
  }

  /** Drops what is left: the fence is lost, or the time is over. */
  close(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#slots.clear();
  }

  /** When all lines of the piece that dbt has printed just now are read. */
  #turnSoon(): void {
    if (this.#turnsSoon) return;
    this.#turnsSoon = true;
    queueMicrotask(() => {
      this.#turnsSoon = false;
      this.#turn();
    });
  }

  #turn(): void {
    if (this.#closed) return;
    const nowMs = Date.now();
    let nextDueMs = Number.POSITIVE_INFINITY;
    const urgent: Waiting[] = [];
    const givingWay: Waiting[] = [];
    if (this.#inFlight < CONCURRENCY)
      for (const [uniqueId, slot] of this.#slots) {
        if (slot.inFlight || !slot.next || (this.#holding && !slot.evenHeld)) continue;
        if (slot.dueAtMs > nowMs) nextDueMs = Math.min(nextDueMs, slot.dueAtMs);
        else (slot.urgentAtMs <= nowMs ? urgent : givingWay).push([uniqueId, slot]);
      }
    for (const call of [...this.#callsOf(urgent), ...this.#callsOf(givingWay)])
      if (this.#inFlight < CONCURRENCY) void this.#send(call);
    this.#wakeAt(nextDueMs);
  }

  /** Ends first, several at a time: others wait for them. */
  #callsOf(waiting: readonly Waiting[]): Waiting[][] {
    const [ends, others]: [Waiting[], Waiting[]] = [[], []];
    for (const one of waiting) (this.#mayGoWithOthers(one[1]) ? ends : others).push(one);
    const calls: Waiting[][] = [];
    for (let at = 0; at < ends.length; at += ENDS_AT_ONCE) calls.push(ends.slice(at, at + ENDS_AT_ONCE));
    return [...calls, ...others.map((one) => [one])];
  }

  #mayGoWithOthers({ next, alone }: Slot): boolean {
    return this.#options.writeEnds !== undefined && !alone && next !== null && isTerminal(next.status);
  }

  #wakeAt(dueMs: number): void {
    if (dueMs === Number.POSITIVE_INFINITY || (this.#timer && this.#timerAtMs <= dueMs)) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timerAtMs = dueMs;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#turn();
      },
      Math.max(0, dueMs - Date.now()),
    );
  }

  async #send(call: readonly Waiting[]): Promise<void> {
    const sent = call.map(([uniqueId, slot]) => ({ uniqueId, slot, write: slot.next! }));
    for (const { slot } of sent) {
      slot.next = null;
      slot.inFlight = true;
    }
    this.#inFlight += 1;
    try {
      const left = await this.#write(sent.map(({ write }) => write));
      for (const one of sent) {
        if (left.has(one.uniqueId)) this.#repeat(one.slot, one.write);
        else this.#taken(one.slot);
      }
    } catch (error) {
      for (const { slot, write } of sent) this.#failed(slot, write, error, sent.length === 1);
    }
    this.#inFlight -= 1;
    for (const { uniqueId, slot } of sent) {
      slot.inFlight = false;
      if (!slot.next && this.#slots.get(uniqueId) === slot) this.#slots.delete(uniqueId);
    }
    this.#turn();
    if (this.#slots.size === 0) for (const done of this.#idle.splice(0)) done();
  }

  /** Answers the vertices whose words were not taken. */
  async #write(writes: readonly VertexWrite[]): Promise<ReadonlySet<string>> {
    const { write, writeEnds } = this.#options;
    const [only] = writes;
    if (writes.length > 1 && writeEnds !== undefined) return new Set(await writeEnds(writes));
    if (only !== undefined) await write(only);
    return new Set();
  }

  #taken(slot: Slot): void {
    this.#counts.written += 1;
    slot.attempts = 0;
    this.#options.onWritten?.();
  }

  #failed(slot: Slot, write: VertexWrite, error: unknown, isAlone: boolean): void {
    if (error instanceof RetryableError) this.#repeat(slot, write);
    else if (isAlone) {
      this.#counts.lost += 1;
      this.#options.onLost(write, error);
    } else {
      slot.alone = true;
      slot.next = slot.next ? merge(write, slot.next) : write;
    }
  }

  #repeat(slot: Slot, write: VertexWrite): void {
    this.#counts.repeated += 1;
    slot.next = slot.next ? merge(write, slot.next) : write;
    slot.dueAtMs = Date.now() + retryWaitMs(slot.attempts);
    slot.attempts += 1;
  }
}

/** The newer word wins, field by field: what it does not say stays as the older one had it. */
function merge(older: VertexWrite | null, newer: VertexWrite): VertexWrite {
  if (!older) return newer;
  const said = Object.fromEntries(Object.entries(newer).filter(([, value]) => value !== undefined));
  return { ...older, ...said } as VertexWrite;
}
