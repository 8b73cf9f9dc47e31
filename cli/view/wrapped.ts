/** A text as lines of at most so many columns, each behind an indent; a word that is wider stands alone and whole. */
export function wrapped(text: string, width: number, indent: string): string[] {
  const room = Math.max(16, width - indent.length);
  return text.split("\n").flatMap((line) => {
    if (line.length <= room) return `${indent}${line}`.trimEnd();
    const lead = /^\s*/.exec(line)![0].slice(0, Math.floor(room / 2));
    const parts = filled(line.trim().split(/\s+/), room - lead.length);
    return parts.map((part) => `${indent}${lead}${part}`.trimEnd());
  });
}

/**
 * A command of words that are quoted already, on as many lines as it takes, so that it can be copied from a narrow
 * terminal: an option and its value stay together where they fit.
 */
export function wrappedCommand(words: readonly string[], width: number, indent: string): string[] {
  const room = Math.max(16, width - indent.length - CONTINUED.length - 2);
  const phrases: string[][] = [];
  for (const word of words) {
    if (word.startsWith("-") || phrases.length === 0) phrases.push([]);
    phrases.at(-1)!.push(word);
  }
  const lines = filled(
    phrases.flatMap((phrase) => filled(phrase, room)),
    room,
  );
  return lines.map((line, at) => `${indent}${at === 0 ? "" : "  "}${line}${at === lines.length - 1 ? "" : CONTINUED}`);
}

/** What makes a shell go on in the next line. */
const CONTINUED = " \\";

function filled(words: readonly string[], room: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
