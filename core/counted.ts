/**
 * `1 node`, `2 nodes`, `1 saved query`, `3 saved queries`: a count with its noun, for people. The plural is given where it
 * is made in another way.
 */
export function counted(
  count: number,
  noun: string,
  plural = noun.replace(/([^aeiou])y$/, "$1ie").concat("s"),
): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

/** The first of many names, and how many more there are. */
export function firstOf(names: readonly string[], most: number): string {
  const more = names.length > most ? ` and ${names.length - most} more` : "";
  return `${names.slice(0, most).join(", ")}${more}`;
}
