/** A word of a command line that a person can copy: in quotes if the shell would read anything else from it. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** The options that a command printed for copying needs to mean the same stack and stepwatch.yaml as this one. */
export function sameOptions(options: {
  readonly config?: string | undefined;
  readonly stack?: string | undefined;
}): string {
  const config = options.config === undefined ? "" : ` --config ${quoted(options.config)}`;
  return options.stack === undefined ? config : `${config} --stack ${quoted(options.stack)}`;
}
