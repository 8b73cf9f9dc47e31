import { stripVTControlCharacters } from "node:util";

/** Terminal colours, or nothing at all: NO_COLOR and pipes get plain text. */
export type Paint = (tone: Tone, text: string) => string;

export type Tone = "green" | "red" | "yellow" | "blue" | "dim" | "bold";

const CODES: Readonly<Record<Tone, readonly [number, number]>> = {
  green: [32, 39],
  red: [31, 39],
  yellow: [33, 39],
  blue: [36, 39],
  dim: [2, 22],
  bold: [1, 22],
};

export const plain: Paint = (_tone, text) => text;

export const ansi: Paint = (tone, text) => {
  if (text === "") return "";
  const [on, off] = CODES[tone];
  return `\u001b[${on}m${text}\u001b[${off}m`;
};

/** Where text goes. With `isTTY` lines may be redrawn in place. */
export interface Terminal {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
}

/** A stream of this process. One that can not move its cursor (TERM=dumb) is written to as a pipe is. */
export function terminalOf(
  stream: Terminal & NodeJS.WritableStream,
  environment: Record<string, string | undefined>,
): Terminal {
  if (environment.TERM !== "dumb") return stream;
  return { write: (text) => stream.write(text), columns: stream.columns };
}

export function paintFor(terminal: Terminal, environment: Record<string, string | undefined>): Paint {
  const wanted = terminal.isTTY === true && !environment.NO_COLOR && environment.TERM !== "dumb";
  return wanted ? ansi : plain;
}

/** Cuts a text to a number of columns and says that it was cut. Counts characters: node names are ASCII in practice. */
export const cut = (text: string, width: number): string =>
  text.length <= width ? text : width < 1 ? "" : `${text.slice(0, width - 1)}…`;

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters.
const COLOUR_OR_CHARACTER = /\u001b\[[0-9;]*m|[\s\S]/g;

/** As {@link cut} for a painted text: colours take no column, and do not go on behind the cut. */
export function cutPainted(text: string, width: number): string {
  if (stripVTControlCharacters(text).length <= width) return text;
  let left = Math.max(0, width - 1);
  const kept = text.match(COLOUR_OR_CHARACTER)?.filter((part) => part.length > 1 || left-- > 0) ?? [];
  return width < 1 ? "" : `${kept.join("")}…`;
}

/** Columns of a terminal; a pseudo terminal that nobody has given a size says 0. */
export const widthOf = (terminal: Terminal, otherwise: number): number => terminal.columns || otherwise;

/** `0.4 s`, `12 s`, `3 min 05 s`. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}
