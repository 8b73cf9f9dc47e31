import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { RetryableError } from "#core/errors.ts";
import { noLaterThan, retryWaitMs } from "./patience.ts";

/** Writes in flight at once: enough for some 800 writes a second at 10 ms each, few enough to spare sockets. */
const CONCURRENCY = 8;

/**
 * Milliseconds after which a word that could wait is as urgent as an end. Until then it gives way while the ledger is
 * behind: what waits becomes one write with the end that follows, and a vertex that goes on for long is still seen.
 */
const GIVES_WAY_MS = 5_000;

/** How often a flush asks anew how much time it has, in milliseconds. */
const LOOK_AGAIN_MS = 500;

export interface StatusWriterOptions {
  /** Writes one vertex; false: refused, since the vertex is another task's. */
  readonly write: (write: VertexWrite) => Promise<boolean>;
  /** Holds back until `flush` whatever may wait (policy `backup: end`). */
  readonly hold: boolean;
  /** Told of each write that can never succeed. */
  readonly onLost: (write: VertexWrite, error: unknown) => void;
}

export interface StatusCounts {
  /** Writes that the ledger has taken: the task's sequence. */
  readonly written: number;
  /** Writes refused because the vertex is another task's. */
  readonly refused: number;
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
}

/**
 * Brings statuses to the ledger without ever holding up the build: the newest word per vertex is kept in memory, words
 * that come close together become one write, writes of one vertex never overtake each other, and a refused call is
 * repeated with back-off for as long as the container lives. Memory: one slot per vertex with something unwritten.
 */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #slots = new Map<string, Slot>();
  readonly #counts = { written: 0, refused: 0, repeated: 0, lost: 0 };
  #inFlight = 0;
  #holding: boolean;
  #closed = false;
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
      this.#slots.set(write.uniqueId, { next: write, dueAtMs, urgentAtMs, inFlight: false, attempts: 0, evenHeld });
    else {
      slot.urgentAtMs = Math.min(slot.urgentAtMs, urgentAtMs);
      slot.dueAtMs =
        slot.next && slot.attempts === 0 ? Math.min(slot.dueAtMs, dueAtMs) : Math.max(slot.dueAtMs, dueAtMs);
      slot.next = merge(slot.next, write);
    }
    this.#turn();
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

  #turn(): void {
    if (this.#closed) return;
    const nowMs = Date.now();
    let nextDueMs = Number.POSITIVE_INFINITY;
    const givingWay: [string, Slot][] = [];
    for (const [uniqueId, slot] of this.#slots) {
      if (this.#inFlight >= CONCURRENCY) break;
      if (slot.inFlight || !slot.next || (this.#holding && !slot.evenHeld)) continue;
      if (slot.dueAtMs > nowMs) nextDueMs = Math.min(nextDueMs, slot.dueAtMs);
      else if (slot.urgentAtMs <= nowMs) void this.#send(uniqueId, slot, slot.next);
      else if (givingWay.length < CONCURRENCY) givingWay.push([uniqueId, slot]);
    }
    for (const [uniqueId, slot] of givingWay)
      if (this.#inFlight < CONCURRENCY && slot.next) void this.#send(uniqueId, slot, slot.next);
    this.#wakeAt(nextDueMs);
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

  async #send(uniqueId: string, slot: Slot, write: VertexWrite): Promise<void> {
    slot.next = null;
    slot.inFlight = true;
    this.#inFlight += 1;
    try {
      const taken = await this.#options.write(write);
      this.#counts[taken ? "written" : "refused"] += 1;
      slot.attempts = 0;
    } catch (error) {
      this.#failed(slot, write, error);
    }
    slot.inFlight = false;
    this.#inFlight -= 1;
    if (!slot.next && this.#slots.get(uniqueId) === slot) this.#slots.delete(uniqueId);
    this.#turn();
    if (this.#slots.size === 0) for (const done of this.#idle.splice(0)) done();
  }

  #failed(slot: Slot, write: VertexWrite, error: unknown): void {
    if (!(error instanceof RetryableError)) {
      this.#counts.lost += 1;
      this.#options.onLost(write, error);
      return;
    }
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
