import { FatalError } from "#core/errors.ts";

/** A command line that can not be read as words. */
export class CommandUnreadable extends FatalError {
  override readonly name = "CommandUnreadable";
  readonly line: string;
  constructor(line: string, reason: string) {
    super(reason);
    this.line = line;
  }
}

/**
 * The words of a dbt command line as a shell would hand them to dbt: quotes and backslashes hold a word together, and
 * nothing else has a meaning. No shell ever sees the line, so that `$`, `*`, `;` and `|` are themselves.
 * @throws {CommandUnreadable} for a quote that is not closed, or a backslash with nothing behind it
 */
export function commandWords(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote: string | null = null;
  for (let at = 0; at < line.length; at++) {
    const character = line[at]!;
    if (quote === null && /\s/.test(character)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (character === quote) quote = null;
    else if (quote === null && (character === "'" || character === '"')) {
      quote = character;
      word ??= "";
    } else if (character === "\\" && isEscape(quote, line[at + 1])) {
      at += 1;
      if (line[at] === undefined) throw new CommandUnreadable(line, "ends in a backslash with nothing behind it.");
      word = (word ?? "") + line[at];
    } else word = (word ?? "") + character;
  }
  if (quote !== null) throw new CommandUnreadable(line, `has a quote (${quote}) that is not closed.`);
  return word === null ? words : [...words, word];
}

/** Within single quotes a backslash is itself; within double ones it counts before what would have a meaning there. */
const isEscape = (quote: string | null, next: string | undefined): boolean =>
  quote === null || (quote === '"' && next !== undefined && '"\\$`'.includes(next));

/** Options whose values may hold what is nobody's business in a log group, a message or an event; the run's row has them. */
const PRIVATE: ReadonlySet<string> = new Set(["--vars", "--args"]);

/** Words of dbt's command line as they may be shown. */
export const shownWords = (words: readonly string[]): string[] =>
  words.map((word, at) => {
    const [flag = ""] = word.split("=", 1);
    if (PRIVATE.has(words[at - 1] ?? "")) return "…";
    return word !== flag && PRIVATE.has(flag) ? `${flag}=…` : word;
  });
