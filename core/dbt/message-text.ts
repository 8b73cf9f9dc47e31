/** Longest message kept for a vertex: a ledger row holds 400 kB and is read often, a screen shows far less. */
export const MAX_MESSAGE_CHARACTERS = 4_000;

// biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with the control character ESC.
const COLOUR_CODES = /\u001b\[[0-9;?]*[ -/]*[@-~]/g;

/** Cuts a text at a limit; what is cut is counted and the reader is sent to the log. */
export function cutMessage(text: string, limit: number = MAX_MESSAGE_CHARACTERS): string {
  if (text.length <= limit) return text;
  return `${text.slice(0, limit).toWellFormed()} … (${text.length - limit} more characters in dbt's log)`;
}

/** A text without the colour codes that dbt 1.x prints even into a pipe. */
export function stripColours(text: string): string {
  return text.includes("\u001b") ? text.replace(COLOUR_CODES, "") : text;
}
