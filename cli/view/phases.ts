import { LiveRegion } from "./live-region.ts";
import { cut, duration, type Paint, type Terminal, widthOf } from "./style.ts";

export type PhaseName = "installing" | "starting" | "deploying" | "planning" | "building";

const ORDER: readonly PhaseName[] = ["installing", "starting", "deploying", "planning", "building"];
const TICK_MS = 250;

interface PhaseState {
  startedAtMs: number;
  endedAtMs: number | null;
  /** What it is doing, or why it took no time. */
  note: string;
}

export interface PhaseBoardOptions {
  readonly terminal: Terminal;
  readonly paint: Paint;
  readonly now: () => number;
}

/**
 * The phases of a start with their times. On a terminal they are redrawn in place with a running clock and may hold
 * further lines below (the table of nodes); on a pipe each beginning and end is one line.
 */
export class PhaseBoard {
  readonly #options: PhaseBoardOptions;
  readonly #region: LiveRegion | null;
  readonly #phases = new Map<PhaseName, PhaseState>();
  #below: () => readonly string[] = () => [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: PhaseBoardOptions) {
    this.#options = options;
    this.#region = options.terminal.isTTY === true ? new LiveRegion(options.terminal) : null;
    if (this.#region !== null) this.#timer = setInterval(() => this.redraw(), TICK_MS);
  }

  begin(phase: PhaseName, note = ""): void {
    if (this.#phases.has(phase)) return;
    this.#phases.set(phase, { startedAtMs: this.#options.now(), endedAtMs: null, note });
    if (this.#region === null) this.#line(`${phase} …`);
    else this.redraw();
  }

  /** Ends a phase that has begun; the rest is ignored, so that callers need not know how far they came. */
  end(phase: PhaseName, note?: string): void {
    const state = this.#phases.get(phase);
    if (state === undefined || state.endedAtMs !== null) return;
    state.endedAtMs = this.#options.now();
    if (note !== undefined) state.note = note;
    if (this.#region === null) this.#line(this.#phaseLine(phase, state));
    else this.redraw();
  }

  /** The one ends and the next begins, at one moment; once, however often it is said. */
  follow(phase: PhaseName, next: PhaseName, note: string): void {
    if (this.#phases.has(next)) return;
    this.end(phase, note);
    this.begin(next);
  }

  /** What a phase is doing now. On a pipe it is one line each. */
  note(phase: PhaseName, text: string): void {
    const state = this.#phases.get(phase);
    if (state === undefined || state.note === text) return;
    state.note = text;
    if (this.#region === null) this.#line(`  ${text}`);
    else this.redraw();
  }

  /** Lines that are drawn below the phases with every tick; terminal only. */
  showBelow(lines: () => readonly string[]): void {
    this.#below = lines;
    this.redraw();
  }

  redraw(): void {
    if (!this.#closed) this.#region?.draw(this.#frame());
  }

  /** Draws a last time and leaves everything where it is: what a phase that goes on says later is not shown. */
  close(): void {
    if (this.#closed) return;
    clearInterval(this.#timer);
    this.redraw();
    this.#region?.close();
    this.#closed = true;
  }

  #frame(): string[] {
    const lines = ORDER.flatMap((phase) => {
      const state = this.#phases.get(phase);
      return state === undefined ? [] : [this.#phaseLine(phase, state)];
    });
    return [...lines, ...this.#below()];
  }

  #phaseLine(phase: PhaseName, state: PhaseState): string {
    const { paint, now, terminal } = this.#options;
    const over = state.endedAtMs !== null;
    const time = duration((state.endedAtMs ?? now()) - state.startedAtMs).padStart(10);
    const note = cut(state.note, widthOf(terminal, 100) - 28);
    return `${paint(over ? "green" : "blue", over ? "✔" : "▸")} ${phase.padEnd(11)}${time}  ${paint("dim", note)}`.trimEnd();
  }

  #line(text: string): void {
    if (!this.#closed) this.#options.terminal.write(`${text}\n`);
  }
}
