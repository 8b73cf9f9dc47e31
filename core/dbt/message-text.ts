/** Longest message kept for a vertex: a ledger row holds 400 kB and is read often, a screen shows far less. */
export const MAX_MESSAGE_CHARACTERS = 4_000;

// biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with the control character ESC.
const COLOUR_CODES = /\u001b\[[0-9;?]*[ -/]*[@-~]/g;

/** Of a cut text this share is its beginning; a Python model's reason stands in the last line of its traceback. */
const SHARE_OF_HEAD = 0.6;

/** What stands where something was cut, at most: a text that was cut once is within the limit, and is not cut again. */
const NOTICE_CHARACTERS = 60;

/** Keeps beginning and end of a long text; what is cut is counted and the reader is sent to the log. */
export function cutMessage(text: string, limit: number = MAX_MESSAGE_CHARACTERS): string {
  if (text.length <= limit) return text;
  const kept = limit - NOTICE_CHARACTERS;
  const head = text.slice(0, Math.ceil(kept * SHARE_OF_HEAD)).toWellFormed();
  const tail = text.slice(text.length - Math.floor(kept * (1 - SHARE_OF_HEAD))).toWellFormed();
  return `${head} … (${text.length - kept} more characters in dbt's log) … ${tail}`;
}

/** What dbt and Python print around an error and what tells nobody anything. */
const NOISE = /^\s*(?:Encountered an error:?|.*resource_tracker.*|.*leaked semaphore objects.*|warnings\.warn\(.*)\s*$/;

/** A text without the lines that tell nothing; empty where nothing is left. */
export function withoutNoise(text: string): string {
  const lines = text.split("\n");
  const told = lines.filter((line) => !NOISE.test(line));
  return told.length === lines.length ? text : told.join("\n").trim();
}

/** A text without the colour codes that dbt 1.x prints even into a pipe. */
export function stripColours(text: string): string {
  return text.includes("\u001b") ? text.replace(COLOUR_CODES, "") : text;
}
